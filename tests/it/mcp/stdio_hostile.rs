//! Malformed and hostile messages over standard input: each is answered as the protocol says, and the server goes on.

use std::fs;

use serde_json::{Value, json};

use super::stdio_client::StdioServer;
use crate::support::eventually;

/// What a line is answered with.
enum Expected {
    /// An error with this code; with the id where the line has one that can be read.
    Error(i64, Value),
    /// A result for this id.
    Answered(Value),
    /// A tool's result that says `Error: `.
    ToolError(Value),
    Nothing,
}
use Expected::{Answered, Error, Nothing, ToolError};

const PARSE: i64 = -32700;
const REQUEST: i64 = -32600;
const METHOD: i64 = -32601;
const PARAMS: i64 = -32602;
const NOT_FOUND: i64 = -32002;

fn request(id: &Value, method: &str, params: &Value) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        .to_string()
        .into_bytes()
}

fn read(uri: &str) -> Vec<u8> {
    request(&json!(7), "resources/read", &json!({"uri": uri}))
}

fn call(tool: &str, arguments: &Value) -> Vec<u8> {
    let params = json!({"name": tool, "arguments": arguments});
    request(&json!(7), "tools/call", &params)
}

fn text(line: &str) -> Vec<u8> {
    line.as_bytes().to_vec()
}

#[expect(clippy::too_many_lines, reason = "it is one long list")]
fn hostile_lines(worker_id: &str) -> Vec<(&'static str, Vec<u8>, Expected)> {
    let none = || Value::Null;
    let seven = || json!(7);
    let long_id = "x".repeat(1 << 20);
    let in_worker = |path: &str| read(&format!("triscope://workers/{worker_id}/{path}"));
    vec![
        ("no JSON", text("hello"), Error(PARSE, none())),
        ("an empty line", text(""), Nothing),
        ("blanks", text(" \t\r"), Nothing),
        (
            "unfinished",
            text(r#"{"jsonrpc":"2.0","id":7,"method":"ping""#),
            Error(PARSE, none()),
        ),
        (
            "two in a line",
            text(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}{}"#),
            Error(PARSE, none()),
        ),
        (
            "no UTF-8",
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\xfe\"}".to_vec(),
            Error(PARSE, none()),
        ),
        ("NUL bytes", vec![0; 100], Error(PARSE, none())),
        (
            "deep nesting",
            "[".repeat(100_000).into_bytes(),
            Error(PARSE, none()),
        ),
        (
            "deep arguments",
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{}1{}}}"#,
                "{\"a\":".repeat(10_000),
                "}".repeat(10_000)
            )
            .into_bytes(),
            Error(PARSE, none()),
        ),
        (
            "10 MB of nothing",
            vec![b'x'; 10_000_000],
            Error(PARSE, none()),
        ),
        (
            "a line without measure",
            vec![b' '; 17 << 20],
            Error(REQUEST, none()),
        ),
        (
            "a batch",
            text(r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#),
            Error(REQUEST, none()),
        ),
        ("an empty batch", text("[]"), Error(REQUEST, none())),
        ("a number", text("7"), Error(REQUEST, none())),
        ("null", text("null"), Error(REQUEST, none())),
        (
            "no version",
            text(r#"{"id":7,"method":"ping"}"#),
            Error(REQUEST, seven()),
        ),
        (
            "the wrong version",
            text(r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#),
            Error(REQUEST, seven()),
        ),
        (
            "no method",
            text(r#"{"jsonrpc":"2.0","id":7}"#),
            Error(REQUEST, seven()),
        ),
        (
            "a method that is no text",
            text(r#"{"jsonrpc":"2.0","id":7,"method":["ping"]}"#),
            Error(REQUEST, seven()),
        ),
        (
            "parameters in a row",
            text(r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}"#),
            Error(REQUEST, seven()),
        ),
        (
            "a null id",
            text(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            Error(REQUEST, none()),
        ),
        (
            "half an id",
            text(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#),
            Error(REQUEST, none()),
        ),
        (
            "a huge id",
            text(r#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#),
            Error(PARSE, none()),
        ),
        (
            "a large id",
            text(
                r#"{"jsonrpc":"2.0","id":340282366920938463463374607431768211456,"method":"ping"}"#,
            ),
            Error(REQUEST, none()),
        ),
        (
            "a long id",
            request(&json!(long_id), "ping", &json!({})),
            Answered(json!(long_id)),
        ),
        (
            "an unknown method",
            request(&json!(7), "workers/destroy", &json!({})),
            Error(METHOD, seven()),
        ),
        (
            "a method of others",
            request(&json!(7), "prompts/get", &json!({"name": "x"})),
            Error(METHOD, seven()),
        ),
        (
            "an unknown tool",
            call("rm", &json!({})),
            Error(PARAMS, seven()),
        ),
        (
            "no tool",
            request(&json!(7), "tools/call", &json!({"arguments": {}})),
            Error(PARAMS, seven()),
        ),
        (
            "arguments in a row",
            call("list_workers", &json!([1])),
            Error(PARAMS, seven()),
        ),
        (
            "an unknown argument",
            call("list_workers", &json!({"all": true})),
            ToolError(seven()),
        ),
        (
            "the wrong type",
            call("read_worker_result", &json!({"job_id": {"a": 1}})),
            ToolError(seven()),
        ),
        (
            "no argument",
            call("spawn_worker", &json!({})),
            ToolError(seven()),
        ),
        (
            "a wait that is none",
            call("spawn_worker", &json!({"task": "x", "wait": "yes"})),
            ToolError(seven()),
        ),
        (
            "a path upwards",
            call(
                "read_worker_file",
                &json!({"job_id": 1, "file_path": "../x"}),
            ),
            ToolError(seven()),
        ),
        (
            "a bad pattern",
            call("grep_workers", &json!({"pattern": "(("})),
            ToolError(seven()),
        ),
        (
            "an unknown level",
            request(&json!(7), "logging/setLevel", &json!({"level": "loud"})),
            Error(PARAMS, seven()),
        ),
        (
            "a cursor of nowhere",
            request(&json!(7), "resources/list", &json!({"cursor": "../x"})),
            Error(PARAMS, seven()),
        ),
        (
            "a file of the system",
            read("file:///etc/passwd"),
            Error(PARAMS, seven()),
        ),
        (
            "no worker",
            read("triscope://workers/../../etc/passwd"),
            Error(PARAMS, seven()),
        ),
        (
            "upwards",
            in_worker("../../../../etc/passwd"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "upwards in disguise",
            in_worker("%2e%2e/%2e%2e/etc/passwd"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "absolute",
            in_worker("/etc/passwd"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "a NUL in the path",
            in_worker("a%00b"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "another one's",
            read("triscope://jobs/2/result.txt"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "not there",
            read("triscope://jobs/99/result.txt"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "behind the end",
            in_worker("result.txt?offset=18446744073709551615"),
            Error(NOT_FOUND, seven()),
        ),
        (
            "the end of nothing",
            text(
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#,
            ),
            Nothing,
        ),
        (
            "an unknown notification",
            text(r#"{"jsonrpc":"2.0","method":"notifications/none"}"#),
            Nothing,
        ),
        (
            "an answer to nothing",
            text(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#),
            Nothing,
        ),
    ]
}

#[test]
fn every_line_is_answered_as_the_protocol_says_and_the_server_goes_on() {
    let mut server = StdioServer::ready(&["--verbose"]);
    let mine = server.call(
        "spawn_worker",
        &json!({"task": "calculate 7*6", "wait": true}),
    );
    let worker_id = mine["structuredContent"]["worker_id"].as_str().unwrap();
    let data_dir = server.data_dir();
    crate::support::finish(
        crate::support::triscope(["run", "calculate 1+1", "--owner", "another", "--data-dir"])
            .arg(&data_dir),
    )
    .expect(0);
    let lines = hostile_lines(worker_id);
    assert!(lines.len() >= 30);
    for (name, line, expected) in lines {
        server.send(&line);
        // Answered after the line: what comes before it is the line's answer, or a log message.
        let ping = server.ask("ping", &json!({}));
        let mut answers = Vec::new();
        loop {
            let message = server.next();
            let is_answer = message.get("method").is_none();
            if is_answer {
                answers.push(message);
            }
            let has_ping = answers.iter().any(|it| it["id"] == ping);
            let wanted = if matches!(expected, Nothing) { 1 } else { 2 };
            if has_ping && answers.len() >= wanted {
                break;
            }
        }
        answers.retain(|it| it["id"] != ping);
        match expected {
            Nothing => assert!(answers.is_empty(), "{name}: {answers:?}"),
            Error(code, id) => {
                assert_eq!(answers[0]["error"]["code"], code, "{name}: {answers:?}");
                assert_eq!(answers[0]["id"], id, "{name}: {answers:?}");
            }
            Answered(id) => assert!(
                answers[0]["id"] == id && answers[0].get("result").is_some(),
                "{name}"
            ),
            ToolError(id) => {
                let result = &answers[0]["result"];
                assert_eq!(
                    (&answers[0]["id"], &result["isError"]),
                    (&id, &json!(true)),
                    "{name}: {answers:?}"
                );
                let text = result["content"][0]["text"].as_str().unwrap();
                assert!(text.starts_with("Error: "), "{name}: {text}");
            }
        }
    }
    let hidden = server.error(
        "resources/read",
        &json!({"uri": "triscope://jobs/2/result.txt"}),
    );
    let missing = server.error(
        "resources/read",
        &json!({"uri": "triscope://jobs/99/result.txt"}),
    );
    assert_eq!(
        hidden["message"].as_str().unwrap().replace('2', "99"),
        missing["message"].as_str().unwrap()
    );
    server.close_stdin();
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_client_that_does_not_begin_as_it_should_can_still_begin() {
    let mut server = StdioServer::start(&[]);
    server.send("GET / HTTP/1.1");
    assert_eq!(server.next()["error"]["code"], PARSE);
    server.notify("notifications/initialized", &json!({}));
    server.send(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(server.result("ping", &json!({})), json!({}));
    for (method, params) in [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "list_workers"})),
        ("initialize", json!({"protocolVersion": 3})),
        ("workers/destroy", json!({})),
    ] {
        assert_eq!(server.error(method, &params)["code"], PARAMS, "{method}");
    }
    // A version that nobody has heard of is answered with one that the server speaks.
    let params = json!({
        "protocolVersion": "1999-12-31", "capabilities": {}, "clientInfo": {"name": "old", "version": "0"},
    });
    let result = server.result("initialize", &params);
    assert_ne!(result["protocolVersion"], "1999-12-31");
    assert_eq!(result["serverInfo"]["name"], "triscope");
    assert_eq!(
        server.text("list_workers", &json!({})),
        "No workers. Start one with spawn_worker."
    );
}

#[test]
fn a_thousand_requests_at_once_get_an_answer_each() {
    let mut server = StdioServer::ready(&[]);
    let ids: Vec<_> = (0..1000)
        .map(|_| {
            server.ask(
                "tools/call",
                &json!({"name": "read_worker_result", "arguments": {"job_id": 9}}),
            )
        })
        .collect();
    let mut answered: Vec<_> = ids
        .iter()
        .map(|_| {
            let answer = server.next();
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            answer["id"].as_u64().unwrap()
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
}

#[test]
fn a_client_that_reads_nothing_does_not_fill_the_memory() {
    const REQUESTS: usize = 150;
    const MAX_KIB: u64 = 256 << 10;
    let mut server = StdioServer::start_unread(&[]);
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }});
    server.send(begin.to_string());
    let spawn = json!({"name": "spawn_worker", "arguments": {"task": "calculate 7*6"}});
    server.ask("tools/call", &spawn);
    let data_dir = server.data_dir();
    let worker = eventually("the worker ends", || {
        let workers = fs::read_dir(&data_dir).ok()?;
        let mut workers = workers.filter_map(|it| Some(it.ok()?.path()));
        workers.find(|it| it.join("result.txt").exists())
    });
    // Escaped, each byte takes six: two megabytes and more an answer.
    fs::write(worker.join("big.txt"), vec![1; 1 << 20]).unwrap();
    let read =
        json!({"name": "read_worker_file", "arguments": {"job_id": 1, "file_path": "big.txt"}});
    let ids: Vec<_> = (0..REQUESTS)
        .map(|_| server.ask("tools/call", &read))
        .collect();
    // It has done all it will do until somebody reads: all its threads wait, look after look.
    let mut quiet = 0;
    eventually("the server waits", || {
        quiet = if is_waiting(server.pid().as_raw_nonzero().get()) {
            quiet + 1
        } else {
            0
        };
        (quiet > 100).then_some(())
    });
    let peak = peak_kib(server.pid().as_raw_nonzero().get());
    assert!(peak < MAX_KIB, "{peak} KiB");
    server.read();
    let mut left = ids.len();
    while left > 0 {
        let answer = server.next();
        if answer["id"].as_u64().is_some_and(|it| ids.contains(&it)) {
            assert_eq!(answer["result"]["isError"], false);
            left -= 1;
        }
    }
    let peak = peak_kib(server.pid().as_raw_nonzero().get());
    assert!(peak < MAX_KIB, "{peak} KiB");
}

/// Whether no thread of the process runs or wants to.
fn is_waiting(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .filter_map(|it| fs::read_to_string(it.ok()?.path().join("stat")).ok())
        .all(|it| {
            let state = it.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
            state == Some(b'S')
        })
}

fn peak_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|it| it.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
