//! A client that writes what a test wants and reads what comes.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{eventually, triscope};

/// Only a test that fails waits this long.
const DEADLINE: Duration = Duration::from_mins(2);

/// `triscope mcp` over pipes, with a data directory of its own.
pub(crate) struct StdioServer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    lines: Option<mpsc::Receiver<String>>,
    dir: TempDir,
    /// What came while the test waited for something else.
    passed_over: Vec<Value>,
    next_id: u64,
}

impl StdioServer {
    /// The server, to a client that reads nothing yet.
    pub(crate) fn start_unread(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = triscope(["mcp", "--data-dir"])
            .arg(dir.path().join("data"))
            .args(arguments)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            lines: None,
            dir,
            passed_over: Vec::new(),
            next_id: 1_000_000,
        }
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut this = Self::start_unread(arguments);
        this.read();
        this
    }

    /// The same, after the handshake.
    pub(crate) fn ready(arguments: &[&str]) -> Self {
        let mut this = Self::start(arguments);
        this.initialize();
        this
    }

    /// Reads what comes, from now on.
    pub(crate) fn read(&mut self) {
        let stdout = self.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        self.lines = Some(lines);
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Writes bytes and a line end.
    pub(crate) fn send(&mut self, line: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_ref()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    pub(crate) fn notify(&mut self, method: &str, params: &Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.send(message.to_string());
    }

    /// Sends a request with a new id, which it gives.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(message.to_string());
        id
    }

    /// The next message. Whatever is on standard output has to be one.
    pub(crate) fn next(&mut self) -> Value {
        match self.lines.as_ref().unwrap().recv_timeout(DEADLINE) {
            Ok(line) => {
                let message: Value = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("no message ({error}): {line}"));
                assert_eq!(message["jsonrpc"], "2.0", "{line}");
                message
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the server ended: {:?}", self.child),
            Err(RecvTimeoutError::Timeout) => panic!("nothing within {DEADLINE:?}"),
        }
    }

    /// The answer to a request; all else is kept.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.next();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.passed_over.push(message);
        }
    }

    /// What came beside the answers.
    pub(crate) fn passed_over(&self) -> &[Value] {
        &self.passed_over
    }

    pub(crate) fn result(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    pub(crate) fn error(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answer(id);
        assert!(answer.get("result").is_none(), "{answer}");
        answer["error"].clone()
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.result("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// A tool's text; whether it is an error shows in it.
    pub(crate) fn text(&mut self, tool: &str, arguments: &Value) -> String {
        let result = self.call(tool, arguments);
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        assert_eq!(result["isError"], text.starts_with("Error: "), "{result}");
        text
    }

    /// Waits for a job's end and gives the text of its result.
    pub(crate) fn result_of(&mut self, job: u64) -> String {
        eventually("the job ends", || {
            let text = self.text("read_worker_result", &json!({"job_id": job}));
            (!text.starts_with("Error: ")).then_some(text)
        })
    }

    pub(crate) fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        });
        let result = self.result("initialize", &params);
        self.notify("notifications/initialized", &json!({}));
        result
    }

    /// Goes on writing nothing.
    pub(crate) fn close_stdin(&mut self) {
        drop(self.stdin.take());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the server's end, and gives its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        eventually("the server ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for StdioServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one worker's metadata.
pub(crate) fn only_metadata(data_dir: &Path) -> Value {
    let mut workers = std::fs::read_dir(data_dir).unwrap();
    let worker = workers
        .find_map(|it| Some(it.ok()?.path()).filter(|it| !it.ends_with(".triscope")))
        .unwrap();
    let text = std::fs::read_to_string(worker.join("metadata.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
