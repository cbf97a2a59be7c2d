//! The key is in one header and nowhere else.

use serde_json::{Value, json};
use stub_server::{Answer, Part, StubServer, openai};

use super::support::{BOTH, KEY, ask, options};
use crate::{ApiKey, HttpModel, HttpModelOptions, Protocol, SetupError};

#[test]
fn no_debug_text_shows_it() {
    for protocol in BOTH {
        let options = HttpModelOptions {
            key: ApiKey::parse(KEY, "a test").unwrap(),
            ..HttpModelOptions::new(protocol, "m")
        };
        let shown = format!("{options:?} {:?}", HttpModel::new(options.clone()).unwrap());
        assert!(!shown.contains(KEY), "{shown}");
    }
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_without_showing_it() {
    for key in ["sk-1\nx: y", "sk-ü", "sk-\u{7f}"] {
        let error = ApiKey::parse(key, "MY_KEY").unwrap_err();
        assert!(matches!(&error, SetupError::BadKey { variable } if variable == "MY_KEY"));
        assert!(!error.to_string().contains("sk-"), "{error}");
    }
    assert_eq!(ApiKey::parse(" \n", "MY_KEY").unwrap(), None);
    assert_eq!(
        ApiKey::parse(&format!("{KEY}\n"), "").unwrap(),
        ApiKey::parse(KEY, "").unwrap()
    );
}

#[test]
fn a_variable_that_was_named_must_be_set() {
    let options = HttpModelOptions::new(Protocol::OpenAi, "m");
    let error = options
        .key_from_env(Some("TRISCOPE_TEST_NO_SUCH_KEY"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the variable `TRISCOPE_TEST_NO_SUCH_KEY`, which the key shall come from, is not set"
    );
}

#[test]
fn a_key_in_the_clear_is_noticed() {
    for (base_url, in_clear) in [
        ("http://127.0.0.1:1/v1", false),
        ("https://host.example/v1", false),
        ("http://host.example/v1", true),
    ] {
        let mut options = HttpModelOptions {
            base_url: Some(base_url.to_owned()),
            key: ApiKey::parse(KEY, "a test").unwrap(),
            ..HttpModelOptions::new(Protocol::OpenAi, "m")
        };
        let model = HttpModel::new(options.clone()).unwrap();
        assert_eq!(model.sends_key_in_clear(), in_clear, "{base_url}");
        options.key = None;
        assert!(!HttpModel::new(options).unwrap().sends_key_in_clear());
    }
}

/// Servers do send keys back: in complaints about them, or because they repeat the request.
#[tokio::test]
async fn a_key_that_comes_back_is_taken_out() {
    let (first, second) = KEY.split_at(10);
    let piece = |text: &str| {
        let choice = json!({"delta": {"content": text}});
        Part::bytes(format!("data: {}\n\n", json!({"choices": [choice]})))
    };
    let done = Part::bytes("data: [DONE]\n\n");
    let arguments = json!({"header": KEY}).to_string();
    let json = [("content-type", "application/json")];
    for answer in [
        Answer::json(
            401,
            &[],
            &json!({"error": {"message": format!("wrong key {KEY}")}}),
        ),
        Answer::response(401, &[], KEY),
        // Half of it would be left where the text is cut.
        Answer::response(401, &[], format!("{}{KEY}", "x".repeat(490))),
        Answer::response(200, &json, format!("{}{KEY}", "x".repeat(90))),
        Answer::json(200, &[], &json!({"request": {"authorization": KEY}})),
        Answer::json(200, &[], &json!({"error": {"message": KEY}})),
        Answer::stream([Part::bytes(format!("data: {KEY}\n\n"))]),
        Answer::stream([Part::bytes(format!(
            "data: {{\"error\": {{\"type\": \"{KEY}\"}}}}\n\n"
        ))]),
        Answer::raw([Part::bytes(format!("HTTP/1.1 200 {KEY}\r\n{KEY}\r\n\r\n"))]),
        Answer::json(200, &[], &openai::text(KEY, Value::Null)),
        Answer::stream([piece(first), piece(second), done.clone()]),
        Answer::json(
            200,
            &[],
            &openai::calls(&[(KEY, KEY, &arguments)], Value::Null),
        ),
    ] {
        for stream in [true, false] {
            for protocol in BOTH {
                let server = StubServer::scripted([answer.clone()]).unwrap();
                let options = HttpModelOptions {
                    stream,
                    ..options(protocol, &server)
                };
                let shown = match ask(options).await {
                    Ok(reply) => format!("{reply:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                for part in [KEY, &KEY[..20]] {
                    assert!(!shown.contains(part), "{shown}");
                }
            }
        }
    }
}

/// A stand-in for servers that want any key at all is an ordinary word.
#[tokio::test]
async fn a_word_that_serves_as_a_key_may_be_said() {
    let reply = openai::text("none of them", Value::Null);
    let server = StubServer::start(move |it| Answer::completion(it, &reply)).unwrap();
    let reply = ask(HttpModelOptions {
        key: ApiKey::parse("none", "a test").unwrap(),
        ..options(Protocol::OpenAi, &server)
    });
    assert_eq!(reply.await.unwrap().message.content, "none of them");
}
