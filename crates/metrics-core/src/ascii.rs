//! Writing text and numbers eight bytes at a time: a line is made of little else.

use std::fmt;

/// Room that an ordinary line does not fill.
const ORDINARY: usize = 512;

/// Bytes that a word may reach beyond what counts of it.
const WORD: usize = 8;

/// A place to write to. What finds no room is only counted.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    room: &'a mut [u8],
    at: usize,
}

/// Appends what `write` writes. It is called again where the room was too small.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, mut write: impl FnMut(&mut Cursor<'_>)) {
    let start = out.len();
    let mut room = ORDINARY;
    loop {
        out.resize(start + room, 0);
        let mut cursor = Cursor {
            room: &mut out[start..],
            at: 0,
        };
        write(&mut cursor);
        let needed = cursor.at + WORD;
        if needed <= room {
            out.truncate(start + needed - WORD);
            return;
        }
        room = needed;
    }
}

impl Cursor<'_> {
    /// A text of a length known when this is compiled.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, text: &[u8; N]) {
        if let Some(place) = self.room.get_mut(self.at..self.at + N) {
            place.copy_from_slice(text);
        }
        self.at += N;
    }

    /// A text that is made in its place: one made elsewhere of small pieces would be copied slowly.
    #[inline]
    pub(crate) fn put_with<const N: usize>(&mut self, write: impl FnOnce(&mut [u8; N])) {
        if let Some(place) = self.room.get_mut(self.at..self.at + N)
            && let Ok(place) = place.try_into()
        {
            write(place);
        }
        self.at += N;
    }

    /// A text of any length, as it is.
    pub(crate) fn put_bytes(&mut self, text: &[u8]) {
        if let Some(place) = self.room.get_mut(self.at..self.at + text.len()) {
            place.copy_from_slice(text);
        }
        self.at += text.len();
    }

    /// A number in decimal.
    #[inline]
    pub(crate) fn put_number(&mut self, value: u64) {
        const BEYOND: u64 = 100_000_000;
        let start = self.at;
        if value < 10_000 {
            let len = 1 + [10, 100, 1000].iter().filter(|it| value >= **it).count();
            self.put(&(four_digits(value) >> (8 * (4 - len))).to_le_bytes());
            self.at = start + len;
        } else if value < BEYOND {
            let powers = [100_000, 1_000_000, 10_000_000];
            let len = 5 + powers.iter().filter(|it| value >= **it).count();
            self.put(&(eight_digits(value) >> (8 * (8 - len))).to_le_bytes());
            self.at = start + len;
        } else {
            self.put_number(value / BEYOND);
            self.put(&eight_digits(value % BEYOND).to_le_bytes());
        }
    }

    /// A text if it is ASCII without any character that JSON escapes; else writes nothing and answers false.
    #[inline]
    pub(crate) fn put_if_plain(&mut self, text: &str) -> bool {
        let (start, bytes) = (self.at, text.as_bytes());
        let mut unusual = 0;
        if let Some(last) = bytes.last_chunk() {
            for word in bytes.as_chunks().0 {
                self.put(word);
                unusual |= unusual_bytes(u64::from_le_bytes(*word));
            }
            // The rest again with what stands before it, rather than byte by byte.
            self.at = start + bytes.len() - WORD;
            self.put(last);
            unusual |= unusual_bytes(u64::from_le_bytes(*last));
        } else {
            let word = short_word(bytes);
            self.put(&word.to_le_bytes());
            self.at = start + bytes.len();
            unusual = unusual_bytes(word);
        }
        let plain = unusual & repeat(0x80) == 0;
        if !plain {
            self.at = start;
        }
        plain
    }
}

impl fmt::Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put_bytes(text.as_bytes());
        Ok(())
    }
}

/// Two digits of a `value` below 100 as text, the first in the lowest byte.
#[inline]
pub(crate) fn two_digits(value: u64) -> u64 {
    static PAIRS: [u16; 128] = {
        let mut pairs = [0; 128];
        let mut value = 0;
        while value < 100 {
            pairs[value as usize] = u16::from_le_bytes([b'0' + value / 10, b'0' + value % 10]);
            value += 1;
        }
        pairs
    };
    u64::from(PAIRS[(value % 128) as usize])
}

/// Four digits of a `value` below 10,000.
#[inline]
pub(crate) fn four_digits(value: u64) -> u64 {
    two_digits(value / 100) | two_digits(value % 100) << 16
}

/// Eight digits of a `value` below 10^8.
#[inline]
fn eight_digits(value: u64) -> u64 {
    four_digits(value / 10_000) | four_digits(value % 10_000) << 32
}

/// Fewer than eight bytes as a word, filled up with plain ones.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    const PLAIN: u64 = repeat(b'a');
    let len = bytes.len();
    let word = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            u64::from(first) | u64::from(last) << (8 * (len - 4))
        }
        _ => match *bytes {
            [] => return PLAIN,
            [a] => u64::from(a),
            [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
            [a, b, c, ..] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
        },
    };
    word | PLAIN << (8 * len)
}

/// Sets the highest bit of a byte that is not ASCII, a control, `"` or `\`; a borrow may set it also above such a byte.
#[inline]
fn unusual_bytes(word: u64) -> u64 {
    let zero_where = |byte: u8| (word ^ repeat(byte)).wrapping_sub(repeat(1));
    word | word.wrapping_sub(repeat(b' ')) | zero_where(b'"') | zero_where(b'\\')
}

const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(write: impl FnMut(&mut Cursor<'_>)) -> String {
        let mut out = b"x".to_vec();
        append(&mut out, write);
        String::from_utf8(out).unwrap()
    }

    fn is_plain(text: &str) -> bool {
        let mut plain = false;
        let out = appended(|it| plain = it.put_if_plain(text));
        assert_eq!(
            out,
            if plain {
                format!("x{text}")
            } else {
                "x".to_owned()
            }
        );
        plain
    }

    #[test]
    fn a_text_is_plain_if_no_character_of_it_needs_an_escape_wherever_it_stands() {
        let visible = || ('!'..='~').filter(|it| !matches!(it, '"' | '\\'));
        for len in 0..40 {
            let text: String = visible().cycle().take(len).collect();
            assert!(is_plain(&text), "{text}");
            for at in 0..len {
                for byte in 0..=0x7f_u8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] = byte;
                    let text = String::from_utf8(bytes).unwrap();
                    let needs_none = byte >= 0x20 && !matches!(byte, b'"' | b'\\');
                    assert_eq!(is_plain(&text), needs_none, "{text:?}");
                }
                assert!(!is_plain(&[&text[..at], "é", &text[at..]].concat()));
            }
        }
    }

    #[test]
    fn numbers_are_written_as_anybody_writes_them() {
        let mut numbers: Vec<u64> = (0..20).map(|it| 10_u64.pow(it)).collect();
        numbers.extend((0..20_000).map(|it| it * 4999));
        numbers.extend([u64::MAX, 100_000_002, 12_345_678, 10_000_000_012_345_678]);
        for number in numbers.into_iter().flat_map(|it| [it.wrapping_sub(1), it]) {
            assert_eq!(appended(|it| it.put_number(number)), format!("x{number}"));
        }
    }

    #[test]
    fn whatever_the_length_all_of_it_is_appended() {
        for len in (0..2 * ORDINARY).chain([100_000]) {
            let text = "a".repeat(len);
            let out = appended(|it| {
                assert!(it.put_if_plain(&text));
                it.put_number(7);
                it.put(b"end");
            });
            assert_eq!(out, format!("x{text}7end"));
        }
    }
}
