//! `triscope mcp --http`, and requests to it byte by byte.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Background, Finished, triscope};

/// Only a test that fails waits this long.
const DEADLINE: Duration = Duration::from_mins(2);

/// A server on a free port, with a data directory of its own.
pub(crate) struct HttpServer {
    pub(crate) program: Background,
    url: String,
    dir: TempDir,
}

impl HttpServer {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// With tokens, each of an owner.
    pub(crate) fn with_tokens(tokens: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        let lines = tokens
            .iter()
            .map(|(owner, token)| format!("{owner} {token}\n"));
        fs::write(&file, lines.collect::<String>()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Self::start_in(dir, &["--tokens", file.to_str().unwrap()])
    }

    fn start_in(dir: TempDir, arguments: &[&str]) -> Self {
        let mut command = triscope(["mcp", "--http", "0", "--data-dir"]);
        command
            .arg(dir.path().join("data"))
            .args(arguments)
            .env_remove("TRISCOPE_MCP_TOKEN")
            .current_dir(dir.path());
        let mut program = Background::start(&mut command);
        let line = program.next_line();
        let url = line
            .strip_prefix("Listening on ")
            .unwrap_or_else(|| panic!("it does not listen: {line}"))
            .to_owned();
        Self { program, url, dir }
    }

    /// Waits for the server's end; its files are there until the folder is dropped.
    pub(crate) fn finish(self) -> (Finished, TempDir) {
        (self.program.finish(), self.dir)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.url.strip_prefix("http://").unwrap();
        address.strip_suffix("/mcp").unwrap().parse().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// What comes back for these bytes, to the end of the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Response {
        let mut stream = self.connect();
        // A server that refuses may close before all of it is written.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Response::parse(&answer)
    }

    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.raw(&request("POST", headers, body))
    }

    /// A session of its own.
    pub(crate) fn session(&self, headers: &[(&str, &str)]) -> Session<'_> {
        let begin = message(
            0,
            "initialize",
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
        );
        let response = self.post(headers, &begin);
        assert_eq!(response.status, 200, "{response:?}");
        let id = response.header("mcp-session-id").unwrap().to_owned();
        let mut headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        headers.push(("mcp-session-id".to_owned(), id));
        Session {
            server: self,
            headers,
        }
    }
}

/// A session, and the headers of its requests.
pub(crate) struct Session<'a> {
    server: &'a HttpServer,
    pub(crate) headers: Vec<(String, String)>,
}

impl Session<'_> {
    pub(crate) fn headers(&self) -> Vec<(&str, &str)> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (&**name, &**value)).collect()
    }

    pub(crate) fn post(&self, method: &str, params: &Value) -> Response {
        self.server
            .post(&self.headers(), &message(7, method, params))
    }

    pub(crate) fn answer(&self, method: &str, params: &Value) -> Value {
        let response = self.post(method, params);
        assert_eq!(response.status, 200, "{response:?}");
        response.answer()
    }

    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Value {
        let answer = self.answer("tools/call", &json!({"name": tool, "arguments": arguments}));
        answer["result"].clone()
    }
}

pub(crate) fn message(id: u64, method: &str, params: &Value) -> Vec<u8> {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    message.to_string().into_bytes()
}

/// A request whose headers are the usual ones where it gives no others; one with an empty value is left out.
pub(crate) fn request(method: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let usual = [
        ("host", "localhost"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("content-length", &*length),
        ("connection", "close"),
    ];
    let mut head = format!("{method} /mcp HTTP/1.1\r\n");
    let is_given = |name: &str| headers.iter().any(|it| it.0 == name);
    let usual = usual.into_iter().filter(|it| !is_given(it.0));
    for (name, value) in usual.chain(headers.iter().copied()) {
        if !value.is_empty() {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Response {
    /// 0 if it said nothing.
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|it| {
            let (key, value) = it.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The last message, of a stream or by itself.
    pub(crate) fn answer(&self) -> Value {
        let mut messages = self.body.lines().filter_map(|it| {
            let text = it.strip_prefix("data:").unwrap_or(it);
            serde_json::from_str::<Value>(text.trim()).ok()
        });
        let last = messages.rfind(Value::is_object);
        last.unwrap_or_else(|| panic!("no message: {self:?}"))
    }
}
