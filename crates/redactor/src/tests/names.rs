//! Secrets by the names they stand under.

use super::{marked, written};
use crate::Redactor;

/// `‹…›` marks what is a secret; the rest stays, byte for byte.
const TEXTS: &[&str] = &[
    // JSON, and JSON within JSON.
    r#"{"password":"‹correct horse›","max_tokens":100,"tokens":5}"#,
    r#"{"a": {"api_key" : "‹a\"b\\›", "b": null}}"#,
    r#"{"token":"‹abcdef›","token_count":7,"password":null,"secret":true,"client_secret":""}"#,
    r#"{"arguments":"{\"url\":\"x\",\"password\":\"‹p\\\"q\\\\›\",\"n\":1}"}"#,
    r#"{"a":"{\"b\":\"{\\\"token\\\":\\\"‹t0ken›\\\",\\\"c\\\":1}\"}"}"#,
    r#"{"headers":{"Authorization":"Bearer ‹abc.def›","Accept":"*/*","Set-Cookie":"‹a=b; Path=/›"}}"#,
    r#"{"headers":{"authorization":["‹first›","Basic ‹second›"],"x-api-key":["‹x›"]}}"#,
    r#"{"args":["mysql","--password","‹hunter two›","-e","select 1"]}"#,
    r#"{"stderr":"> Authorization: Bearer ‹abcd1234›\r\n> Accept: */*"}"#,
    r#"{"log":"password=‹hunter2›\nnext line"}"#,
    r#"{"private_key":"‹MIIEvQ…›"}"#,
    // Assignments.
    "export DB_PASSWORD=‹hunter2› && make",
    "PASSWORD=‹swordfish›",
    "GITHUB_TOKEN=‹abcdefgh›\nHOME=/home/ada",
    "password=‹p&ss,w;rd›&user=ada",
    "login failed: password=‹hunter2›, user=ada",
    "Server=db;User Id=sa;Password=‹p4ss!word›;Encrypt=true",
    "AccountName=x;AccountKey=‹c2VjcmV0LXN0b3JhZ2Uta2V5==›;EndpointSuffix=core.windows.net",
    "spring.datasource.password=‹hunter2›",
    "{name=ada, password=‹abc123›}",
    "password: ‹hunter2›",
    "password: ‹swordfish›\nuser: ada",
    "  client_secret: '‹it is›'",
    "secret = \"‹open sesame›\"",
    "os.environ[\"PASSWORD\"] = \"‹open sesame›\"",
    "token = '‹0123456789abcdef›'",
    "Config { password: Some(\"‹hunter2›\"), user: \"ada\" }",
    "Config { password: \"‹hunter2›\", retries: 3 }",
    "<server><password>‹swordfish›</password></server>",
    // Options of commands.
    "mysql --user=root --password=‹x› -e 'select 1'",
    "tool --password ‹x› --verbose",
    "tool --api-key ‹abc› --token '‹a b›' run",
    "curl -u ada:‹open-sesame› http://example.org",
    "curl --user 'ada:‹open sesame›' http://example.org",
    // Headers.
    "Authorization: Bearer ‹abc›",
    "curl -H 'Authorization: token ‹0a1b2c›' -H \"X-Api-Key: ‹0a1b2c3d›\" https://example.org",
    "Authorization: AWS4-HMAC-SHA256 ‹Credential=a/b, SignedHeaders=host, Signature=c›\nHost: x",
    "Authorization: ‹a1b2c3›",
    "Cookie: ‹session=abc; theme=dark›\nHost: x",
    "set-cookie: ‹id=7; HttpOnly›\r\n",
    "Proxy-Authorization: Basic ‹YWRhOm9wZW4›",
    "it sent Bearer ‹0a1b2c3d4e› and failed",
    "it sent Basic ‹YWRhOm9wZW4gc2VzYW1l› and failed",
    // Addresses.
    "postgres://ada:‹open-sesame›@db.example.org:5432/app?sslmode=require",
    "redis://:‹p@ss›@localhost:6379/0",
    "amqp://ada:‹a/b›@host/vhost",
    "https://example.org/a?user=ada&access_token=‹abcd›&page=2#top",
    "GET /hook?token=‹abcdef›&n=1 HTTP/1.1",
    "https://x.blob.core.windows.net/c/b?sv=1&sig=‹AbCdEfGhIjKlMnOpQr%3D›&se=2",
    r"https://example.org/?token=‹abc123›\u0026page=2",
    "redirect=%2Fcallback%3Ftoken%3D‹abc123def›",
    // A registry's settings.
    r#"{"auths":{"registry.example.org":{"auth":"‹YWRhOm9wZW4gc2VzYW1l›"}}}"#,
    "//registry.example.org/:_authToken=‹0a1b2c3d-4e5f›",
    // One that was found before the name it stands under.
    "curl -u PASSWORD=‹hunter2:hunter3› http://localhost",
    // A text that ends where the one around it does.
    r#"["curl -u \":‹hunter2\\›"]"#,
    r#"[["password%3D["]]"#,
    // A number of a session, and what lets one in.
    r#"{"session_id":"11111111-2222-4333-8444-555555555555"}"#,
    r#"{"session_id":"‹4k9x7c51e8d24b60›"}"#,
    // Already done.
    "password=[redacted] Authorization: Bearer [redacted]",
];

#[test]
fn what_stands_under_a_secret_name_is_redacted_and_nothing_else() {
    for text in TEXTS {
        let (plain, expected) = marked(text);
        assert_eq!(written(&plain), expected, "{plain}");
        if let Ok(before) = serde_json::from_str::<serde_json::Value>(&plain) {
            let after: serde_json::Value = serde_json::from_str(&expected).unwrap();
            assert_eq!(
                before.as_object().map(serde_json::Map::len),
                after.as_object().map(serde_json::Map::len)
            );
        }
    }
}

#[test]
fn a_number_that_is_a_secret_becomes_a_text() {
    let text =
        r#"{"password": 12345, "args": "{\"passcode\":-7}", "token": 50256, "max_tokens": 3}"#;
    let expected = r#"{"password": "[redacted]", "args": "{\"passcode\":\"[redacted]\"}", "token": 50256, "max_tokens": 3}"#;
    assert_eq!(written(text), expected);
}

#[test]
fn a_text_that_is_cut_off_is_redacted_to_its_end() {
    for (text, expected) in [
        (r#"{"password":"open ses"#, r#"{"password":"[redacted]"#),
        ("password='open ses", "password='[redacted]"),
        (
            "Authorization: Bearer a",
            "Authorization: Bearer [redacted]",
        ),
        (
            r#"{"a":"{\"password\":\"open"}"#,
            r#"{"a":"{\"password\":\"[redacted]"}"#,
        ),
    ] {
        assert_eq!(written(text), expected);
    }
}

#[test]
fn names_prefixes_and_values_of_ones_own_are_known_too() {
    let redactor = Redactor::builder()
        .key("acme-pin")
        .prefix("acme_", 6)
        .value("correct horse \"battery\"")
        .environment([
            ("DB_PASSWORD", "s3cr3t-in-env"),
            ("HOME", "a-home-of-its-own"),
            ("TOKEN", "production"),
        ])
        .build();
    for text in [
        r#"{"acmePin":"‹7›"} ACME_PIN=‹7351› acme_pin_count=12"#,
        "acme_‹›123456"
            .replace("acme_‹›123456", "‹acme_ab123456›")
            .as_str(),
        "say ‹correct horse \"battery\"› twice",
        r#"{"a":"say ‹correct horse \"battery\"›"}"#,
        "?q=‹correct%20horse%20%22battery%22›",
        "the value is ‹s3cr3t-in-env› in a-home-of-its-own in production",
    ] {
        let (plain, expected) = marked(text);
        assert_eq!(redactor.text(&plain), expected);
    }
    // The same in base64, as the settings of a cluster hold it.
    let encoded = "data: YTpzM2NyM3QtaW4tZW52OmI="; // `a:s3cr3t-in-env:b`
    assert!(
        !redactor.text(encoded).contains("czNjcjN0")
            && redactor.text(encoded).contains("[redacted]")
    );
    assert!(!format!("{redactor:?}").contains("s3cr3t"));
}

#[test]
fn a_redactor_that_is_off_leaves_everything() {
    let redactor = Redactor::off();
    let text = "password=hunter2 Authorization: Bearer abc123def456";
    assert_eq!(redactor.text(text), text);
    assert!(redactor.is_off() && !redactor.is_secret_key("password"));
}

#[test]
fn options_with_a_secret_behind_them_are_known() {
    let redactor = Redactor::new();
    for option in [
        "--password",
        "-password",
        "--api-key",
        "--db-password",
        "--access_token",
    ] {
        assert!(redactor.is_secret_option(option), "{option}");
    }
    for option in [
        "password",
        "--max-tokens",
        "--password=x",
        "--",
        "",
        "--password-file",
        "--user",
    ] {
        assert!(!redactor.is_secret_option(option), "{option}");
    }
}
