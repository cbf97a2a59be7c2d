//! Text in pieces: the same as in a whole, in bounded memory.

use proptest::prelude::*;

use super::secrets::{all, private_key};
use crate::Redactor;

fn streamed(text: &[u8], sizes: &[usize]) -> (Vec<u8>, usize) {
    let mut stream = Redactor::new().stream();
    let (mut out, mut rest, mut held) = (Vec::new(), text, 0);
    for size in sizes.iter().cycle() {
        let (piece, more) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        stream.push(piece, &mut out);
        held = held.max(stream.held_bytes());
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    stream.finish(&mut out);
    (out, held)
}

/// A page with a secret of each kind.
fn page() -> String {
    let (first, body, last) = private_key("RSA PRIVATE KEY", "\n");
    let lines = all().into_iter();
    let lines = lines.map(|(name, it)| format!("{name}: {it} and\n{it}\n"));
    let secrets = lines.collect::<Vec<_>>().concat();
    format!(
        "{secrets}{first}{body}{last}\npassword=hunter2\n{{\"token\":\"a\\\"b c\"}}\nAuthorization: Bearer abc"
    )
}

#[test]
fn a_secret_across_any_border_is_caught() {
    let page = page();
    let whole = Redactor::new().text(&page).into_owned();
    for size in [1, 2, 3, 7, 16, 61, 100, 1000, 5000] {
        let (out, _) = streamed(page.as_bytes(), &[size]);
        assert_eq!(String::from_utf8(out).unwrap(), whole, "{size}");
    }
}

#[test]
fn a_line_goes_out_once_it_is_whole() {
    let mut stream = Redactor::new().stream();
    let mut out = Vec::new();
    stream.push(b"first\npassword=hun", &mut out);
    assert_eq!(out, b"first\n");
    stream.push(b"ter2\nlast", &mut out);
    assert_eq!(out, b"first\npassword=[redacted]\n");
    stream.finish(&mut out);
    assert_eq!(out, b"first\npassword=[redacted]\nlast");
}

#[test]
fn memory_is_bounded_whatever_comes() {
    const LIMIT: usize = 256 << 10;
    let line = "x".repeat(3 << 20);
    let words = "a word and ".repeat(300_000);
    let wrapped = (super::secrets::random(76, "abcdef0123") + "\n").repeat(40_000);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{wrapped}");
    for text in [&line, &words, &wrapped, &key] {
        let (out, held) = streamed(text.as_bytes(), &[64 << 10]);
        assert!(held <= LIMIT, "{held}");
        if !text.starts_with('-') {
            assert!(out == text.as_bytes());
        }
    }
}

#[test]
fn a_secret_in_a_line_without_an_end_is_caught() {
    let secret = &all()[4].1;
    for before in [1000, 65_530, 65_536, 131_000, 131_072, 200_000, 1_000_000] {
        let text = format!(
            "{} {secret} password=hunter2 {}",
            "x, ".repeat(before / 3),
            "y, ".repeat(100_000)
        );
        let (out, _) = streamed(text.as_bytes(), &[8192, 65_536]);
        assert!(out == Redactor::new().text(&text).as_bytes(), "{before}");
    }
}

proptest! {
    #[test]
    fn pieces_come_to_the_same_as_the_whole(sizes in prop::collection::vec(1_usize..300, 1..20)) {
        let page = page();
        let (out, _) = streamed(page.as_bytes(), &sizes);
        prop_assert_eq!(String::from_utf8(out).unwrap(), Redactor::new().text(&page).into_owned());
    }
}
