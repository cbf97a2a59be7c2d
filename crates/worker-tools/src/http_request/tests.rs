//! Exchanges with servers on loopback that answer from a script.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use worker_runner::{Tool, ToolError};

use super::{HttpRequest, HttpRequestOptions, client::Clients, exchange, request, resolver};

/// A server that gives each connection the next answer; what it was sent comes out of the channel.
pub(super) struct Server {
    pub(super) address: String,
    pub(super) requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    pub(super) async fn answering(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for answer in answers {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let mut chunk = [0; 1024];
                    let n_bytes = connection.read(&mut chunk).await.unwrap();
                    assert_ne!(n_bytes, 0, "the request breaks off");
                    request.extend_from_slice(&chunk[..n_bytes]);
                }
                sender.send(String::from_utf8(request).unwrap()).unwrap();
                // A client that has enough hangs up, so an error here is none.
                let _ = connection.write_all(&answer).await;
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// Options that let the tool reach the servers of these tests.
fn options() -> HttpRequestOptions {
    HttpRequestOptions {
        allow_private_addresses: true,
        ..HttpRequestOptions::default()
    }
}

async fn call(arguments: Value) -> Result<String, ToolError> {
    HttpRequest::new(options()).call(arguments).await
}

#[tokio::test]
async fn an_answer_is_the_status_and_the_body() {
    let mut server = Server::answering(vec![answer("200 OK", "", "hello\n")]).await;
    let text = call(json!({"url": server.url("/x")})).await.unwrap();
    assert_eq!(text, "HTTP 200 OK\n\nhello\n");
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("GET /x HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn method_headers_and_body_are_sent() {
    let mut server = Server::answering(vec![answer("201 Created", "", "")]).await;
    let text = call(json!({
        "url": server.url("/items"),
        "method": "post",
        "headers": {"Content-Type": "text/plain", "X-Id": "7"},
        "body": "héllo",
    }))
    .await
    .unwrap();
    assert_eq!(text, "HTTP 201 Created\n\n");
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("POST /items HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("content-type: text/plain\r\n"),
        "{request}"
    );
    assert!(request.contains("x-id: 7\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nhéllo"), "{request}");
}

#[tokio::test]
async fn a_refusal_carries_its_status_and_the_start_of_its_body() {
    let long = "x".repeat(5000);
    let server = Server::answering(vec![
        answer("404 Not Found", "", "no such page\n"),
        answer("500 Internal Server Error", "", &long),
        answer("429 Too Many Requests", "retry-after: 7\r\n", ""),
        answer("304 Not Modified", "", ""),
    ])
    .await;
    let address = &server.address;
    let mut errors = Vec::new();
    for _ in 0..4 {
        errors.push(
            call(json!({"url": server.url("/?token=secret")}))
                .await
                .unwrap_err(),
        );
    }
    let start = "x".repeat(1000);
    assert_eq!(
        errors,
        [
            ToolError::Failed(format!("HTTP 404 Not Found from {address}: no such page")),
            ToolError::Failed(format!(
                "HTTP 500 Internal Server Error from {address}: {start}…"
            )),
            ToolError::RateLimit(format!(
                "HTTP 429 Too Many Requests from {address} (retry after 7)"
            )),
            ToolError::Failed(format!("HTTP 304 Not Modified from {address}")),
        ]
    );
}

#[tokio::test]
async fn a_long_body_is_cut_and_says_so() {
    let chunked =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab\xe2\x82\xac\r\n5\r\n";
    let server =
        Server::answering(vec![answer("200 OK", "", "0123456789"), chunked.to_vec()]).await;
    let tool = HttpRequest::new(HttpRequestOptions {
        max_body_bytes: 4,
        ..options()
    });
    let arguments = json!({"url": server.url("/")});
    assert_eq!(
        tool.call(arguments.clone()).await.unwrap(),
        "HTTP 200 OK\n\n0123\n[cut: the first 4 of 10 bytes]"
    );
    assert_eq!(
        tool.call(arguments).await.unwrap(),
        "HTTP 200 OK\n\nab\n[cut: the first 4 bytes]"
    );
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_limit() {
    let hop = || answer("302 Found", "location: /next\r\n", "");
    let mut answers: Vec<_> = (0..5).map(|_| hop()).collect();
    answers.push(answer("200 OK", "", "there"));
    let server = Server::answering(answers).await;
    let text = call(json!({"url": server.url("/")})).await.unwrap();
    assert_eq!(text, "HTTP 200 OK\n\nthere");

    let server = Server::answering((0..6).map(|_| hop()).collect()).await;
    let err = call(json!({"url": server.url("/")})).await.unwrap_err();
    let expected = format!("{} redirected more than 5 times", server.address);
    assert_eq!(err, ToolError::Failed(expected));

    let to_file = answer("302 Found", "location: file:///etc/passwd\r\n", "");
    let server = Server::answering(vec![to_file]).await;
    let err = call(json!({"url": server.url("/")})).await.unwrap_err();
    assert!(!err.is_critical(), "{err}");
}

#[tokio::test]
async fn a_server_that_says_nothing_runs_into_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tool = HttpRequest::new(HttpRequestOptions {
        timeout: Duration::from_millis(50),
        ..options()
    });
    let err = tool
        .call(json!({"url": format!("http://{address}/")}))
        .await
        .unwrap_err();
    let expected = format!("no whole answer from {address} within 50ms");
    assert_eq!(err, ToolError::Timeout(expected));
}

#[tokio::test]
async fn a_body_that_stalls_runs_into_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stalled = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert_ne!(connection.read(&mut request).await.unwrap(), 0);
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        connection.write_all(head).await.unwrap();
        std::future::pending::<()>().await;
    };
    let tool = HttpRequest::new(HttpRequestOptions {
        timeout: Duration::from_millis(50),
        ..options()
    });
    let err = tokio::select! {
        res = tool.call(json!({"url": format!("http://{address}/")})) => res.unwrap_err(),
        () = stalled => unreachable!(),
    };
    assert!(matches!(err, ToolError::Timeout(_)), "{err}");
}

#[tokio::test]
async fn no_connection_and_a_broken_one_are_failures() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let err = call(json!({"url": format!("http://user:secret@{address}/?token=secret")}))
        .await
        .unwrap_err();
    let text = err.to_string();
    assert!(matches!(err, ToolError::Failed(_)), "{text}");
    assert!(
        text.starts_with(&format!("could not connect to {address}: ")),
        "{text}"
    );
    assert!(
        text.contains("refused") && !text.contains("secret"),
        "{text}"
    );

    let torn = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let server = Server::answering(vec![torn, b"no http at all".to_vec()]).await;
    for _ in 0..2 {
        let err = call(json!({"url": server.url("/?token=secret")}))
            .await
            .unwrap_err();
        let text = err.to_string();
        assert!(matches!(err, ToolError::Failed(_)), "{text}");
        let expected = format!("the exchange with {} broke off: ", server.address);
        assert!(
            text.starts_with(&expected) && !text.contains("secret"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_a_matter_of_the_arguments() {
    for (arguments, expected) in [
        (
            json!({"url": "ftp://127.0.0.1/"}),
            "`url` must begin with http:// or https://, not ftp:",
        ),
        (json!({"url": "file:///etc/passwd"}), "not file:"),
        (
            json!({"url": "127.0.0.1/x"}),
            "`url` is no URL (relative URL without a base)",
        ),
        (json!({"url": "http://"}), "`url` is no URL (empty host)"),
        (json!({"url": ""}), "`url` is no URL"),
        (
            json!({"url": "http://x", "method": "CONNECT"}),
            "`method` must be one of GET, HEAD",
        ),
        (
            json!({"url": "http://x", "headers": {"a b": "c"}}),
            "`a b` is no header name",
        ),
        (
            json!({"url": "http://x", "headers": {"a": 1}}),
            "`headers.a` must be a string, not a number",
        ),
        (
            json!({"url": "http://x", "headers": {"a": "secret\n"}}),
            "`headers.a` holds a character",
        ),
        (
            json!({"url": "http://x", "headers": {"Content-Length": "1"}}),
            "`content-length` is set by",
        ),
    ] {
        let err = call(arguments).await.unwrap_err();
        let text = err.to_string();
        assert!(matches!(err, ToolError::BadArguments(_)), "{text}");
        assert!(
            text.contains(expected) && !text.contains("secret"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_never_used_for_loopback() {
    let mut server = Server::answering(vec![answer("200 OK", "", "direct")]).await;
    let proxy = Server::answering(vec![answer("200 OK", "", "by proxy")]).await;
    let options = HttpRequestOptions {
        environment_proxy: true,
        ..options()
    };
    let variable = |name: &str| name.ends_with("_PROXY").then(|| proxy.url(""));
    let clients = Clients::new(&options, &resolver::system(), variable).unwrap();
    for (url, expected) in [
        (server.url("/"), "HTTP 200 OK\n\ndirect"),
        ("http://name.invalid/".to_owned(), "HTTP 200 OK\n\nby proxy"),
    ] {
        let request = request::parse(json!({"url": url})).unwrap();
        let text = exchange::exchange(&clients, request, &options)
            .await
            .unwrap();
        assert_eq!(text, expected);
    }
    assert!(server.requests.recv().await.unwrap().starts_with("GET / "));
}
