//! What holds for every text.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::secrets::all;
use crate::{REDACTED, Redactor, scan};

/// Texts full of what the redactor looks for.
fn tricky() -> impl Strategy<Value = String> {
    let pieces = [
        "password",
        "token",
        "\"",
        "\\\"",
        "\\",
        "'",
        ":",
        "=",
        " ",
        "\n",
        "\\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&",
        "?",
        "://",
        "@",
        "Authorization",
        "Bearer ",
        "Basic ",
        "cookie",
        "a1b2c3d4",
        "hunter2",
        "--",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "é",
        "%3D",
        "\\u003d",
        "null",
        "[redacted]",
        "sk-",
        "eyJ",
        "<",
        ">",
        ".",
        "12",
        "curl -u ",
    ];
    let piece = prop_oneof![
        8 => select(pieces.to_vec()).prop_map(str::to_owned),
        1 => select(all()).prop_map(|(_, secret)| secret),
        1 => ".{0,8}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|it| it.concat())
}

/// Texts as they are written, with what the redactor looks for in them. (Between halves of quotes and of keys, which no
/// writer leaves, what is redacted may make the next word look like a secret.)
fn written_down() -> impl Strategy<Value = String> {
    let around = vec![
        ("", ""),
        ("password=", " "),
        ("the token: ", "."),
        ("{\"api_key\": \"", "\"}"),
        ("{\"a\":\"{\\\"token\\\":\\\"", "\\\"}\"}"),
        ("Authorization: Bearer ", ""),
        ("Authorization: ", ""),
        ("curl --user me:", " https://example.org"),
        ("https://me:", "@example.org/"),
        ("GET /?token=", "&n=1 HTTP/1.1"),
        ("Cookie: a=", "; b=c"),
    ];
    let secret = prop_oneof![
        select(all()).prop_map(|(_, secret)| secret),
        select(vec![
            "hunter2",
            "correct horse",
            "null",
            "$TOKEN",
            "[redacted]",
            "x",
            ""
        ])
        .prop_map(str::to_owned),
    ];
    let line = (select(around), secret, "[a-z0-9 ,.:=]{0,20}");
    let line = line
        .prop_map(|((before, after), secret, rest)| format!("{before}{secret}{after} {rest}\n"));
    prop::collection::vec(line, 0..8).prop_map(|it| it.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        tricky().prop_map(Value::from)
    ];
    let name = prop_oneof![
        select(vec![
            "password",
            "token",
            "a",
            "authorization",
            "api_key",
            "max_tokens"
        ])
        .prop_map(str::to_owned),
        ".{0,6}"
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|it| json!(it)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_redacted_stays_as_it_is(text in written_down()) {
        let redactor = Redactor::new();
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&once), once.as_str());
    }

    #[test]
    fn json_stays_json(value in any_json()) {
        let redactor = Redactor::new();
        let nested = json!({"arguments": value.to_string(), "n": 1});
        for text in [value.to_string(), nested.to_string(), serde_json::to_string_pretty(&nested).unwrap()] {
            let written = redactor.text(&text);
            prop_assert!(serde_json::from_str::<Value>(&written).is_ok(), "{} became {}", text, written);
        }
        let written: Value = serde_json::from_str(&redactor.text(&nested.to_string())).unwrap();
        prop_assert_eq!(&written["n"], 1);
        let arguments = written["arguments"].as_str().unwrap();
        prop_assert!(serde_json::from_str::<Value>(arguments).is_ok(), "{} became {}", nested, arguments);
    }

    #[test]
    fn a_known_secret_is_found_in_any_text((_, secret) in select(all()), before in "[ -~]{0,30}", after in "[ -~]{0,30}") {
        let text = format!("{before} {secret} {after}");
        let written = Redactor::new().text(&text).into_owned();
        prop_assert!(!written.contains(&secret), "{}", written);
    }

    #[test]
    fn what_stands_before_and_behind_a_secret_stays(text in "[a-z ,.\n]{0,80}", (_, secret) in select(all())) {
        let redactor = Redactor::new();
        prop_assert_eq!(redactor.text(&text), text.as_str());
        let both = format!("{text} {secret} {text}");
        prop_assert_eq!(redactor.text(&both), format!("{text} {REDACTED} {text}"));
    }

    #[test]
    fn bytes_that_are_no_text_are_as_good(bytes in prop::collection::vec(any::<u8>(), 0..200), text in tricky()) {
        let mut all = bytes.clone();
        all.extend_from_slice(text.as_bytes());
        all.extend_from_slice(&bytes);
        let _ = Redactor::new().bytes(&all);
        for at in 0..all.len() {
            let _ = scan::begins_word(&all, at);
        }
    }
}

/// Texts made to be looked at again and again. The limit is a hundred times what it takes; what grows with the square of
/// the length takes hours.
#[test]
fn no_text_takes_more_time_than_its_length_is_worth() {
    // Anything that looks at the rest of the text at each place would be at it for hours.
    const LENGTH: usize = 1_000_000;
    let redactor = Redactor::new();
    for piece in [
        "token",
        "token_",
        "token=",
        "token:\"",
        "\"password\":",
        "\"password\":\"",
        "password='",
        "sk-",
        "sk-a",
        "eyJ",
        "eyJ.",
        "eyJa1.",
        "-----BEGIN PRIVATE KEY-----",
        "://",
        "://a:",
        "://a:b/",
        ":AA",
        "Q~",
        "a.atlasv1.",
        "Bearer ",
        "Basic a",
        "curl -u ",
        "-u a:b ",
        "\\",
        "\\\"",
        "\"",
        "[\"",
        "\"token\":[\"",
        "cookie: ",
        "cookie: {a=b ",
        "cookie: a b=",
        "authorization: ",
        "authorization:(",
        "authorization: key ",
        "\"authorization\":\"a ",
        "token=(",
        "?token=(",
        "token: \"(",
        "token: 'a ",
        "\\\"token\\\":\\\"a ",
        "bearer+",
        "basic+",
        "curl -u '",
        "MTI",
        "MTI.",
        "JQQJ99",
        "--password ",
        "<token>",
        "%3Dtoken",
        "{",
        " ",
        "github_pat_",
        "hooks.slack.com/services/",
    ] {
        let text = piece.repeat(LENGTH / piece.len());
        let once = redactor.text(&text);
        assert_eq!(redactor.text(&once), once, "{piece:?}");
    }
}
