//! A line being put together, eight bytes at a time: it is made of little but short texts.

use std::fmt;

/// Room from the start: an ordinary line does not fill it.
const FIRST_CAPACITY: usize = 512;

/// Holds one line. Cheaper than a `Vec` for short pieces, as it copies whole words and counts only a part of the last one.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// The line, and behind it what was written and does not count.
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// What was appended since the length was `start`.
    pub(crate) fn since(&mut self, start: usize) -> &mut [u8] {
        self.bytes.get_mut(start..self.len).unwrap_or_default()
    }

    /// Forgets what was appended since the length was `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends a text of a length known when this is compiled.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.put_first(text, N);
    }

    /// Appends the first `len` bytes of `text`.
    #[inline]
    pub(crate) fn put_first<const N: usize>(&mut self, text: &[u8; N], len: usize) {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        match rest.first_chunk_mut() {
            Some(place) => {
                *place = *text;
                self.len += len.min(N);
            }
            None => self.push_growing(text.get(..len).unwrap_or(text)),
        }
    }

    /// Appends a text of any length, as it is.
    pub(crate) fn push(&mut self, text: &[u8]) {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        match rest.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text);
                self.len += text.len();
            }
            None => self.push_growing(text),
        }
    }

    /// Appends `value` in decimal.
    #[inline]
    pub(crate) fn push_number(&mut self, value: u64) {
        if value < 10 {
            self.put(&[b'0' + (value % 10) as u8]);
        } else if value < 100 {
            self.put(&two_digits(value));
        } else if value < 10_000 {
            let [a, b] = two_digits(value / 100);
            let [c, d] = two_digits(value % 100);
            if value < 1000 {
                self.put(&[b, c, d]);
            } else {
                self.put(&[a, b, c, d]);
            }
        } else {
            self.push(itoa::Buffer::new().format(value).as_bytes());
        }
    }

    /// Appends `text` unless `unusual` sets the highest bit of one of its bytes; answers whether it did.
    #[inline]
    pub(crate) fn push_unless(&mut self, text: &str, unusual: impl Fn(u64) -> u64) -> bool {
        let is_usual = |word| unusual(word) & repeat(0x80) == 0;
        let bytes = text.as_bytes();
        let Some(last) = bytes.last_chunk() else {
            let word = short_word(bytes);
            if is_usual(word) {
                self.put_first(&word.to_le_bytes(), bytes.len());
            }
            return is_usual(word);
        };
        // The last word stands partly on the one before it, rather than byte by byte.
        let mut words = bytes.as_chunks().0.iter().chain([last]);
        let usual = words.all(|it| is_usual(u64::from_le_bytes(*it)));
        if usual {
            self.push(bytes);
        }
        usual
    }

    #[cold]
    fn push_growing(&mut self, text: &[u8]) {
        self.grow(self.len + text.len());
        self.push(text);
    }

    fn grow(&mut self, len: usize) {
        let room = len.max(2 * self.bytes.len()).max(FIRST_CAPACITY);
        self.bytes.resize(room, 0);
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// A `value` below 100.
#[inline]
fn two_digits(value: u64) -> [u8; 2] {
    static PAIRS: [[u8; 2]; 128] = {
        let mut pairs = [[0; 2]; 128];
        let mut value = 0;
        while value < 100 {
            pairs[value as usize] = [b'0' + value / 10, b'0' + value % 10];
            value += 1;
        }
        pairs
    };
    PAIRS[(value % 128) as usize]
}

/// `byte` in all eight places of a word.
pub(crate) const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Fewer than eight bytes as a word, filled up with letters.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    const LETTERS: u64 = repeat(b'a');
    let len = bytes.len();
    let word = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            u64::from(first) | u64::from(last) << (8 * (len - 4))
        }
        _ => match *bytes {
            [] => return LETTERS,
            [a] => u64::from(a),
            [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
            [a, b, c, ..] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
        },
    };
    word | LETTERS << (8 * len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_length_all_of_it_is_appended() {
        for len in (0..2 * FIRST_CAPACITY).chain([100_000]) {
            let text = "a".repeat(len);
            let mut buffer = Buffer::default();
            buffer.put(b"x");
            assert!(buffer.push_unless(&text, |word| word));
            buffer.put_first(b"12345678", 3);
            buffer.push(text.as_bytes());
            assert_eq!(buffer.as_bytes(), format!("x{text}123{text}").as_bytes());
        }
    }

    #[test]
    fn numbers_are_written_as_anybody_writes_them() {
        let powers = (0..19).map(|it| 10_u64.pow(it));
        for number in (0..10_010).chain(powers.map(|it| it * 3)).chain([u64::MAX]) {
            let mut buffer = Buffer::new();
            buffer.push_number(number);
            assert_eq!(buffer.as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn one_unusual_byte_anywhere_keeps_the_whole_text_out() {
        for len in 1..40 {
            for at in 0..len {
                let mut text = "b".repeat(len);
                text.replace_range(at..=at, "\u{7f}");
                let mut buffer = Buffer::default();
                buffer.put(b"x");
                // Flags 0x7f and nothing else.
                assert!(
                    !buffer.push_unless(&text, |word| word + repeat(1)),
                    "{text:?}"
                );
                assert_eq!(buffer.as_bytes(), b"x");
            }
        }
    }
}
