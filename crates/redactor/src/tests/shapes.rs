//! Secrets by their shapes, wherever they stand.

use super::{
    secrets::{all, private_key, webhooks},
    written,
};
use crate::REDACTED;

/// What stands before and behind a secret; `@` is the secret itself.
const SETTINGS: &[&str] = &[
    "@",
    "  @\n",
    r#"{"id":7,"text":"@","n":[1,2]}"#,
    r#"{"a":"{\"text\":\"got @\\nthen\"}"}"#,
    r#"{"list":["@","b"]}"#,
    "error: the server said `401 Unauthorized` for @ (see the log)",
    "failed with (@).",
    "https://example.org/a/@/b?x=1",
    "https://example.org/?q=@&page=2",
    "https://example.org/?next=%2Fa%3Fq%3D@",
    "https://@@example.org/repo.git",
    "$ echo @\n@\n$ exit",
    "\u{1b}[31m@\u{1b}[0m",
    "line one\nline two: @\nline three",
    r"first\n@\nlast",
    "a\t@\tb",
    "x=@;y=1",
    "<b>@</b>",
    "[@](http://example.org)",
    "é@é",
];

#[test]
fn there_are_fifty_shapes_and_more() {
    assert!(all().len() >= 70, "{}", all().len());
}

#[test]
fn a_secret_of_a_known_shape_is_redacted_wherever_it_stands() {
    for (name, secret) in all() {
        for setting in SETTINGS {
            if ["AWS, session", "Stripe, webhook"].contains(&name) && setting.contains("@/") {
                continue; // It may hold a `/` itself.
            }
            if name == "Telegram" && setting.contains("@@") {
                continue; // There it is a user and a password.
            }
            let text = setting
                .replace("@@", "@:")
                .replace('@', &secret)
                .replace(&format!("{secret}:"), &format!("{secret}@"));
            let expected = text.replace(&secret, REDACTED);
            assert_eq!(written(&text), expected, "{name} in `{setting}`");
        }
    }
}

#[test]
fn an_address_that_is_a_secret_stays_readable() {
    for (address, secret) in webhooks() {
        let text = format!("POST {address}{secret} failed");
        assert_eq!(written(&text), format!("POST {address}[redacted] failed"));
    }
}

/// Terminals, mails and `base64` wrap long words.
#[test]
fn a_secret_that_is_wrapped_is_redacted_to_its_end() {
    let long = all().into_iter().filter(|(_, it)| it.len() > 90);
    for (name, secret) in long {
        for (width, line_break) in [
            (64, "\n"),
            (76, "\r\n"),
            (80, "\n"),
            (76, "\\n"),
            (64, "\n    "),
        ] {
            let rest = secret.len() % width;
            if secret.contains("..") || (1..10).contains(&rest) {
                continue; // What is that short could be a word of its own.
            }
            let lines: Vec<_> = secret
                .as_bytes()
                .chunks(width)
                .map(|it| std::str::from_utf8(it).unwrap())
                .collect();
            let text = format!("it is\n{}\nand more", lines.join(line_break));
            let res = written(&text);
            assert_eq!(
                res, "it is\n[redacted]\nand more",
                "{name} at {width} with {line_break:?}"
            );
        }
    }
}

#[test]
fn of_a_private_key_the_first_and_the_last_line_stay() {
    for kind in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        for line_end in ["\n", "\r\n", "\\n", "\\r\\n", "\\\\n", "\n+", "\n> "] {
            let (first, body, last) = private_key(kind, line_end);
            let text = format!("key: {first}{body}{last} and more");
            assert_eq!(
                written(&text),
                format!("key: {first}[redacted]{last} and more")
            );
            // Cut off, as the end of a log is.
            let cut = format!("key: {first}{}", &body[..body.len() / 2]);
            let res = written(&cut);
            assert!(
                !res.contains(&body[10..30]) && res.contains(REDACTED),
                "{res}"
            );
        }
    }
    let (first, body, last) = (
        "-----BEGIN PUBLIC KEY-----",
        "\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n",
        "-----END PUBLIC KEY-----",
    );
    let public = [first, body, last].concat();
    assert_eq!(written(&public), public);
}

#[test]
fn two_secrets_side_by_side_are_both_redacted() {
    let secrets = all();
    for pair in secrets.windows(2) {
        let text = format!("{} {}", pair[0].1, pair[1].1);
        assert_eq!(
            written(&text),
            "[redacted] [redacted]",
            "{} and {}",
            pair[0].0,
            pair[1].0
        );
    }
}
