//! Malformed and hostile requests over HTTP: each is answered as the protocols say, and the server goes on.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
};

use serde_json::json;

use super::{
    http_client::{HttpServer, message, request},
    lifetimes::HeldModel,
};
use crate::support::eventually;

#[test]
#[expect(clippy::too_many_lines, reason = "it is one long list")]
fn every_request_is_answered_as_the_protocols_say_and_the_server_goes_on() {
    let server = HttpServer::start(&[]);
    let session = server.session(&[]);
    let ping = message(1, "ping", &json!({}));
    let headers = session.headers();
    let with = |more: &[(&'static str, &'static str)]| -> Vec<u8> {
        request("POST", &[&headers[..], more].concat(), &ping)
    };
    let body = |body: &[u8]| request("POST", &headers, body);
    let long = vec![b' '; (4 << 20) + 1];
    let deep = [
        b"{\"a\":".repeat(10_000),
        b"1".to_vec(),
        b"}".repeat(10_000),
    ]
    .concat();
    let traversal = message(
        7,
        "resources/read",
        &json!({"uri": "triscope://jobs/1/%2e%2e/x"}),
    );
    let long_header = "x".repeat(600 << 10);
    let long_header = [&headers[..], &[("x-long", &*long_header)]].concat();
    let cases: Vec<(&str, Vec<u8>, u16, Option<i64>)> = vec![
        ("no HTTP", b"hello\r\n\r\n".to_vec(), 400, None),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            400,
            None,
        ),
        (
            "another path",
            b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_vec(),
            404,
            None,
        ),
        (
            "a path upwards",
            b"GET /mcp/../../etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                .to_vec(),
            404,
            None,
        ),
        ("another method", request("PUT", &headers, &ping), 405, None),
        (
            "a preflight",
            request("OPTIONS", &[("origin", "http://evil.example")], b""),
            403,
            None,
        ),
        ("another host", with(&[("host", "evil.example")]), 403, None),
        (
            "a host in disguise",
            with(&[("host", "localhost.evil.example")]),
            403,
            None,
        ),
        ("no host", with(&[("host", "")]), 400, None),
        (
            "a web page",
            with(&[("origin", "http://evil.example")]),
            403,
            None,
        ),
        (
            "a local web page",
            with(&[("origin", "http://localhost:3000")]),
            403,
            None,
        ),
        ("a file's page", with(&[("origin", "null")]), 403, None),
        ("no accept", with(&[("accept", "")]), 406, None),
        (
            "only JSON",
            with(&[("accept", "application/json")]),
            406,
            None,
        ),
        ("a form", with(&[("content-type", "text/plain")]), 415, None),
        ("no JSON", body(b"hello"), 400, Some(-32700)),
        ("nothing", body(b""), 400, Some(-32700)),
        (
            "no UTF-8",
            body(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"),
            400,
            Some(-32700),
        ),
        ("deep nesting", body(&deep), 400, Some(-32700)),
        (
            "a batch",
            body(br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
            400,
            Some(-32600),
        ),
        (
            "the wrong version",
            body(br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#),
            400,
            Some(-32600),
        ),
        (
            "a null id",
            body(br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            400,
            Some(-32600),
        ),
        (
            "a large id",
            body(br#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}"#),
            400,
            Some(-32600),
        ),
        (
            "a notification that is none",
            body(br#"{"jsonrpc":"2.0","method":7}"#),
            400,
            Some(-32600),
        ),
        ("too long", body(&long), 413, None),
        (
            "a lie about its length",
            request(
                "POST",
                &[&headers[..], &[("content-length", "99999999999")]].concat(),
                &ping,
            ),
            413,
            None,
        ),
        (
            "a header without measure",
            request("POST", &long_header, &ping),
            431,
            None,
        ),
        ("no session", request("POST", &[], &ping), 400, None),
        (
            "an unknown session",
            request("POST", &[("mcp-session-id", "../../x")], &ping),
            404,
            None,
        ),
        (
            "an unknown protocol",
            with(&[("mcp-protocol-version", "1999-12-31")]),
            400,
            None,
        ),
        (
            "an unknown method",
            body(&message(7, "workers/destroy", &json!({}))),
            200,
            Some(-32601),
        ),
        (
            "an unknown tool",
            body(&message(7, "tools/call", &json!({"name": "rm"}))),
            200,
            Some(-32602),
        ),
        (
            "the wrong type",
            body(&message(7, "tools/call", &json!({"name": 7}))),
            200,
            Some(-32602),
        ),
        ("a path upwards", body(&traversal), 200, Some(-32002)),
    ];
    assert!(cases.len() >= 30);
    for (name, bytes, status, code) in cases {
        let response = server.raw(&bytes);
        assert_eq!(response.status, status, "{name}: {response:?}");
        if let Some(code) = code {
            assert_eq!(
                response.answer()["error"]["code"],
                code,
                "{name}: {response:?}"
            );
        }
        assert_eq!(
            response.header("access-control-allow-origin"),
            None,
            "{name}"
        );
        assert_eq!(
            session.answer("ping", &json!({}))["result"],
            json!({}),
            "after {name}"
        );
    }
}

#[test]
fn clients_that_stop_in_the_middle_do_not_hold_up_others() {
    let server = HttpServer::start(&[]);
    let session = server.session(&[]);
    let ping = message(1, "ping", &json!({}));
    let whole = request("POST", &session.headers(), &ping);
    let mut slow = Vec::new();
    for sent in [0, 1, 20, whole.len() - ping.len(), whole.len() - 1] {
        let mut stream = server.connect();
        stream.write_all(&whole[..sent]).unwrap();
        slow.push((sent, stream));
    }
    assert_eq!(session.answer("ping", &json!({}))["result"], json!({}));
    // One that goes on is answered after all.
    let (sent, mut stream) = slow.pop().unwrap();
    stream.write_all(&whole[sent..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // Those that only read on, or go away, are no harm either.
    for (_, stream) in &slow {
        let _ = stream.shutdown(Shutdown::Write);
    }
    drop(slow);
    assert_eq!(session.answer("ping", &json!({}))["result"], json!({}));
}

/// The first bytes of an answer, up to and with `text`.
fn read_to(stream: &mut impl std::io::Read, text: &str) {
    let mut read = Vec::new();
    while !read.ends_with(text.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
}

#[test]
fn requests_with_one_id_are_not_mixed_up_and_a_cancelled_one_leaves_its_worker() {
    let model = HeldModel::start();
    let options = model.options();
    let server = HttpServer::start(&options.each_ref().map(|it| &**it));
    let session = server.session(&[]);
    let wait = json!({
        "name": "spawn_worker", "arguments": {"task": "wait for it", "wait": true, "wait_seconds": 600},
        "_meta": {"progressToken": "mine"},
    });
    let mut streams = Vec::new();
    for id in [21, 22] {
        let mut stream = server.connect();
        let body = message(id, "tools/call", &wait);
        stream
            .write_all(&request("POST", &session.headers(), &body))
            .unwrap();
        read_to(&mut stream, "still running");
        streams.push(stream);
    }
    model.holds(2);
    let twice = server.post(&session.headers(), &message(21, "tools/list", &json!({})));
    assert_eq!(twice.status, 400, "{twice:?}");
    assert_eq!(twice.answer()["error"]["code"], -32600);
    assert_eq!(twice.answer().get("id"), None);
    // Another session may have the same ids.
    assert_eq!(
        server
            .post(
                &server.session(&[]).headers(),
                &message(21, "ping", &json!({}))
            )
            .status,
        200
    );
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 22}});
    let cancelled = server.post(&session.headers(), cancel.to_string().as_bytes());
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    model.release();
    read_to(&mut streams[0], "at last");
    for job in [1, 2] {
        eventually("the worker ends", || {
            let result = session.call("read_worker_result", &json!({"job_id": job}));
            (result["structuredContent"]["result"] == "at last").then_some(())
        });
    }
}
