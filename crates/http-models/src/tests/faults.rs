//! What becomes of a bad answer: an error that says what happened, in bounded time and memory.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use stub_server::{Answer, Part, StubServer, anthropic, openai};
use worker_runner::{ErrorClass, ModelError};

use super::support::{BOTH, KEY, ask, asked, options, serving, text};
use crate::{HttpModelOptions, Protocol, draft::Draft};

/// Only a test that fails waits this long.
const DEADLINE: Duration = Duration::from_mins(1);

/// Fails within the deadline, without the key.
async fn error(options: HttpModelOptions) -> ModelError {
    let asked = tokio::time::timeout(DEADLINE, ask(options)).await;
    let error = asked.expect("the call ends").expect_err("the call fails");
    assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    error
}

async fn error_of(protocol: Protocol, answer: Answer) -> ModelError {
    let server = StubServer::scripted([answer]).unwrap();
    error(options(protocol, &server)).await
}

fn events(protocol: Protocol, reply: &Value) -> Vec<String> {
    match protocol {
        Protocol::OpenAi => openai::events(reply),
        Protocol::Anthropic => anthropic::events(reply),
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said_and_how_long_to_wait() {
    for protocol in BOTH {
        let body = json!({"error": {"type": "rate_limit_error", "message": "slow down"}});
        let error = error_of(protocol, Answer::json(429, &[("retry-after", "7")], &body)).await;
        assert_eq!(
            (error.class, error.retry_after),
            (ErrorClass::RateLimited, Some(Duration::from_secs(7)))
        );
        let text = error.to_string();
        assert!(
            text.starts_with("rate_limited: HTTP 429 Too Many Requests from 127.0.0.1:"),
            "{text}"
        );
        assert!(text.ends_with(": slow down"), "{text}");

        let error = error_of(protocol, Answer::response(503, &[], "x".repeat(100_000))).await;
        assert_eq!(
            (error.class, error.retry_after),
            (ErrorClass::ServerError, None)
        );
        assert!(error.reason.len() < 1000, "{}", error.reason.len());
    }
}

#[tokio::test]
async fn a_stream_that_ends_early_is_broken_off_wherever_it_ends() {
    for protocol in BOTH {
        let reply = text(protocol, "forty-two", Value::Null);
        let whole = events(protocol, &reply).concat();
        // Where the provider has said that the reply is whole, nothing is missing.
        let last_word = if protocol == Protocol::OpenAi {
            "\"finish_reason\":\"stop\""
        } else {
            "\"stop_reason\":\"end_turn\""
        };
        let end = whole.find(last_word).unwrap();
        for cut in (0..end).step_by(31) {
            let part = Part::bytes(&whole[..cut]);
            for answer in [
                Answer::stream([part.clone()]),
                Answer::broken_stream([part]),
            ] {
                let error = error_of(protocol, answer).await;
                assert!(
                    matches!(error.class, ErrorClass::BrokenOff | ErrorClass::BadReply),
                    "{cut}: {error}"
                );
            }
        }
        let error = error_of(
            protocol,
            Answer::broken_stream([Part::bytes(&whole[..end])]),
        )
        .await;
        assert_eq!(error.class, ErrorClass::BrokenOff);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_said() {
    let raw = |text: &str| Answer::raw([Part::bytes(text)]);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let deep = "[".repeat(100_000);
    for (answer, class) in [
        (raw(""), ErrorClass::BrokenOff),
        (raw("HTTP/1.1 2"), ErrorClass::BrokenOff),
        (raw("SSH-2.0-OpenSSH_9.9\r\n"), ErrorClass::BrokenOff),
        (raw("\0\u{1}\u{2}\n\n\n"), ErrorClass::BrokenOff),
        // Half a body.
        (
            raw(&format!("{head}content-length: 100\r\n\r\n{{\"choices\":")),
            ErrorClass::BrokenOff,
        ),
        (Answer::json(200, &[], &json!({})), ErrorClass::BadReply),
        (
            Answer::json(200, &[], &json!([1, null])),
            ErrorClass::BadReply,
        ),
        (
            Answer::json(200, &[], &json!({"choices": [], "content": null})),
            ErrorClass::BadReply,
        ),
        (
            Answer::response(200, &[("content-type", "application/json")], &deep),
            ErrorClass::BadReply,
        ),
        (
            Answer::response(
                200,
                &[("content-type", "application/json")],
                "{\"choices\":",
            ),
            ErrorClass::BadReply,
        ),
        (
            Answer::response(200, &[("content-type", "application/json")], b"\xff\xfe{}"),
            ErrorClass::BadReply,
        ),
        (
            Answer::response(200, &[("content-type", "text/html")], "<html>Log in</html>"),
            ErrorClass::BadReply,
        ),
        (Answer::response(200, &[], "hello"), ErrorClass::BadReply),
        (Answer::response(200, &[], ""), ErrorClass::BrokenOff),
        (Answer::response(204, &[], ""), ErrorClass::BrokenOff),
        (
            Answer::stream([Part::bytes("data: {\"choices\":\n\n")]),
            ErrorClass::BadReply,
        ),
        (
            Answer::stream([Part::bytes(format!("data: {deep}\n\n"))]),
            ErrorClass::BadReply,
        ),
        // A failure with a good status, as gateways give it.
        (
            Answer::json(200, &[], &json!({"error": {"message": "no", "code": 429}})),
            ErrorClass::RateLimited,
        ),
        (
            Answer::json(200, &[], &json!({"error": {"message": "no", "code": 502}})),
            ErrorClass::ServerError,
        ),
        (
            Answer::json(200, &[], &json!({"error": "no such model"})),
            ErrorClass::Refused,
        ),
        (
            Answer::stream([Part::bytes(
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            )]),
            ErrorClass::ServerError,
        ),
    ] {
        for protocol in BOTH {
            let error = error_of(protocol, answer.clone()).await;
            assert_eq!(
                error.class,
                class,
                "{protocol}: {error}, of {:?}",
                shown(&answer)
            );
        }
    }
}

fn shown(answer: &Answer) -> String {
    format!("{answer:?}").chars().take(300).collect()
}

#[tokio::test]
async fn a_server_that_is_silent_does_not_hold_a_worker() {
    for protocol in BOTH {
        let reply = events(protocol, &text(protocol, "42", Value::Null));
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
        for answer in [
            Answer::hang(),
            Answer::raw([Part::bytes("HTTP/1.1 200 OK\r\n"), Part::Hang]),
            Answer::raw([Part::bytes(head), Part::Hang]),
            Answer::stream([Part::bytes(&*reply[0]), Part::Hang]),
            Answer::raw([
                Part::bytes("HTTP/1.1 401 No\r\ncontent-length: 9\r\n\r\n"),
                Part::Hang,
            ]),
        ] {
            let server = StubServer::scripted([answer.clone()]).unwrap();
            let error = error(HttpModelOptions {
                silence_timeout: Duration::from_millis(50),
                ..options(protocol, &server)
            });
            let error = error.await;
            // What explains a refusal may be missing; the refusal is known.
            let class = if shown(&answer).contains("401") || error.class == ErrorClass::Unauthorized
            {
                ErrorClass::Unauthorized
            } else {
                ErrorClass::Timeout
            };
            assert_eq!(error.class, class, "{error}, of {:?}", shown(&answer));
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let forever = |kind: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n");
    let word = "data: {\"choices\":[{\"delta\":{\"content\":\"and so on \"}}],\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"and so on \"}}\n\n";
    for (head, again, class) in [
        // One event, one line, one body that never ends.
        (
            forever("text/event-stream"),
            "data: x".to_owned(),
            ErrorClass::BadReply,
        ),
        (
            forever("text/event-stream"),
            "data: \n".to_owned(),
            ErrorClass::BadReply,
        ),
        (
            forever("application/json"),
            "[[[[".to_owned(),
            ErrorClass::BadReply,
        ),
        // A model that goes on and on.
        (
            forever("text/event-stream"),
            word.to_owned(),
            ErrorClass::BadReply,
        ),
        // A server that says nothing at length.
        (
            forever("text/event-stream"),
            ": ping\n\n".to_owned(),
            ErrorClass::BadReply,
        ),
        (
            "HTTP/1.1 401 No\r\n\r\n".to_owned(),
            "no ".to_owned(),
            ErrorClass::Unauthorized,
        ),
        (
            "HTTP/1.1 200 OK\r\n".to_owned(),
            "x-header: y\r\n".to_owned(),
            ErrorClass::BrokenOff,
        ),
    ] {
        for protocol in BOTH {
            let flood = again.repeat(10_000);
            let answer = Answer::raw([Part::bytes(&*head), Part::Flood(flood.into_bytes())]);
            let server = StubServer::scripted([answer]).unwrap();
            let error = error(HttpModelOptions {
                max_answer_bytes: 4 << 20,
                ..options(protocol, &server)
            });
            let error = error.await;
            assert_eq!(error.class, class, "{error}, of {again:?}");
            assert!(error.reason.len() < 1000, "{}", error.reason.len());
        }
    }
    // Slowly, but for ever.
    let server = StubServer::start(|_| {
        let slowly = [
            Part::bytes(": ping\n\n"),
            Part::Pause(Duration::from_millis(10)),
        ];
        Answer::stream(slowly.into_iter().cycle().take(100_000))
    })
    .unwrap();
    let error = error(HttpModelOptions {
        call_timeout: Duration::from_millis(100),
        ..options(Protocol::OpenAi, &server)
    });
    assert_eq!(error.await.class, ErrorClass::Timeout);
}

/// Numbers and counts that a client must not believe.
#[tokio::test]
async fn a_reply_of_absurd_tool_calls_is_a_bad_reply() {
    let call = |index: u64| {
        json!({"choices": [{"delta": {"tool_calls": [
            {"index": index, "id": "a", "function": {"name": "x", "arguments": "{}"}},
        ]}}]})
    };
    let block = |index: u64| {
        json!({"type": "content_block_start", "index": index, "content_block": {
            "type": "tool_use", "id": "a", "name": "x", "input": {},
        }})
    };
    let event = |it: Value| Part::bytes(format!("data: {it}\n\n"));
    let many_calls = Answer::stream((0..1000).map(|it| event(call(it))));
    let many_blocks = Answer::stream((0..1000).map(|it| event(block(it))));
    for (protocol, answer) in [
        (Protocol::OpenAi, many_calls),
        (Protocol::Anthropic, many_blocks),
    ] {
        let error = error_of(protocol, answer).await;
        assert_eq!(error.class, ErrorClass::BadReply, "{error}");
    }
    // A number is only a name for a call, however high it is.
    let done = Part::bytes("data: [DONE]\n\n");
    let high = Answer::stream([event(call(4_000_000_000)), event(call(u64::MAX)), done]);
    let reply = asked(Protocol::OpenAi, high).await.unwrap();
    assert_eq!(reply.message.tool_calls.len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    for protocol in BOTH {
        let server = serving(Value::Null);
        let options = options(protocol, &server);
        let address = server.address();
        drop(server);
        let error = error(options).await;
        assert_eq!(error.class, ErrorClass::Unreachable);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("unreachable: could not connect to {address}: ")),
            "{text}"
        );
    }
}

/// The key would go wherever the first server points.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    for protocol in BOTH {
        let other = serving(text(protocol, "42", Value::Null));
        let url = format!("{}/elsewhere", other.base_url());
        for status in [301, 302, 303, 307, 308] {
            let answer = Answer::response(status, &[("location", &url)], "");
            let error = error_of(protocol, answer).await;
            assert_eq!(error.class, ErrorClass::Refused, "{error}");
            assert!(error.reason.contains("points elsewhere"), "{error}");
        }
        assert_eq!(other.received().len(), 0);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "tool_use",
            "message_start",
            "content_block_delta",
            "input_json_delta",
            "stop"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 4, |inner| {
        let keys = vec![
            "choices",
            "delta",
            "message",
            "content",
            "tool_calls",
            "function",
            "arguments",
            "index",
            "id",
            "name",
            "usage",
            "error",
            "type",
            "finish_reason",
            "prompt_tokens",
            "input_tokens",
            "content_block",
            "input",
            "cache_read_input_tokens",
            "cost",
            "text",
            "code",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(
                prop::sample::select(keys).prop_map(str::to_owned),
                inner,
                0..6
            )
            .prop_map(|it| it.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_reply_or_an_error(values in prop::collection::vec(any_json(), 1..5)) {
        for value in &values {
            let _ = crate::openai::answer(value);
            let _ = crate::anthropic::answer(value);
        }
        for read in [crate::openai::event, crate::anthropic::event] {
            let mut draft = Draft::default();
            for value in &values {
                let _ = read(&mut draft, &value.to_string());
            }
            let _ = draft.message(|it| it);
        }
    }
}
