//! Whole workers against aimock, in both protocols: tools, streams, waits, failures.

use metrics_core::Event;
use serde_json::{Value, json};

use crate::{
    cli::{Place, metadata},
    support::{Aimock, MetricsFile, skip},
};

const PROTOCOLS: [&str; 2] = ["openai", "anthropic"];

/// Ends the test early, as a visible skip, unless the server can be started.
macro_rules! aimock {
    ($fixtures:expr, $flags:expr) => {
        match Aimock::start(&$fixtures, $flags) {
            Ok(server) => server,
            Err(reason) => {
                fn here() {}
                skip(std::any::type_name_of_val(&here), &reason);
                return;
            }
        }
    };
}

/// What one run of the program came to: its exit code and report, and the worker's events, `summary` calls aside.
fn run(
    place: &Place,
    server: &Aimock,
    protocol: &str,
    arguments: &[&str],
) -> (i32, Value, Vec<Event<'static>>) {
    let url = server.base_url();
    let model = [
        "--model",
        "gpt-5-mini",
        "--base-url",
        &url,
        "--provider",
        protocol,
        "--json",
    ];
    let finished = place.run(&[&["run"], &model[..], arguments].concat());
    let report: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"));
    let events = MetricsFile::read(&place.dir_of(&report).join("metrics.jsonl")).events;
    let is_summary =
        |it: &Event<'_>| matches!(it, Event::LlmCall(call) if call.phase.as_str() == "summary");
    let events = events.into_iter().filter(|it| !is_summary(it)).collect();
    (finished.code, report, events)
}

/// `llm_call initial`, `tool_call calculate`.
fn outline(events: &[Event<'_>]) -> Vec<String> {
    let outline = |it: &Event<'_>| match it {
        Event::LlmCall(call) => format!("llm_call {}", call.phase.as_str()),
        Event::ToolCall(call) => format!("tool_call {}", call.tool.as_str()),
        _ => String::new(),
    };
    events.iter().map(outline).collect()
}

fn error(event: &Event<'_>) -> String {
    event.outcome().error().unwrap_or_default().to_owned()
}

fn two_tools() -> Value {
    json!([
        {"match": {"userMessage": "Summarize"}, "response": {"content": "Two results."}},
        {
            "match": {"userMessage": "calculate", "hasToolResult": true},
            "response": {"content": "The results are 42 and 2.", "usage": {
                "prompt_tokens": 1234, "completion_tokens": 89, "total_tokens": 1323,
                "input_tokens": 1234, "output_tokens": 89,
            }},
        },
        {"match": {"userMessage": "calculate"}, "response": {"toolCalls": [
            {"id": "call_a", "name": "calculate", "arguments": "{\"expression\":\"7*6\"}"},
            {"id": "call_b", "name": "calculate", "arguments": "{\"expression\":\"1+1\"}"},
        ]}},
    ])
}

#[test]
fn a_worker_uses_two_tools_at_once_and_answers() {
    let server = aimock!(two_tools(), &["--chunk-size", "4"]);
    for protocol in PROTOCOLS {
        for streamed in [true, false] {
            let place = Place::new();
            let plain: &[&str] = if streamed { &[] } else { &["--no-stream"] };
            let arguments = [&["calculate 7*6 and 1+1"], plain].concat();
            let (code, report, events) = run(&place, &server, protocol, &arguments);
            assert_eq!(
                (code, &report["result"]),
                (0, &json!("The results are 42 and 2.")),
                "{report}"
            );
            assert_eq!(report["summary"], "Two results.");
            let turns = [
                "llm_call initial",
                "tool_call calculate",
                "tool_call calculate",
                "llm_call synthesis",
            ];
            assert_eq!(outline(&events), turns);
            let [
                Event::LlmCall(first),
                Event::ToolCall(tool),
                _,
                Event::LlmCall(last),
            ] = &*events
            else {
                panic!("{events:?}");
            };
            assert_eq!(
                (first.ttft_ms.is_some(), last.ttft_ms.is_some()),
                (streamed, streamed)
            );
            assert_eq!((first.model.as_str(), last.attempt), ("gpt-5-mini", None));
            assert!(
                matches!(tool.tool_call_id.as_deref(), Some("call_a" | "call_b")),
                "{tool:?}"
            );
            let usage = last.usage;
            assert_eq!(
                (
                    usage.prompt_tokens,
                    usage.completion_tokens,
                    usage.total_tokens
                ),
                (Some(1234), Some(89), Some(1323)),
                "{protocol}"
            );
            // The outputs went back to the model under the calls' ids, in the order of the calls.
            let thread =
                std::fs::read_to_string(place.dir_of(&report).join("thread.jsonl")).unwrap();
            let thread: Vec<Value> = thread
                .lines()
                .map(|it| serde_json::from_str(it).unwrap())
                .collect();
            let output = |id, text| json!({"role": "tool", "content": text, "tool_call_id": id});
            assert_eq!(
                thread[3..5],
                [output("call_a", "42"), output("call_b", "2")]
            );
            assert_eq!(
                metadata(&place.dir_of(&report))["config"]["model"],
                "gpt-5-mini"
            );
        }
    }
}

#[test]
fn a_rate_limit_is_waited_out_and_each_attempt_is_an_event() {
    for protocol in PROTOCOLS {
        let server = aimock!(
            json!([
                {
                    "match": {"userMessage": "patient", "sequenceIndex": 0},
                    "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429, "retryAfter": 1},
                },
                {"match": {}, "response": {"content": "42"}},
            ]),
            &[]
        );
        let place = Place::new();
        let (code, report, events) = run(&place, &server, protocol, &["be patient"]);
        assert_eq!((code, &report["result"]), (0, &json!("42")), "{report}");
        let [Event::LlmCall(failed), Event::LlmCall(second)] = &*events else {
            panic!("{events:?}");
        };
        assert_eq!((failed.attempt, second.attempt), (Some(1), Some(2)));
        let said = error(&events[0]);
        assert!(
            said.starts_with("rate_limited: HTTP 429 Too Many Requests from 127.0.0.1:"),
            "{said}"
        );
        assert!(said.ends_with(": slow down"), "{said}");
        let waited = second.time.start_ts().unix_micros() - failed.time.end_ts().unix_micros();
        assert!(waited >= 1_000_000, "Retry-After was a second: {waited} us");
    }
}

#[test]
fn a_refused_request_is_not_tried_again() {
    for (status, class) in [(400, "refused"), (401, "unauthorized"), (404, "refused")] {
        let server = aimock!(
            json!([{"match": {}, "response": {"error": {"message": "not so", "type": "x"}, "status": status}}]),
            &[]
        );
        for protocol in PROTOCOLS {
            let place = Place::new();
            let (code, report, events) = run(&place, &server, protocol, &["whatever"]);
            assert_eq!((code, &report["status"]), (1, &json!("failed")));
            assert_eq!(events.len(), 1);
            let said = error(&events[0]);
            assert!(
                said.starts_with(&format!("{class}: HTTP {status} ")) && said.ends_with(": not so"),
                "{said}"
            );
            assert_eq!(report["error"], *said);
        }
    }
}

/// What the flags of a server that misbehaves on purpose do, on every request.
#[test]
fn a_server_that_misbehaves_costs_the_job_and_nothing_else() {
    let answer = json!([{"match": {}, "response": {"content": "a text that nobody will read"}}]);
    for (flag, classes) in [
        ("--chaos-drop", &["server_error"][..]),
        ("--chaos-malformed", &["bad_reply", "broken_off"]),
        ("--chaos-disconnect", &["broken_off"]),
        ("--chaos-ratelimit", &["rate_limited"]),
    ] {
        let server = aimock!(answer, &[flag, "1"]);
        for protocol in PROTOCOLS {
            let place = Place::new();
            // Time for one pause between attempts, or none: what is left of it does not matter here.
            let (code, report, events) =
                run(&place, &server, protocol, &["whatever", "--timeout", "2s"]);
            assert_eq!(
                (code, &report["status"]),
                (1, &json!("failed")),
                "{flag}: {report}"
            );
            assert!(!events.is_empty(), "{flag}");
            for event in &events {
                let said = error(event);
                let class = said.split(':').next().unwrap();
                assert!(classes.contains(&class), "{flag}: {said}");
            }
            assert_eq!(report["error"], error(events.last().unwrap()));
        }
    }
}
