//! `http_request` asks no inner address unless it is told so on the command line.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use metrics_core::Event;

use crate::{cli::Place, support::MetricsFile};

/// A server on loopback that answers all with the same.
fn server(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut chunk = [0; 1024];
                match connection.read(&mut chunk) {
                    Ok(n_bytes @ 1..) => request.extend_from_slice(&chunk[..n_bytes]),
                    _ => break,
                }
            }
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[test]
fn loopback_is_refused_and_the_error_says_how_to_allow_it() {
    let place = Place::new();
    let address = server(ok("inner"));
    let task = format!("fetch http://user:hunter-7c51e8d24b60@{address}/?q=hunter3");
    let refused = place.run(&["run", &task]).expect(1);
    let advice = format!(
        "127.0.0.1 is a loopback address, which may not be asked; allow it with `--allow-host \
         {address}` (or all private addresses with `--allow-private-addresses`)"
    );
    assert!(refused.stdout.contains(&advice), "{}", refused.stdout);

    let allow_host = format!("--allow-host={address}");
    for allowed in [&*allow_host, "--allow-private-addresses"] {
        let text = place.run(&["run", &task, allowed]).answer();
        assert!(text.contains("answered HTTP 200: inner"), "{text}");
    }
    let other_port = place.run(&["run", &task, "--allow-host=127.0.0.1:1"]);
    assert!(other_port.expect(1).stdout.contains(&advice));
}

#[test]
fn a_refusal_is_an_event_and_an_artifact_without_the_credentials() {
    let place = Place::new();
    let task = "fetch http://user:hunter-7c51e8d24b60@127.1/?q=hunter3";
    let report = place.run(&["run", "--json", task]).expect(1);
    let report = serde_json::from_str(&report.stdout).unwrap();
    let dir = place.dir_of(&report);
    let metrics = MetricsFile::read(&dir.join("metrics.jsonl"));
    let Some(Event::ToolCall(call)) = metrics.events.get(1) else {
        panic!("{}", metrics.text);
    };
    assert_eq!(call.tool.as_str(), "http_request");
    assert!(!call.outcome.is_success());
    assert!(!metrics.text.contains("hunter"), "{}", metrics.text);
    let kept = std::fs::read_to_string(dir.join("tool_calls/001_http_request.txt")).unwrap();
    assert!(kept.contains("127.0.0.1 is a loopback address"), "{kept}");
    assert!(!kept.contains("hunter"), "{kept}");
}

#[test]
fn a_redirect_to_an_inner_address_is_refused() {
    let place = Place::new();
    let inner = server(ok("inner"));
    let outer = server(format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ));
    let task = format!("fetch http://{outer}/");
    let allow = format!("--allow-host={outer}");
    let refused = place.run(&["run", &task, &allow]).expect(1);
    let advice = format!("allow it with `--allow-host {inner}`");
    assert!(refused.stdout.contains(&advice), "{}", refused.stdout);
    let both = format!("--allow-host={inner}");
    let text = place.run(&["run", &task, &allow, &both]).answer();
    assert!(text.contains("answered HTTP 200: inner"), "{text}");
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    let place = Place::new();
    let proxy = server(ok("by proxy"));
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let mut command = place.command(&["run", "fetch http://169.254.169.254/latest/"]);
        command.env(name, format!("http://{proxy}"));
        let refused = crate::support::finish(&mut command).expect(1);
        assert!(
            refused.stdout.contains("where a cloud keeps credentials"),
            "{}",
            refused.stdout
        );
    }
}

#[test]
fn hosts_that_are_none_are_bad_usage() {
    let place = Place::new();
    for host in ["http://x/", "a:0", ""] {
        let refused = place.run(&["run", "calculate 7*6", "--allow-host", host]);
        let refused = refused.expect(2);
        assert!(refused.stderr.contains("is no host"), "{}", refused.stderr);
    }
}
