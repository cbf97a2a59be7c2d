//! What becomes of a good answer.

use std::time::{Duration, Instant};

use metrics_core::Usage;
use serde_json::{Value, json};
use stub_server::{Answer, Part, StubServer, anthropic, openai};
use worker_runner::{ChatModel as _, ChatReply, ChatRequest, ToolRequest};

use super::support::{BOTH, ask, asked, options, serving, text};
use crate::{HttpModel, Protocol};

/// The reply, whole and streamed: both must say the same.
async fn both_ways(protocol: Protocol, reply: Value) -> ChatReply {
    let server = serving(reply);
    let mut options = options(protocol, &server);
    let streamed = ask(options.clone()).await.unwrap();
    options.stream = false;
    let whole = ask(options).await.unwrap();
    assert_eq!(
        (
            &streamed.message,
            streamed.usage,
            streamed.cost_usd,
            &streamed.cut_short
        ),
        (
            &whole.message,
            whole.usage,
            whole.cost_usd,
            &whole.cut_short
        )
    );
    assert_eq!(
        (streamed.ttft.is_some(), whole.ttft),
        (
            !streamed.message.content.is_empty() || !streamed.message.tool_calls.is_empty(),
            None
        )
    );
    assert_eq!(streamed.provider, Some(server.address().to_string()));
    streamed
}

#[tokio::test]
async fn text_is_text() {
    for protocol in BOTH {
        for said in [
            "The result is 42.",
            "é",
            "a\n\nb: {\"data\": \"\\n\"}\r\n",
            "",
        ] {
            let reply = both_ways(protocol, text(protocol, said, Value::Null)).await;
            assert_eq!(reply.message.content, said);
            assert_eq!(reply.message.tool_calls, []);
            assert_eq!((reply.usage, reply.cut_short), (Usage::default(), None));
        }
    }
}

#[tokio::test]
async fn parallel_tool_calls_keep_their_order_and_arguments() {
    let wanted = [
        ("call_1", "calculate", r#"{"expression":"7*6"}"#),
        ("call_2", "time", "{}"),
    ];
    let openai = openai::calls(&wanted, Value::Null);
    let wanted = wanted.map(|(id, name, json)| (id, name, serde_json::from_str(json).unwrap()));
    let anthropic = anthropic::calls(&wanted, Value::Null);
    for (protocol, reply) in [(Protocol::OpenAi, openai), (Protocol::Anthropic, anthropic)] {
        let reply = both_ways(protocol, reply).await;
        assert_eq!(reply.message.content, "");
        let call = |id: &str, name: &str, arguments: &str| ToolRequest {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let calls = reply.message.tool_calls;
        assert_eq!(
            calls[0],
            call("call_1", "calculate", r#"{"expression":"7*6"}"#)
        );
        // No arguments are none at all, or an empty object.
        assert_eq!(
            (&*calls[1].id, &*calls[1].name, calls.len()),
            ("call_2", "time", 2)
        );
        assert!(matches!(&*calls[1].arguments, "" | "{}"), "{calls:?}");
    }
}

#[tokio::test]
async fn arguments_stay_as_the_model_wrote_them() {
    let reply = openai::calls(&[("a", "x", "{\"n\": 1.0, oops")], Value::Null);
    let reply = both_ways(Protocol::OpenAi, reply).await;
    assert_eq!(reply.message.tool_calls[0].arguments, "{\"n\": 1.0, oops");
}

/// The pieces of two calls may come in turns, and not every server numbers or names all of them.
#[tokio::test]
async fn pieces_of_calls_find_each_other() {
    let event = |calls: Value| {
        let choice = json!({"index": 0, "delta": {"tool_calls": calls}});
        Part::bytes(format!("data: {}\n\n", json!({"choices": [choice]})))
    };
    let piece = |index: Value, id: &str, name: &str, arguments: Value| json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
    for pieces in [
        vec![
            json!([
                piece(0.into(), "call_1", "x", "".into()),
                piece(1.into(), "call_2", "y", "{\"b\":".into())
            ]),
            json!([piece(0.into(), "", "", "{\"a\":".into())]),
            json!([piece(1.into(), "", "", "2}".into())]),
            json!([piece(0.into(), "", "", "1}".into())]),
        ],
        // Everything repeated.
        vec![
            json!([piece(0.into(), "call_1", "x", "{\"a\":".into())]),
            json!([piece(0.into(), "call_1", "x", "1}".into())]),
            json!([piece(1.into(), "call_2", "y", "{\"b\":2}".into())]),
        ],
        // No numbers.
        vec![
            json!([piece(Value::Null, "call_1", "x", "{\"a\":1}".into())]),
            json!([piece(Value::Null, "call_2", "y", "{\"b\":".into())]),
            json!([piece(Value::Null, "", "", "2}".into())]),
        ],
        // Objects instead of text, and no ids.
        vec![json!([
            piece(0.into(), "", "x", json!({"a": 1})),
            piece(1.into(), "", "y", json!({"b": 2}))
        ])],
    ] {
        let shown = format!("{pieces:?}");
        let done = Part::bytes("data: [DONE]\n\n");
        let answer = Answer::stream(pieces.into_iter().map(event).chain([done]));
        let reply = asked(Protocol::OpenAi, answer).await.unwrap();
        let calls = reply.message.tool_calls.iter();
        let calls: Vec<_> = calls
            .map(|it| (&*it.id, &*it.name, &*it.arguments))
            .collect();
        assert_eq!(
            calls,
            [("call_1", "x", "{\"a\":1}"), ("call_2", "y", "{\"b\":2}")],
            "{shown}"
        );
    }
}

#[tokio::test]
async fn tokens_are_the_provider_s_in_one_meaning() {
    let openai = |usage: Value| (Protocol::OpenAi, usage);
    let anthropic = |usage: Value| (Protocol::Anthropic, usage);
    let none = Usage::default();
    for ((protocol, reported), usage) in [
        (
            openai(json!({
                "prompt_tokens": 1234, "completion_tokens": 89, "total_tokens": 1323,
                "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 64},
            })),
            Usage {
                cached_tokens: Some(1024),
                reasoning_tokens: Some(64),
                ..Usage::new(1234, 89)
            },
        ),
        // A total of its own, whatever it adds up to.
        (
            openai(json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 15})),
            Usage {
                total_tokens: Some(15),
                ..Usage::new(10, 2)
            },
        ),
        (
            openai(json!({"prompt_tokens": 10, "completion_tokens": 2})),
            Usage::new(10, 2),
        ),
        // Reported as 0 is 0, not unknown.
        (
            openai(json!({
                "prompt_tokens": 10, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0},
            })),
            Usage {
                cached_tokens: Some(0),
                ..Usage::new(10, 0)
            },
        ),
        // Half a report, and what is no count.
        (
            openai(json!({
                "prompt_tokens": 10, "completion_tokens": -1, "prompt_tokens_details": null,
                "completion_tokens_details": {"reasoning_tokens": "many"},
            })),
            Usage {
                prompt_tokens: Some(10),
                ..none
            },
        ),
        (
            openai(
                json!({"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}),
            ),
            Usage {
                cached_tokens: Some(8),
                ..Usage::new(10, 2)
            },
        ),
        (
            openai(json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX})),
            Usage {
                prompt_tokens: Some(u64::MAX),
                completion_tokens: Some(u64::MAX),
                ..none
            },
        ),
        (openai(json!("many")), none),
        (
            anthropic(json!({
                "input_tokens": 100, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 300,
                "output_tokens": 50,
            })),
            Usage {
                cached_tokens: Some(300),
                cache_write_tokens: Some(200),
                ..Usage::new(600, 50)
            },
        ),
        (
            anthropic(json!({"input_tokens": 10, "output_tokens": 2})),
            Usage::new(10, 2),
        ),
        (
            anthropic(json!({
                "input_tokens": 10, "output_tokens": 2, "cache_creation_input_tokens": null, "cache_read_input_tokens": 0,
            })),
            Usage {
                cached_tokens: Some(0),
                ..Usage::new(10, 2)
            },
        ),
    ] {
        let reply = both_ways(protocol, text(protocol, "42", reported.clone())).await;
        assert_eq!(reply.usage, usage, "{reported}");
    }
}

#[tokio::test]
async fn a_cost_is_the_number_that_the_provider_wrote() {
    for (cost, text_of_it) in [
        ("0.00048650", Some("0.00048650")),
        ("1e-7", Some("0.0000001")),
        ("-1", None),
        ("\"1\"", None),
    ] {
        let usage = format!(r#"{{"prompt_tokens":1,"completion_tokens":1,"cost":{cost}}}"#);
        let reply = openai::text("42", serde_json::from_str(&usage).unwrap());
        let reply = both_ways(Protocol::OpenAi, reply).await;
        let expected = text_of_it.map(|it| it.parse::<metrics_core::Decimal>().unwrap());
        assert_eq!(reply.cost_usd, expected, "{cost}");
    }
}

#[tokio::test]
async fn the_first_token_is_timed_where_text_or_a_call_begins() {
    const PAUSE: Duration = Duration::from_millis(40);
    for protocol in BOTH {
        let replies = [
            text(protocol, "forty-two", Value::Null),
            match protocol {
                Protocol::OpenAi => openai::calls(&[("a", "x", "{}")], Value::Null),
                Protocol::Anthropic => anthropic::calls(&[("a", "x", json!({}))], Value::Null),
            },
        ];
        for reply in replies {
            let events = match protocol {
                Protocol::OpenAi => openai::events(&reply),
                Protocol::Anthropic => anthropic::events(&reply),
            };
            let last = events.len() - 1;
            // A pause before the first piece that has something to show, and one before the end.
            let first = events
                .iter()
                .position(|it| it.contains("fort") || it.contains("\"x\""))
                .unwrap();
            // A busy machine may read it late, now and then; at the end, it would be late each time.
            let mut tries = 0;
            loop {
                let parts = events.clone().into_iter().enumerate();
                let parts = parts.flat_map(|(n, event)| {
                    let pause = (n == first || n == last).then_some(Part::Pause(PAUSE));
                    pause.into_iter().chain([Part::bytes(event)])
                });
                let started = Instant::now();
                let reply = asked(protocol, Answer::stream(parts)).await.unwrap();
                let (ttft, whole) = (reply.ttft.unwrap(), started.elapsed());
                assert!(ttft >= PAUSE && ttft <= whole, "{ttft:?} of {whole:?}");
                if ttft < 2 * PAUSE {
                    break;
                }
                tries += 1;
                assert!(tries < 50, "{ttft:?} of {whole:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_reply_that_was_cut_short_says_why() {
    let message = json!({"role": "assistant", "content": "Once upon a"});
    let block = json!([{"type": "text", "text": "Once upon a"}]);
    for (protocol, reason, why) in [
        (
            Protocol::OpenAi,
            "length",
            Some("the token limit of one reply"),
        ),
        (
            Protocol::OpenAi,
            "content_filter",
            Some("the provider's content filter"),
        ),
        (Protocol::OpenAi, "stop", None),
        (
            Protocol::Anthropic,
            "max_tokens",
            Some("the token limit of one reply"),
        ),
        (
            Protocol::Anthropic,
            "refusal",
            Some("the model refused to go on"),
        ),
        (Protocol::Anthropic, "end_turn", None),
    ] {
        let reply = match protocol {
            Protocol::OpenAi => openai::completion(message.clone(), reason, Value::Null),
            Protocol::Anthropic => anthropic::message(block.clone(), reason, Value::Null),
        };
        let reply = both_ways(protocol, reply).await;
        assert_eq!(reply.cut_short.as_deref(), why, "{reason}");
        assert_eq!(reply.message.content, "Once upon a");
    }
}

#[tokio::test]
async fn what_other_servers_do_differently_is_read_too() {
    let stop = r#"{"choices":[{"delta":{"content":"42"},"finish_reason":"stop"}]}"#;
    for answer in [
        // No end of the stream but its end, and no last empty line.
        Answer::stream([Part::bytes(format!("data: {stop}"))]),
        Answer::stream([Part::bytes(format!(
            ": hello\r\n\r\ndata:{stop}\r\n\r\ndata: [DONE]\r\n\r\n"
        ))]),
        // The end of the connection is the end of the answer.
        Answer::raw([Part::bytes(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\ndata: {stop}\n\ndata: [DONE]\n\n"
        ))]),
        // It was asked to stream, and does not.
        Answer::json(200, &[], &openai::text("42", Value::Null)),
        // Reasoning beside the text, which is none of ours, and text in parts.
        Answer::stream([
            Part::bytes("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"),
            Part::bytes(
                "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\"},{\"type\":\"text\",\"text\":\"42\"}]}}]}\n\n",
            ),
            Part::bytes("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"),
        ]),
    ] {
        let shown = format!("{answer:?}");
        let reply = asked(Protocol::OpenAi, answer).await.expect(&shown);
        assert_eq!(reply.message.content, "42", "{shown}");
    }
}

/// The end of the last answer may come a little later than the end of the reply, and nobody waits for it; so some later
/// call finds the connection free, if not the very next.
#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    const LATE: Duration = Duration::from_millis(10);
    for protocol in BOTH {
        let reply = text(protocol, "42", Value::Null);
        let events = match protocol {
            Protocol::OpenAi => openai::events(&reply),
            Protocol::Anthropic => anthropic::events(&reply),
        };
        let server = StubServer::start(move |_| {
            let parts = events.iter().map(|it| Part::bytes(&**it));
            Answer::stream(parts.chain([Part::Pause(LATE)]))
        })
        .unwrap();
        let model = HttpModel::new(options(protocol, &server)).unwrap();
        let request = ChatRequest {
            messages: &[],
            tools: &[],
        };
        let mut is_shared = false;
        for n in 1..=200 {
            model.chat(request).await.unwrap();
            is_shared = server.received()[n - 1].connection < n - 1;
            if is_shared {
                break;
            }
            tokio::time::sleep(2 * LATE).await;
        }
        assert!(is_shared, "every call had a connection of its own");
    }
}
