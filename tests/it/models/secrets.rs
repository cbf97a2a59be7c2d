//! The key is in none of the files that a worker leaves and in nothing that is printed, whatever goes wrong.

use std::{fs, path::Path};

use serde_json::{Value, json};
use stub_server::{Answer, Part, StubServer, anthropic, openai};

use crate::{cli::Place, support::finish};

const KEY: &str = "sk-marked-3f9a7c51e8d24b60";

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut res = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            res.extend(files(&path));
        } else {
            res.push(path);
        }
    }
    res
}

fn has_key(bytes: &[u8]) -> bool {
    // Half of it would be a leak too.
    let part = &KEY.as_bytes()[..18];
    bytes.windows(part.len()).any(|it| it == part)
}

#[test]
fn the_scan_finds_a_key() {
    assert!(has_key(format!("Bearer {KEY}\n").as_bytes()) && !has_key(b"Bearer sk-marked"));
}

/// Servers that repeat the key wherever a server can put it, with every kind of failure and of success.
#[test]
fn no_file_and_no_output_has_the_key() {
    let json = [("content-type", "application/json")];
    let said = json!({"error": {"message": format!("the key {KEY} is wrong"), "type": KEY}});
    let arguments = json!({"expression": KEY}).to_string();
    let event = |it: Value| Part::bytes(format!("event: x\ndata: {it}\n\n"));
    let answers = [
        Answer::json(400, &[], &said),
        Answer::json(401, &[], &said),
        Answer::json(429, &[("x-key", KEY)], &said),
        Answer::response(500, &[], format!("{}{KEY}", "x".repeat(490))),
        Answer::json(200, &[], &said),
        Answer::json(200, &[], &json!({ KEY: [KEY] })),
        Answer::response(200, &json, KEY),
        Answer::response(200, &[("content-type", "text/html")], KEY),
        Answer::raw([Part::bytes(format!(
            "HTTP/1.1 200 {KEY}\r\n{KEY}: {KEY}\r\n{KEY}"
        ))]),
        Answer::raw([Part::bytes(KEY)]),
        Answer::broken_stream([Part::bytes(format!("data: {{\"{KEY}"))]),
        Answer::stream([event(
            json!({"type": "error", "error": {"type": "overloaded_error", "message": KEY}}),
        )]),
        Answer::json(200, &[], &openai::text(KEY, Value::Null)),
        Answer::json(
            200,
            &[],
            &openai::calls(
                &[(KEY, "calculate", &arguments), ("b", KEY, KEY)],
                Value::Null,
            ),
        ),
        Answer::json(200, &[], &anthropic::text(KEY, Value::Null)),
        Answer::json(
            200,
            &[],
            &anthropic::calls(&[(KEY, KEY, json!({ KEY: KEY }))], Value::Null),
        ),
        Answer::response(
            302,
            &[("location", &format!("http://127.0.0.1:1/{KEY}"))],
            KEY,
        ),
        Answer::hang(),
    ];
    let place = Place::new();
    for (n, answer) in answers.iter().enumerate() {
        for protocol in ["openai", "anthropic"] {
            let first = answer.clone();
            // After the first failure a retry would only take time.
            let server = StubServer::start(move |request| match request.number {
                0 => first.clone(),
                _ => Answer::response(400, &[], format!("no more, {KEY}")),
            })
            .unwrap();
            let url = server.base_url();
            let mut command = place.command(&[
                "run",
                "x",
                "--model",
                "m",
                "--base-url",
                &url,
                "--provider",
                protocol,
                "--timeout",
                "1500ms",
            ]);
            command
                .env("MY_KEY", KEY)
                .args(["--api-key-env", "MY_KEY", "--verbose"]);
            command.env("RUST_LOG", "trace");
            let finished = finish(&mut command);
            assert!(matches!(finished.code, 0 | 1), "{n}: {finished:?}");
            let header = if protocol == "openai" {
                "authorization"
            } else {
                "x-api-key"
            };
            let sent = &server.received()[0];
            assert!(
                has_key(sent.header(header).unwrap().as_bytes()),
                "the key was sent at all"
            );
            let printed = finished.stdout + &finished.stderr;
            assert!(!has_key(printed.as_bytes()), "{n} {protocol}: {printed}");
        }
    }
    let files = files(place.data_dir());
    // Result, conversation, metrics, metadata of each worker; the log; the book.
    assert!(files.len() > answers.len() * 2 * 4, "{}", files.len());
    for file in files {
        assert!(!has_key(&fs::read(&file).unwrap()), "{}", file.display());
    }
}
