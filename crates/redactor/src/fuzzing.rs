//! What holds for any bytes: for `cargo xtask fuzz`, and for the tests that replay what it found.

use std::sync::LazyLock;

use crate::Redactor;

/// A name, and what panics where something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] = &[("redaction", redaction)];

/// A line in pieces comes to the same as in a whole, JSON stays JSON, and no text is too odd. The first byte says how large the
/// pieces are. (Of several lines, what goes out line by line cannot know what the next one says.)
fn redaction(input: &[u8]) {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::new);
    let [piece, bytes @ ..] = input else {
        return;
    };
    let whole = REDACTOR.bytes(bytes);
    let (mut stream, mut in_pieces) = (REDACTOR.stream(), Vec::new());
    for piece in bytes.chunks(usize::from(*piece) + 1) {
        stream.push(piece, &mut in_pieces);
    }
    stream.finish(&mut in_pieces);
    let shown = String::from_utf8_lossy;
    if !bytes.contains(&b'\n') {
        assert_eq!(shown(&in_pieces), shown(&whole));
        assert_eq!(in_pieces, *whole);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    assert_eq!(REDACTOR.text(text).as_bytes(), &*whole);
    if serde_json::from_str::<serde_json::Value>(text).is_ok() {
        let still = serde_json::from_slice::<serde_json::Value>(&whole);
        assert!(still.is_ok(), "{}", shown(&whole));
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod tests;
