//! The server over HTTP: sessions, what is logged of them, its end.

use std::io::{Read as _, Write as _};

use rustix::process::Signal;
use serde_json::json;

use super::{
    http_client::{HttpServer, request},
    lifetimes::HeldModel,
    stdio_client::only_metadata,
};
use crate::support::{finish, triscope};

#[test]
fn a_session_spawns_reads_and_ends() {
    let server = HttpServer::start(&[]);
    let session = server.session(&[]);
    let arguments = json!({"task": "calculate 7*6", "wait": true, "wait_seconds": 600});
    let result = session.call("spawn_worker", &arguments);
    assert_eq!(result["structuredContent"]["result"], "The result is 42.");
    let read = session.answer(
        "resources/read",
        &json!({"uri": "triscope://jobs/1/result.txt"}),
    );
    assert_eq!(read["result"]["contents"][0]["text"], "The result is 42.");
    let goodbye = server.raw(&request("DELETE", &session.headers(), b""));
    assert_eq!(goodbye.status, 204, "{goodbye:?}");
    assert_eq!(session.post("ping", &json!({})).status, 404);
    // The workers of a session outlive it.
    let result = server
        .session(&[])
        .call("read_worker_result", &json!({"job_id": 1}));
    assert_eq!(result["structuredContent"]["status"], "success");
}

#[test]
fn a_signal_ends_the_server_its_streams_and_its_workers() {
    let model = HeldModel::start();
    let options = model.options();
    let server = HttpServer::start(&options.each_ref().map(|it| &**it));
    let session = server.session(&[]);
    session.call("spawn_worker", &json!({"task": "wait for it"}));
    model.holds(1);
    let mut stream = server.connect();
    let headers = [
        &session.headers()[..],
        &[("content-length", ""), ("connection", "")],
    ]
    .concat();
    stream.write_all(&request("GET", &headers, b"")).unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.program.signal(Signal::TERM);
    // The stream ends, and is not cut off when the process does.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(
        rest.ends_with(b"0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
    drop(session);
    let data_dir = server.data_dir();
    let (ended, _dir) = server.finish();
    ended.expect(143);
    assert_eq!(only_metadata(&data_dir)["status"], "cancelled");
}

#[test]
fn an_address_that_others_reach_needs_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = triscope(["mcp", "--http", "0.0.0.0:0", "--data-dir"]);
    command.arg(dir.path()).env_remove("TRISCOPE_MCP_TOKEN");
    let refused = finish(&mut command).expect(2);
    assert!(refused.stderr.contains("needs a token"), "{refused:#?}");
    assert!(refused.stderr.contains("\nhint: "), "{refused:#?}");
    assert_eq!(refused.stdout, "");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let mut command = triscope(["mcp", "--http", &address, "--data-dir"]);
    let refused = finish(command.arg(dir.path())).expect(3);
    assert!(
        refused
            .stderr
            .contains(&format!("cannot listen on {address}")),
        "{refused:#?}"
    );
}
