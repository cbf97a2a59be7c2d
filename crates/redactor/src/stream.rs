//! Text of any length, piece by piece, in bounded memory.

use crate::{redactor::Redactor, scan::begins_word};

/// What is held back at most; a secret that is longer than this may be cut.
const MAX_HELD_BYTES: usize = 128 << 10;
/// What goes out of a full buffer stays this far from its end, so that what goes on there is seen in a whole.
const MARGIN_BYTES: usize = 64 << 10;
/// What a long line keeps of what went out already: what stands before a secret tells whether it is one.
const CONTEXT_BYTES: usize = 256;
/// From this length on, a line of one word may go on in the next one.
const WRAPPED_AT: usize = 40;

/// Redacts what comes in pieces, however they are cut. A line goes out once it is whole.
#[derive(Debug)]
pub struct Stream {
    redactor: Redactor,
    held: Vec<u8>,
    /// How much of what is held went out already.
    done: usize,
    has_redacted: bool,
}

impl Stream {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            held: Vec::new(),
            done: 0,
            has_redacted: false,
        }
    }

    /// Whether anything that went out so far is not as it came in.
    pub fn has_redacted(&self) -> bool {
        self.has_redacted
    }

    /// Takes the next bytes, and adds to `out` what can go out.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.redactor.is_off() {
            out.extend_from_slice(bytes);
            return;
        }
        // In steps, so that a large piece costs no more memory than a small one.
        for piece in bytes.chunks(MAX_HELD_BYTES - MARGIN_BYTES) {
            self.held.extend_from_slice(piece);
            if piece.contains(&b'\n') {
                let end = self.end_of_whole();
                self.emit(end, out);
            }
            if self.held.len() - self.done > MAX_HELD_BYTES {
                self.emit(self.held.len() - MARGIN_BYTES, out);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Adds to `out` what was held back: nothing follows.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.emit(self.held.len(), out);
    }

    /// Where the last line ends that cannot go on in the next one.
    fn end_of_whole(&self) -> usize {
        let new = &self.held[self.done..];
        let mut end = new
            .iter()
            .rposition(|it| *it == b'\n')
            .map_or(0, |it| it + 1);
        while end > 0 && may_go_on(last_line(&new[..end])) {
            end -= last_line(&new[..end]).len();
        }
        let whole = &new[..end];
        // A private key is one thing to its last line.
        let begin = whole.windows(PEM.len()).rposition(|it| it == PEM);
        if let Some(begin) = begin.filter(|it| !ends_pem(&whole[*it..])) {
            end = begin;
        }
        self.done + end
    }

    /// Lets the text up to `end` go out, or up to a secret that lies across it.
    fn emit(&mut self, end: usize, out: &mut Vec<u8>) {
        if end <= self.done {
            return;
        }
        // What is not yet there would count as an end; so all of it is looked at.
        let spans = self.redactor.spans(&self.held);
        let across = spans.iter().find(|it| it.from < end && it.end > end);
        let end = match across {
            // One that reaches back to the beginning will not get any shorter.
            Some(span) if span.from <= self.done || span.end < self.held.len() => span.end,
            Some(span) => span.from,
            None => end,
        };
        let mut at = self.done;
        for span in spans
            .iter()
            .filter(|it| it.end > self.done && it.start < end)
        {
            out.extend_from_slice(&self.held[at..span.start.max(at)]);
            if span.start >= self.done {
                span.write(&self.held, out);
                self.has_redacted = true;
            }
            at = span.end.min(end).max(at);
        }
        out.extend_from_slice(&self.held[at..end]);
        self.done = end;
        self.forget();
    }

    fn forget(&mut self) {
        let mut from = self.done.saturating_sub(CONTEXT_BYTES);
        if self.held[..self.done].ends_with(b"\n") {
            from = self.done;
        }
        // Half a word would be a word.
        while from < self.done && !begins_word(&self.held, from) {
            from += 1;
        }
        self.held.drain(..from);
        self.done -= from;
        if self.held.is_empty() && self.held.capacity() > MAX_HELD_BYTES {
            self.held = Vec::new();
        }
    }
}

const PEM: &[u8] = b"-----BEGIN ";

fn ends_pem(text: &[u8]) -> bool {
    const END: &[u8] = b"-----END ";
    const KEY: &[u8] = b"PRIVATE KEY";
    let line = text.split(|it| *it == b'\n').next().unwrap_or_default();
    let is_key = line.windows(KEY.len()).any(|it| it == KEY);
    !is_key || text.windows(END.len()).any(|it| it == END)
}

fn last_line(text: &[u8]) -> &[u8] {
    let without_end = text.strip_suffix(b"\n").unwrap_or(text);
    let start = without_end
        .iter()
        .rposition(|it| *it == b'\n')
        .map_or(0, |it| it + 1);
    &text[start..]
}

/// Whether a line ends in a word so long that it may be wrapped.
fn may_go_on(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let word = line.iter().rev().take(WRAPPED_AT);
    let word = word.take_while(|it| it.is_ascii_alphanumeric() || b"+/=-_.".contains(it));
    word.count() >= WRAPPED_AT
}
