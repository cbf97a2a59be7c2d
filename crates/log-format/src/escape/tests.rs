//! What each place of a line does to plain and hostile text.

use super::*;

fn value(text: &str) -> String {
    let mut out = Buffer::new();
    push_value(&mut out, false, text);
    String::from_utf8(out.as_bytes().to_vec()).unwrap()
}

fn key(text: &str) -> String {
    let mut out = Buffer::new();
    push_key(&mut out, text);
    String::from_utf8(out.as_bytes().to_vec()).unwrap()
}

#[test]
fn a_plain_value_stands_bare() {
    assert_eq!(value("gpt-5-mini"), "gpt-5-mini");
    assert_eq!(
        value("2025-12-15T03-19-12_backup"),
        "2025-12-15T03-19-12_backup"
    );
    assert_eq!(value("\u{3a9}\u{e9}\u{1f600}"), "\u{3a9}\u{e9}\u{1f600}");
}

#[test]
fn a_value_with_a_special_character_is_quoted() {
    assert_eq!(value(""), r#""""#);
    assert_eq!(value("a b"), r#""a b""#);
    assert_eq!(value("a=b"), r#""a\x3db""#);
    assert_eq!(value("x\r\n\ty"), r#""x\r\n\ty""#);
    assert_eq!(value(r#"a\b"c""#), r#""a\\b\"c\"""#);
    assert_eq!(
        value("\u{1b}[31m\0\u{7f}\u{85}"),
        r#""\u{1b}[31m\u{0}\u{7f}\u{85}""#
    );
    assert_eq!(
        value("\u{202e}\u{2028}\u{200b}\u{feff}"),
        r#""\u{202e}\u{2028}\u{200b}\u{feff}""#
    );
}

#[test]
fn a_space_in_a_spaceless_value_is_hidden_from_grep() {
    let mut out = Buffer::new();
    push_value(&mut out, is_spaceless_key(b"model"), "my model");
    assert_eq!(out.as_bytes(), br#""my\x20model""#);
}

#[test]
fn a_key_holds_only_key_characters() {
    assert_eq!(key("log.target"), "log.target");
    assert_eq!(key("r#type"), "type");
    assert_eq!(key(""), "_");
    assert_eq!(key("a b=c\n\u{e9}"), "a_b_c__");
}

#[test]
fn a_message_keeps_spaces_and_quotes_but_no_equals_sign() {
    let mut out = Buffer::new();
    push_message(&mut out, "say \"hi\" duration_ms=1 \\ \u{1b}[0m");
    assert_eq!(out.as_bytes(), br#"say "hi" duration_ms\x3d1 \\ \u{1b}[0m"#);
}
