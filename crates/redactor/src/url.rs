//! The password in `scheme://user:password@host`.

use crate::{redactor::REDACTED, values::is_placeholder};

/// Longer ones are no addresses.
const MAX_BYTES: usize = 1024;

/// Where the password lies, if there is one; `at` is behind `://`.
pub(crate) fn password(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..text.len().min(at + MAX_BYTES)];
    let rest = rest.split(|it| ends_url(*it)).next()?;
    let authority = rest.split(|it| matches!(it, b'/' | b'?' | b'#')).next()?;
    let (user, end) = match authority.iter().rposition(|it| *it == b'@') {
        Some(end) => (authority.iter().position(|it| *it == b':')?, end),
        // A password with a `/` in it, as people write them. A port is none.
        None => {
            let user = authority.iter().position(|it| *it == b':')?;
            let is_port = authority[user + 1..].iter().all(u8::is_ascii_digit);
            let end = rest
                .iter()
                .position(|it| *it == b'@')
                .filter(|_| !is_port)?;
            (user, end)
        }
    };
    if user + 1 >= end {
        return None;
    }
    let password = &rest[user + 1..end];
    let is_kept = password == REDACTED.as_bytes() || is_placeholder(password);
    (!is_kept).then_some((at + user + 1, at + end))
}

fn ends_url(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|')
}
