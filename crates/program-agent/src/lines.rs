//! A stream of bytes as lines, with bounded memory.

/// A longer line is passed over.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Gathers lines from whatever pieces come.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    /// Whether the line being gathered has outgrown the limit and only its end is looked for.
    skipping: bool,
    /// Lines that were too long.
    pub(crate) too_long: u64,
}

impl Lines {
    /// Takes the next bytes, and gives each line that ends in them, without its end.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|it| *it == b'\n') {
            self.gather(&bytes[..end]);
            self.hand_out(&mut each);
            bytes = &bytes[end + 1..];
        }
        self.gather(bytes);
    }

    /// Gives what stands behind the last line end.
    pub(crate) fn end(&mut self, mut each: impl FnMut(&[u8])) {
        self.hand_out(&mut each);
    }

    fn gather(&mut self, part: &[u8]) {
        if self.pending.len() + part.len() > MAX_LINE_BYTES {
            self.skipping = true;
            self.pending = Vec::new();
        }
        if !self.skipping {
            self.pending.extend_from_slice(part);
        }
    }

    fn hand_out(&mut self, each: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.skipping) {
            self.too_long += 1;
        } else if !self.pending.trim_ascii().is_empty() {
            each(&self.pending);
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, MAX_LINE_BYTES};

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = b"one\r\n\n two\nthree";
        for size in 1..text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            let mut each = |it: &[u8]| seen.push(String::from_utf8_lossy(it).into_owned());
            for part in text.chunks(size) {
                lines.push(part, &mut each);
            }
            lines.end(&mut each);
            assert_eq!(seen, ["one\r", " two", "three"], "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        let mut each = |it: &[u8]| seen.push(it.to_vec());
        for _ in 0..3 {
            lines.push(&vec![b'x'; MAX_LINE_BYTES / 2], &mut each);
        }
        lines.push(b"x\nshort\n", &mut each);
        assert_eq!((seen, lines.too_long), (vec![b"short".to_vec()], 1));
        assert!(lines.pending.capacity() < 1024);
    }
}
