//! Real commands: their output, their ends, and what is left of them.

use std::{path::Path, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::unix::pipe, time::timeout};
use worker_runner::{Tool, ToolError};

use super::{ShellExec, ShellExecOptions};

async fn call(command: &str) -> Result<String, ToolError> {
    ShellExec::default().call(json!({"command": command})).await
}

/// A FIFO that is at its end only when no process holds its other side.
struct Witness {
    directory: TempDir,
    reader: pipe::Receiver,
}

impl Witness {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = pipe::OpenOptions::new().open_receiver(path).unwrap();
        Self { directory, reader }
    }

    fn tool(&self, options: &ShellExecOptions) -> ShellExec {
        ShellExec::new(ShellExecOptions {
            directory: Some(self.directory.path().to_owned()),
            ..options.clone()
        })
    }

    /// Waits for `ready`, which a command writes once all its processes run.
    async fn ready(&mut self) {
        let mut word = [0; 6];
        let mut n_read = 0;
        while n_read < word.len() {
            // Until the command has opened its side, there is nothing to read but the end.
            match self.reader.read(&mut word[n_read..]).await.unwrap() {
                0 => tokio::task::yield_now().await,
                n_bytes => n_read += n_bytes,
            }
        }
        assert_eq!(&word, b"ready\n");
    }

    /// Waits until nobody is left.
    async fn gone(&mut self) {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(20), self.reader.read_to_end(&mut rest))
            .await
            .expect("a process of the command is still there")
            .unwrap();
    }
}

/// Children in the background and in the foreground, all deaf to SIGTERM, all holding the witness.
const STUBBORN: &str = "trap '' TERM; exec 3>witness; (sleep 600; sleep 600) & \
                        echo begun; echo ready >&3; sleep 600; sleep 600";

#[tokio::test]
async fn the_output_is_answered_in_order() {
    assert_eq!(call("echo hi").await.unwrap(), "hi\n");
    let both = call("echo one; echo two >&2; echo three").await.unwrap();
    assert_eq!(both, "one\ntwo\nthree\n");
    assert_eq!(call("true").await.unwrap(), "(no output)");
    assert_eq!(call("printf 'a\\377b'").await.unwrap(), "a\u{fffd}b");
}

#[tokio::test]
async fn standard_input_is_empty() {
    assert_eq!(call("cat").await.unwrap(), "(no output)");
}

#[tokio::test]
async fn a_command_runs_in_the_given_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "notes").unwrap();
    let tool = |directory: &Path| {
        ShellExec::new(ShellExecOptions {
            directory: Some(directory.to_owned()),
            ..ShellExecOptions::default()
        })
    };
    let arguments = json!({"command": "cat notes.txt"});
    let text = tool(directory.path())
        .call(arguments.clone())
        .await
        .unwrap();
    assert_eq!(text, "notes");
    let missing = tool(Path::new("/nonexistent"))
        .call(arguments)
        .await
        .unwrap_err();
    assert!(matches!(missing, ToolError::Configuration(_)), "{missing}");
}

#[tokio::test]
async fn an_end_other_than_success_is_named() {
    for (command, expected) in [
        (
            "echo out; echo err >&2; exit 3",
            "exit code 3\n\nout\nerr\n",
        ),
        ("false", "exit code 1\n\n(no output)"),
        (
            "kill -KILL $$",
            "killed by signal 9 (SIGKILL)\n\n(no output)",
        ),
        (
            "echo out; kill -TERM $$",
            "killed by signal 15 (SIGTERM)\n\nout\n",
        ),
    ] {
        let err = call(command).await.unwrap_err();
        assert_eq!(err, ToolError::Failed(expected.to_owned()), "{command}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_is_refused() {
    for command in ["", " \n", "echo \0"] {
        let err = call(command).await.unwrap_err();
        assert!(matches!(err, ToolError::BadArguments(_)), "{err}");
    }
    let err = call(&"x".repeat(1 << 20)).await.unwrap_err();
    assert!(
        matches!(&err, ToolError::BadArguments(text) if text.contains("too long")),
        "{err}"
    );
}

#[tokio::test]
async fn much_output_is_kept_at_both_ends() {
    let command = "echo first; head -c 50000000 /dev/zero | tr '\\0' x; echo; echo last";
    let text = call(command).await.unwrap();
    assert!(text.len() < 70_000, "{}", text.len());
    assert!(text.starts_with("first\nxxx") && text.ends_with("xxx\nlast\n"));
    assert!(
        text.contains("\n[… 49934476 of 50000012 bytes left out …]\n"),
        "{}",
        &text[32760..32840]
    );
}

#[tokio::test]
async fn a_background_process_neither_hangs_the_call_nor_outlives_it() {
    let mut witness = Witness::new();
    let tool = witness.tool(&ShellExecOptions::default());
    let command = "exec 3>witness; sleep 600 & echo ready >&3; echo hi";
    let text = timeout(
        Duration::from_secs(20),
        tool.call(json!({"command": command})),
    )
    .await
    .expect("the call hangs")
    .unwrap();
    assert_eq!(
        text,
        "hi\n[a process left in the background held the output open and was killed]"
    );
    witness.ready().await;
    witness.gone().await;

    // One that let go of the output is killed as well, and nobody has to wait for it.
    let command = "exec 3>witness; sleep 600 >&3 2>&3 & echo ready >&3; echo hi";
    let text = tool.call(json!({"command": command})).await.unwrap();
    assert_eq!(text, "hi\n");
    witness.ready().await;
    witness.gone().await;
}

#[tokio::test]
async fn a_timeout_kills_the_whole_group_and_keeps_the_output() {
    let mut witness = Witness::new();
    let tool = witness.tool(&ShellExecOptions {
        timeout: Duration::from_millis(300),
        term_grace: Duration::from_millis(50),
        ..ShellExecOptions::default()
    });
    let err = tool.call(json!({"command": STUBBORN})).await.unwrap_err();
    let expected = "the command ran longer than 300ms and was killed with all that it started\n\n";
    assert_eq!(err, ToolError::Timeout(format!("{expected}begun\n")));
    witness.ready().await;
    witness.gone().await;
}

#[tokio::test]
async fn a_command_that_runs_out_of_time_may_tidy_up() {
    let tool = ShellExec::new(ShellExecOptions {
        timeout: Duration::from_millis(300),
        term_grace: Duration::from_secs(20),
        ..ShellExecOptions::default()
    });
    let command =
        "trap 'echo tidied; exit 0' TERM; exec 4>&1 >/dev/null; sleep 600 & exec >&4 4>&-; wait";
    let err = tool.call(json!({"command": command})).await.unwrap_err();
    assert!(
        matches!(&err, ToolError::Timeout(text) if text.ends_with("\n\ntidied\n")),
        "{err}"
    );
}

#[tokio::test]
async fn dropping_the_call_kills_the_whole_group() {
    let mut witness = Witness::new();
    let tool = witness.tool(&ShellExecOptions::default());
    {
        let call = tool.call(json!({"command": STUBBORN}));
        tokio::select! {
            res = call => panic!("ended by itself: {res:?}"),
            () = witness.ready() => {}
        }
    }
    witness.gone().await;
}

#[tokio::test]
async fn closing_the_output_does_not_end_the_call() {
    // It then runs out of time while only its exit is waited for.
    let tool = ShellExec::new(ShellExecOptions {
        timeout: Duration::from_millis(200),
        ..ShellExecOptions::default()
    });
    let command = "echo hi; exec >&- 2>&-; sleep 600";
    let err = tool.call(json!({"command": command})).await.unwrap_err();
    assert!(
        matches!(&err, ToolError::Timeout(text) if text.ends_with("\n\nhi\n")),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commands_at_once_keep_apart() {
    let tool = std::sync::Arc::new(ShellExec::default());
    let calls: Vec<_> = (0..40)
        .map(|it| {
            let tool = tool.clone();
            let command = format!("echo {it}; exit {}", it % 2);
            tokio::spawn(async move { tool.call(json!({"command": command})).await })
        })
        .collect();
    for (it, call) in calls.into_iter().enumerate() {
        let expected = if it % 2 == 0 {
            Ok(format!("{it}\n"))
        } else {
            Err(ToolError::Failed(format!("exit code 1\n\n{it}\n")))
        };
        assert_eq!(call.await.unwrap(), expected);
    }
}
