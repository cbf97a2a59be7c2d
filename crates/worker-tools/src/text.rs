//! Bytes and long texts made fit to be read: cut at a character, and said so.

use std::{borrow::Cow, collections::VecDeque};

/// The most characters of a model's own text that an error repeats.
const SHOWN_CHARS: usize = 200;

/// A model's own text as an error repeats it: its beginning, with control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut res = escaped(text.chars().take(SHOWN_CHARS));
    if text.chars().nth(SHOWN_CHARS).is_some() {
        res.push('…');
    }
    res
}

/// A text on one line, with control characters escaped.
pub(crate) fn escaped(text: impl Iterator<Item = char>) -> String {
    text.flat_map(|it| {
        let escaped = it.is_control().then(|| it.escape_default());
        let plain = escaped.is_none().then_some(it);
        escaped.into_iter().flatten().chain(plain)
    })
    .collect()
}

/// The first `limit` bytes as text, without the torn character that the cut may leave at the end.
pub(crate) fn beginning(bytes: &[u8], limit: usize) -> Cow<'_, str> {
    beginning_and_length(bytes, limit).0
}

/// The same, and how many bytes that text stands for.
pub(crate) fn beginning_and_length(bytes: &[u8], limit: usize) -> (Cow<'_, str>, usize) {
    let cut = &bytes[..limit.min(bytes.len())];
    let whole = match std::str::from_utf8(cut) {
        // Where not even one character fits, half of it is better than none for ever.
        Err(err)
            if cut.len() < bytes.len() && err.error_len().is_none() && err.valid_up_to() > 0 =>
        {
            &cut[..err.valid_up_to()]
        }
        _ => cut,
    };
    (String::from_utf8_lossy(whole), whole.len())
}

/// Keeps the first and the last bytes of a stream of any length, in bounded memory.
#[derive(Debug)]
pub(crate) struct HeadTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    total: u64,
}

impl HeadTail {
    /// Keeps at most `limit` bytes, half of them from each end.
    pub(crate) fn new(limit: usize) -> Self {
        let tail_limit = limit / 2;
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit: limit - tail_limit,
            tail_limit,
            total: 0,
        }
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let room = self.head_limit - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Whether `more` bytes would be too many to keep all of them.
    pub(crate) fn would_leave_out(&self, more: usize) -> bool {
        let kept = (self.head_limit + self.tail_limit) as u64;
        self.total.saturating_add(more as u64) > kept
    }

    /// What is kept so far, in order.
    pub(crate) fn pieces(&self) -> [&[u8]; 3] {
        let (first, second) = self.tail.as_slices();
        [&self.head, first, second]
    }

    /// What was kept, with a line in the middle that says how much was left out, and where `elsewhere` it is.
    pub(crate) fn into_text(self, elsewhere: Option<String>) -> String {
        let Self {
            mut head,
            tail,
            total,
            ..
        } = self;
        let tail = Vec::from(tail);
        let kept = (head.len() + tail.len()) as u64;
        if total <= kept {
            head.extend(tail);
            return String::from_utf8_lossy(&head).into_owned();
        }
        // One byte less never tears off a whole character: only an incomplete one goes.
        let start = match std::str::from_utf8(&head) {
            Err(err) if err.error_len().is_none() => &head[..err.valid_up_to()],
            _ => &head,
        };
        let torn = tail.iter().take(3).take_while(|it| is_continuation(**it));
        let end = &tail[torn.count()..];
        let elsewhere = elsewhere.map_or_else(String::new, |it| format!("; {it}"));
        format!(
            "{}\n[… {} of {total} bytes left out{elsewhere} …]\n{}",
            String::from_utf8_lossy(start),
            total - kept,
            String::from_utf8_lossy(end),
        )
    }
}

/// Whether a byte goes on with a UTF-8 character that began before it.
fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}
