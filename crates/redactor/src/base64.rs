//! As much of base64 as it takes to recognise `user:password`, and a secret that somebody encoded.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A longer text is no `user:password`.
pub(crate) const LONGEST: usize = 1024;

/// Whether `text` is the base64 of a readable `user:password`.
pub(crate) fn is_user_and_password(text: &[u8]) -> bool {
    if text.len() < 4 || text.len() > LONGEST {
        return false;
    }
    let Some(decoded) = decode(text) else {
        return false;
    };
    let is_readable = std::str::from_utf8(&decoded)
        .is_ok_and(|it| !it.chars().any(char::is_control) && !it.is_empty());
    is_readable && decoded.contains(&b':')
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let end = text
        .iter()
        .rposition(|it| *it != b'=')
        .map_or(0, |it| it + 1);
    let (mut bits, mut n_bits, mut res) = (0_u32, 0, Vec::new());
    for byte in &text[..end] {
        let digit = match byte {
            b'-' => 62,
            b'_' => 63,
            _ => ALPHABET.iter().position(|it| it == byte)?,
        };
        bits = (bits << 6) | u32::try_from(digit).ok()?;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            res.push(u8::try_from((bits >> n_bits) & 0xff).ok()?);
        }
    }
    Some(res)
}

/// What the base64 of any text that holds `secret` holds: one text for each way it may lie across groups of three bytes,
/// without the characters that its neighbours have a part in.
pub(crate) fn inside(secret: &[u8]) -> [String; 3] {
    [0, 1, 2].map(|shift| {
        let shifted: Vec<u8> = std::iter::repeat_n(0, shift)
            .chain(secret.iter().copied())
            .collect();
        let digits = encode(&shifted);
        let from = (shift * 8).div_ceil(6);
        let to = shifted.len() * 8 / 6;
        digits[from..to.max(from)].to_owned()
    })
}

fn encode(bytes: &[u8]) -> String {
    let mut res = String::new();
    for group in bytes.chunks(3) {
        let byte = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for n in 0..=group.len() {
            let digit = (bits >> (18 - 6 * n)) & 0x3f;
            res.push(char::from(ALPHABET[digit as usize]));
        }
    }
    res
}

#[cfg(test)]
mod tests {
    use super::{encode, inside, is_user_and_password};

    #[test]
    fn a_user_and_a_password_are_told_from_words() {
        for text in ["ada:open sesame", "a:b", "ada:", ":xyz", "é:ü"] {
            assert!(
                is_user_and_password(encode(text.as_bytes()).as_bytes()),
                "{text}"
            );
        }
        for text in [
            "authentication",
            "access",
            "Zm9v",
            "",
            "====",
            "needs:",
            "AAAA",
        ] {
            assert!(!is_user_and_password(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_encoded_secret_is_found_wherever_it_lies() {
        let parts = inside(b"hunter2hunter2");
        for before in ["", "a", "ab", "abc", "abcd"] {
            let encoded = encode(format!("{before}hunter2hunter2 and more").as_bytes());
            assert!(
                parts.iter().any(|it| encoded.contains(it.as_str())),
                "{before}"
            );
        }
    }
}
