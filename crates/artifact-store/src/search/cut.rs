//! A text whose long lines are cut off.

use std::io::{self, Read};

/// Reads a text without what stands behind the first `max` bytes of a line.
pub(super) struct CutLines<R> {
    text: R,
    max: usize,
    /// Bytes of the line that was begun last.
    line_bytes: usize,
    n_cut: u64,
}

impl<R> CutLines<R> {
    pub(super) fn new(text: R, max: usize) -> Self {
        Self {
            text,
            max,
            line_bytes: 0,
            n_cut: 0,
        }
    }

    /// How many lines were cut off.
    pub(super) fn n_cut(&self) -> u64 {
        self.n_cut
    }

    /// Moves together what is kept of `bytes`, and says how much that is.
    fn cut(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, mut kept) = (0, 0);
        while at < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[at..]).map(|it| at + it);
            let len = end.unwrap_or(bytes.len()) - at;
            let fitting = len.min(self.max - self.line_bytes.min(self.max));
            bytes.copy_within(at..at + fitting, kept);
            kept += fitting;
            let is_cut_already = self.line_bytes > self.max;
            self.line_bytes = self.line_bytes.saturating_add(len);
            self.n_cut += u64::from(!is_cut_already && self.line_bytes > self.max);
            at += len;
            if end.is_some() {
                bytes[kept] = b'\n';
                kept += 1;
                at += 1;
                self.line_bytes = 0;
            }
        }
        kept
    }
}

impl<R: Read> Read for CutLines<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.text.read(bytes)?;
            let bytes = &mut bytes[..read];
            if read == 0 || self.line_bytes.saturating_add(read) <= self.max {
                // Mostly there is nothing to cut.
                self.line_bytes = match memchr::memrchr(b'\n', bytes) {
                    Some(end) => read - end - 1,
                    None => self.line_bytes + read,
                };
                return Ok(read);
            }
            let kept = self.cut(bytes);
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.1);
            self.0.read(&mut bytes[..len])
        }
    }

    proptest! {
        #[test]
        fn each_line_keeps_its_beginning(
            lines in prop::collection::vec("[a-z]{0,20}", 0..10),
            max in 1_usize..12,
            piece in 1_usize..30,
        ) {
            let text = lines.join("\n");
            let mut cut = CutLines::new(Slowly(text.as_bytes(), piece), max);
            let mut kept = String::new();
            cut.read_to_string(&mut kept).unwrap();
            let expected: Vec<_> = lines.iter().map(|it| &it[..it.len().min(max)]).collect();
            prop_assert_eq!(kept, expected.join("\n"));
            let n_long = lines.iter().filter(|it| it.len() > max).count();
            prop_assert_eq!(cut.n_cut(), n_long as u64);
        }
    }
}
