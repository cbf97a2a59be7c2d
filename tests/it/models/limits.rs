//! Limits of a worker, and turns that a model gets wrong.

use std::fs;

use serde_json::{Value, json};
use stub_server::{Answer, StubServer, openai};

use crate::cli::Place;

/// A model that asks for `call` again and again.
fn restless(call: (&'static str, &'static str, &'static str)) -> StubServer {
    let usage = json!({"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100});
    let reply = openai::calls(&[call], usage);
    StubServer::start(move |request| Answer::completion(request, &reply)).unwrap()
}

fn run(server: &StubServer, place: &Place, arguments: &[&str]) -> (String, String) {
    let url = server.base_url();
    let model = [
        "run",
        "calculate for ever",
        "--model",
        "m",
        "--base-url",
        &url,
    ];
    let finished = place.run(&[&model, arguments].concat()).expect(1);
    (finished.stdout, finished.stderr)
}

#[test]
fn a_worker_that_reaches_a_limit_ends_with_what_it_has() {
    let call = ("call_1", "calculate", r#"{"expression":"7*6"}"#);
    for (limit, turns, said) in [
        (["--max-steps", "3"], 3, "the limit of 3 steps was reached"),
        (
            ["--max-tokens", "150"],
            2,
            "the limit of 150 tokens was reached",
        ),
    ] {
        let (server, place) = (restless(call), Place::new());
        let (stdout, _) = run(&server, &place, &limit);
        let head = format!(
            "Status: failed\nError: stopped: {said}; raise it or make the task smaller\n\n"
        );
        assert!(stdout.contains(&head), "{stdout}");
        assert!(
            stdout.contains("(No answer; the last tool outputs:)\n\n42"),
            "{stdout}"
        );
        assert!(
            stdout.ends_with(&format!("\n\nStopped: {said}.\n")),
            "{stdout}"
        );
        assert_eq!(server.received().len(), turns, "{limit:?}");
    }
}

/// The model hears what was wrong, and may mend it.
#[test]
fn a_turn_that_the_model_gets_wrong_is_told_to_it() {
    for (call, told) in [
        (
            ("call_1", "calculate", "{\"expression\": 7*"),
            "Error: bad arguments: the arguments are not valid JSON: ",
        ),
        (
            ("call_1", "launch_rocket", "{}"),
            "Error: bad arguments: there is no tool `launch_rocket`; use one of ",
        ),
    ] {
        let server = StubServer::scripted([
            Answer::json(200, &[], &openai::calls(&[call], Value::Null)),
            Answer::json(200, &[], &openai::text("I gave up.", Value::Null)),
            Answer::json(200, &[], &openai::text("gave up", Value::Null)),
        ]);
        let (server, place) = (server.unwrap(), Place::new());
        let url = server.base_url();
        let report = place
            .run(&["run", "x", "--model", "m", "--base-url", &url, "--json"])
            .json();
        assert_eq!(
            (&report["result"], &report["summary"]),
            (&json!("I gave up."), &json!("gave up"))
        );
        let second = server.received()[1].json();
        let messages = second["messages"].as_array().unwrap();
        let last = messages.last().unwrap();
        assert_eq!(
            (&last["role"], &last["tool_call_id"]),
            (&json!("tool"), &json!("call_1"))
        );
        assert!(
            last["content"].as_str().unwrap().starts_with(told),
            "{last}"
        );
        // What a server parses is JSON, also where the model's words were none.
        let arguments = &messages[messages.len() - 2]["tool_calls"][0]["function"]["arguments"];
        serde_json::from_str::<Value>(arguments.as_str().unwrap()).unwrap();
        let metrics = fs::read_to_string(place.dir_of(&report).join("metrics.jsonl")).unwrap();
        assert!(
            metrics
                .lines()
                .nth(1)
                .unwrap()
                .contains("\"success\":false"),
            "{metrics}"
        );
    }
}
