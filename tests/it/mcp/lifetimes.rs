//! What waits and what goes on: progress, cancelled requests, a server that ends while workers run.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::{Value, json};
use stub_server::{Answer, Part, StubServer, openai};
use tokio::sync::Notify;

use super::stdio_client::{StdioServer, only_metadata};
use crate::support::eventually;

/// A model that answers nothing until it is told to.
pub(super) struct HeldModel {
    go: Arc<Notify>,
    server: StubServer,
}

impl HeldModel {
    pub(super) fn start() -> Self {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        let server = StubServer::start(move |_| {
            let body = openai::text("at last", Value::Null).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            Answer::raw([
                Part::Wait(Arc::clone(&wait)),
                Part::bytes(head),
                Part::bytes(body),
            ])
        });
        Self {
            go,
            server: server.unwrap(),
        }
    }

    /// The options of a program whose workers ask it.
    pub(super) fn options(&self) -> [String; 5] {
        let url = self.server.base_url();
        ["--model", "held", "--base-url", &url, "--no-stream"].map(str::to_owned)
    }

    fn mcp(&self) -> StdioServer {
        let options = self.options();
        StdioServer::ready(&options.each_ref().map(|it| &**it))
    }

    /// Waits until so many requests are held.
    pub(super) fn holds(&self, requests: usize) {
        eventually("the model is asked", || {
            (self.server.received().len() >= requests).then_some(())
        });
    }

    /// Answers what has been asked, and lets what is asked next go at once too.
    pub(super) fn release(&self) {
        self.go.notify_waiters();
        self.go.notify_one();
    }
}

fn spawn_and_wait(token: &Value) -> Value {
    json!({
        "name": "spawn_worker", "arguments": {"task": "wait for it", "wait": true, "wait_seconds": 600},
        "_meta": {"progressToken": token},
    })
}

#[test]
fn a_client_that_waits_is_told_how_its_worker_stands() {
    let model = HeldModel::start();
    let mut server = model.mcp();
    let id = server.ask("tools/call", &spawn_and_wait(&json!("mine")));
    let mut last = -1.0;
    for _ in 0..3 {
        let message = server.next();
        assert_eq!(message["method"], "notifications/progress", "{message}");
        let params = &message["params"];
        assert_eq!(params["progressToken"], "mine");
        let progress = params["progress"].as_f64().unwrap();
        assert!(progress > last, "{progress} after {last}");
        last = progress;
        let text = params["message"].as_str().unwrap();
        assert!(
            text.starts_with("job 1 is still running (") || text.starts_with("job 1 is queued"),
            "{text}"
        );
    }
    model.release();
    let answer = server.answer(id);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with("\n\nat last"), "{text}");
    // Nothing more is said of it, and it ended in the log.
    let told = server.result("ping", &json!({}));
    assert_eq!(told, json!({}));
    let ended = eventually("the end is told", || {
        let told = server
            .passed_over()
            .iter()
            .find(|it| it["method"] == "notifications/message")
            .cloned();
        told.or_else(|| {
            server.result("ping", &json!({}));
            None
        })
    });
    assert_eq!(ended["params"]["level"], "info");
    assert_eq!(ended["params"]["data"]["job_id"], 1);
}

#[test]
fn without_a_token_nobody_is_told_of_progress() {
    let model = HeldModel::start();
    let mut server = model.mcp();
    server.result("logging/setLevel", &json!({"level": "emergency"}));
    let mut wait = spawn_and_wait(&Value::Null);
    wait.as_object_mut().unwrap().remove("_meta");
    let id = server.ask("tools/call", &wait);
    // Long enough for one who is told: its first word comes at once.
    model.holds(1);
    model.release();
    assert_eq!(server.answer(id)["result"]["isError"], false);
    assert_eq!(server.passed_over(), &[] as &[Value]);
}

#[test]
fn a_wait_that_takes_too_long_says_what_the_worker_does_and_that_it_goes_on() {
    let model = HeldModel::start();
    let mut server = model.mcp();
    let arguments = json!({"task": "wait for it", "wait": true, "wait_seconds": 0.01});
    let text = server.text("spawn_worker", &arguments);
    assert!(text.starts_with("Error: job 1 is "), "{text}");
    assert!(
        text.ends_with("Call read_worker_result again later."),
        "{text}"
    );
    model.holds(1);
    model.release();
    assert!(server.result_of(1).ends_with("at last"));
}

#[test]
fn cancelling_a_request_ends_the_wait_and_not_the_worker() {
    let model = HeldModel::start();
    let mut server = model.mcp();
    let id = server.ask("tools/call", &spawn_and_wait(&json!(5)));
    assert_eq!(server.next()["method"], "notifications/progress");
    server.notify(
        "notifications/cancelled",
        &json!({"requestId": id, "reason": "enough"}),
    );
    // Its id may be used again at once, as it gets no answer.
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    server.send(message.to_string());
    assert_eq!(server.answer(id)["result"], json!({}));
    let text = server.text("read_worker_result", &json!({"job_id": 1}));
    assert!(text.starts_with("Error: job 1 is "), "{text}");
    // While another one is told three times, nobody is told of the first any more.
    let before = server.passed_over().len();
    let other = server.ask("tools/call", &spawn_and_wait(&json!("other")));
    let mut told = Vec::new();
    while told.iter().filter(|it| **it == "other").count() < 3 {
        told.push(server.next()["params"]["progressToken"].clone());
    }
    assert!(!told.contains(&json!(5)), "{told:?} after {before}");
    model.holds(2);
    model.release();
    assert_eq!(server.answer(other)["result"]["isError"], false);
    assert!(server.result_of(1).ends_with("at last"));
    let answers = server.passed_over().iter().filter(|it| it["id"] == id);
    assert_eq!(answers.count(), 0);
}

#[test]
fn two_requests_with_one_id_are_not_mixed_up() {
    let model = HeldModel::start();
    let mut server = model.mcp();
    let id = server.ask("tools/call", &spawn_and_wait(&json!(5)));
    assert_eq!(server.next()["method"], "notifications/progress");
    let twice = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"});
    server.send(twice.to_string());
    let refused = loop {
        let message = server.next();
        if message.get("method").is_none() {
            break message;
        }
    };
    assert_eq!(
        (&refused["error"]["code"], refused.get("id")),
        (&json!(-32600), None)
    );
    model.holds(1);
    model.release();
    let answer = server.answer(id);
    assert_eq!(answer["result"]["structuredContent"]["result"], "at last");
}

#[test]
fn workers_are_cancelled_and_on_disk_when_the_server_ends() {
    for (ending, code) in [
        (None, 0),
        (Some(Signal::TERM), 143),
        (Some(Signal::INT), 130),
    ] {
        let model = HeldModel::start();
        let mut server = model.mcp();
        server.text("spawn_worker", &json!({"task": "wait for it"}));
        model.holds(1);
        match ending {
            None => server.close_stdin(),
            Some(signal) => server.signal(signal),
        }
        assert_eq!(server.exit_code(), Some(code), "{ending:?}");
        let metadata = only_metadata(&server.data_dir());
        assert_eq!(metadata["status"], "cancelled", "{ending:?}");
        assert_eq!(
            metadata["events"], 1,
            "the call that was cut off: {metadata}"
        );
    }
}

#[test]
fn what_was_asked_before_the_input_ends_is_answered() {
    let mut server = StdioServer::ready(&[]);
    let arguments = json!({"task": "calculate 7*6", "wait": true});
    let id = server.ask(
        "tools/call",
        &json!({"name": "spawn_worker", "arguments": arguments}),
    );
    server.close_stdin();
    let result = &server.answer(id)["result"];
    assert_eq!(result["structuredContent"]["result"], "The result is 42.");
    assert_eq!(server.exit_code(), Some(0));
}
