//! Server-sent events: the `data` of each, out of bytes that come in any pieces.

/// Splits a stream into events. Names and ids of events are passed over: what both protocols need is in the data.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// A line that has not ended.
    line: Vec<u8>,
    /// The data lines of an event that has not ended.
    data: Option<String>,
    after_cr: bool,
}

impl Events {
    /// Takes the next bytes and gives the events that they end.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut ended = Vec::new();
        for part in bytes.split_inclusive(|it| matches!(it, b'\n' | b'\r')) {
            // `\r\n` is one end of a line, also where the two come in different pieces.
            if std::mem::take(&mut self.after_cr) && part == b"\n" {
                continue;
            }
            match part {
                [text @ .., end @ (b'\n' | b'\r')] => {
                    self.after_cr = *end == b'\r';
                    self.line.extend_from_slice(text);
                    ended.extend(self.end_line());
                }
                _ => self.line.extend_from_slice(part),
            }
        }
        ended
    }

    /// The event that the end of the stream ends: not every server writes the last empty line.
    pub(crate) fn finish(mut self) -> Option<String> {
        let ended = self.end_line();
        ended.or(self.data)
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(text) = text.strip_prefix("data:") {
            let text = text.strip_prefix(' ').unwrap_or(text);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(text);
                }
                None => self.data = Some(text.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Events;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut res: Vec<_> = pieces.iter().flat_map(|it| events.push(it)).collect();
        res.extend(events.finish());
        res
    }

    const STREAM: &[u8] = b": a comment\nevent: x\ndata: {\"a\":1}\n\ndata:two\r\ndata: lines\r\n\r\n\r\nid: 7\rdata: \xc3\xa9\r\rdata: last";

    #[test]
    fn events_end_with_an_empty_line_or_the_stream() {
        assert_eq!(events(&[STREAM]), ["{\"a\":1}", "two\nlines", "é", "last"]);
        assert_eq!(events(&[b"<html>\n\n</html>"]), [""; 0]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(cuts in prop::collection::vec(0..STREAM.len(), 0..9)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|it| &STREAM[it[0]..it[1]]).collect();
            prop_assert_eq!(events(&pieces), events(&[STREAM]));
        }
    }
}
