//! That no line is missed for the sake of speed.

use grep_searcher::{Searcher, sinks::Bytes};
use proptest::prelude::*;

use super::*;

fn needles_of(pattern: &str) -> Vec<String> {
    let part = rarest_part(&parse(pattern, true).unwrap());
    let needles = part.map(|it| it.spelled()).unwrap_or_default();
    let mut needles: Vec<_> = needles
        .into_iter()
        .map(|it| String::from_utf8(it).unwrap())
        .collect();
    needles.sort();
    needles
}

fn lines(matcher: impl Matcher, text: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let sink = Bytes(|number, _| {
        found.push(number);
        Ok(true)
    });
    let mut searcher = Searcher::new();
    searcher
        .search_slice(matcher, text.as_bytes(), sink)
        .unwrap();
    found
}

#[test]
fn what_has_no_case_is_looked_for_first() {
    let expected = [r#"":11100,"#];
    assert_eq!(needles_of(r#""duration_ms":11100,"#), expected);
    assert_eq!(needles_of("2025-12-15T04"), ["2025-12-15"]);
    assert_eq!(needles_of("x[0-9]+: 40404 or less"), [": 40404 "]);
}

#[test]
fn letters_are_looked_for_in_both_cases() {
    assert_eq!(needles_of("to(zq)+"), ["ZQ", "Zq", "zQ", "zq"]);
    let kelvin = needles_of("zk");
    assert_eq!(kelvin, ["ZK", "Zk", "Z\u{212a}", "zK", "zk", "z\u{212a}"]);
    assert_eq!(needles_of("timeout").len(), 16);
}

#[test]
fn what_a_match_need_not_have_is_not_looked_for() {
    for pattern in [
        "",
        "(?:404404)?",
        "40404|50505",
        "(404404)*",
        ".*",
        "a",
        r"\d{9}",
        "[0-9]",
    ] {
        assert_eq!(needles_of(pattern), [""; 0], "{pattern}");
    }
}

/// Patterns of pieces that may or may not be needed, in each other.
fn patterns() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[abkKsS01:_é]{1,6}",
        Just("[a-c]".to_owned()),
        "[abkKsS01:_]{1,6}".prop_map(|it| format!("(?-i:{it})")),
        Just(r"\b".to_owned()),
        Just(".".to_owned()),
    ];
    piece.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|it| it.concat()),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|it| format!("(?:{})", it.join("|"))),
            (
                inner,
                prop_oneof![Just("?"), Just("*"), Just("+"), Just("{2}")]
            )
                .prop_map(|(it, how)| format!("({it}){how}")),
        ]
    })
}

#[test]
fn flags_in_a_pattern_are_obeyed() {
    for (pattern, found) in [
        ("(?-i:E)RROR: job quit", &[2][..]),
        ("(?i:E)RROR: job quit", &[1, 2]),
        ("(?-i)Error", &[2]),
    ] {
        let pattern = Pattern::new(pattern, false).unwrap();
        assert_eq!(lines(&pattern, "error: job quit\nError: job quit\n"), found);
    }
}

#[test]
fn of_a_long_pattern_a_part_is_enough() {
    let long = "0123456789".repeat(3000);
    assert!(needles_of(&long)[0].len() <= MAX_PLACES);
}

proptest! {
    #[test]
    fn a_plain_text_is_found_where_it_is(
        pattern in "[abkKsS01:_]{1,6}",
        has_case in any::<bool>(),
        lines_of_text in prop::collection::vec("[abkKsSſK01:_]{0,12}", 0..8),
    ) {
        let text = lines_of_text.join("\n");
        let pattern = Pattern::new(&pattern, has_case).unwrap();
        prop_assert_eq!(lines(&pattern, &text), lines(&pattern.regex, &text));
    }

    #[test]
    fn no_line_is_missed(
        pattern in patterns(),
        has_case in any::<bool>(),
        lines_of_text in prop::collection::vec("[abckKsSſK01:_éÉ ]{0,12}", 0..8),
    ) {
        let text = lines_of_text.join("\n");
        let pattern = Pattern::new(&pattern, has_case).unwrap();
        prop_assert_eq!(lines(&pattern, &text), lines(&pattern.regex, &text));
    }
}
