//! `ssh_exec` against a real server on loopback.

mod server;

use std::{fs, time::Duration};

use metrics_core::Event;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use serde_json::json;
use worker_runner::{Tool as _, ToolError};
use worker_tools::{SshExec, SshExecOptions, SshTarget};

use self::server::Server;
use super::numbers;
use crate::{
    cli::Place,
    support::{Background, MetricsFile, eventually, skip_test},
};

/// A server, or a visible skip.
macro_rules! server {
    () => {
        match Server::start() {
            Ok(server) => server,
            Err(reason) => skip_test!(&reason),
        }
    };
}

async fn call(options: SshExecOptions, command: &str) -> Result<String, ToolError> {
    let arguments = json!({"host": "box", "command": command});
    SshExec::new(options).call(arguments).await
}

#[tokio::test]
async fn a_command_answers_what_it_prints_in_order() {
    let server = server!();
    for (command, expected) in [
        ("echo one; echo two >&2; echo three", "one\ntwo\nthree\n"),
        ("true", "(no output)"),
        ("cat", "(no output)"),
        (
            "printf '%s|' \"it's\" '$HOME' 'a  b' '!' '\\n'",
            "it's|$HOME|a  b|!|\\n|",
        ),
        ("echo first\necho second", "first\nsecond\n"),
        ("test -t 1 || echo no terminal", "no terminal\n"),
        ("echo ${SSH_AUTH_SOCK-no agent}", "no agent\n"),
        ("sleep 0 & echo hi", "hi\n"),
    ] {
        let answered = call(server.options(), command).await;
        assert_eq!(answered.as_deref(), Ok(expected), "{command}");
    }
}

#[tokio::test]
async fn an_end_other_than_success_is_named() {
    let server = server!();
    for (command, expected) in [
        (
            "echo out; echo err >&2; exit 3",
            "exit code 3 on `box`\n\nout\nerr\n",
        ),
        ("exit 255", "exit code 255 on `box`\n\n(no output)"),
        ("kill -KILL $$", "exit code 137 on `box`\n\n(no output)"),
    ] {
        let err = call(server.options(), command).await.unwrap_err();
        assert_eq!(err, ToolError::Failed(expected.to_owned()), "{command}");
    }
    let err = call(server.options(), "no-such-command").await.unwrap_err();
    assert!(
        err.to_string().starts_with("exit code 127 on `box`"),
        "{err}"
    );
}

#[tokio::test]
async fn a_command_is_never_taken_for_an_option() {
    let server = server!();
    let touched = server.folder().join("touched");
    for command in [
        format!("-oProxyCommand=touch {}", touched.display()),
        "-V".to_owned(),
        "--".to_owned(),
        "'; exit 0; '".to_owned(),
    ] {
        let err = call(server.options(), &command).await.unwrap_err();
        assert!(matches!(err, ToolError::Failed(_)), "{command}: {err}");
    }
    assert!(!touched.exists());
}

#[tokio::test]
async fn who_the_other_side_is_must_be_known() {
    let server = server!();
    let port = server.target().port();
    let unknown = server.folder().join("unknown");
    fs::write(&unknown, "").unwrap();
    let other = server.known_hosts("other", &server.new_key("other_host"));
    for (known_hosts, hint) in [
        (
            unknown.clone(),
            format!("its host key is not known; get it with `ssh-keyscan -p {port} 127.0.0.1`"),
        ),
        (
            server.folder().join("missing"),
            "its host key is not known".to_owned(),
        ),
        (
            other,
            format!(
                "its host key is another one than before; if that is meant to be, remove the old one with `ssh-keygen -R [127.0.0.1]:{port}`"
            ),
        ),
    ] {
        let options = SshExecOptions {
            known_hosts: Some(known_hosts),
            ..server.options()
        };
        let err = call(options, "touch reached")
            .await
            .unwrap_err()
            .to_string();
        assert!(err.contains(&hint), "{err}");
        assert!(err.contains("cannot run anything on `box` ("), "{err}");
    }
    // Nothing was learnt on the way.
    assert_eq!(fs::read_to_string(unknown).unwrap(), "");
}

#[tokio::test]
async fn a_key_that_is_not_let_in_and_one_that_is_none_are_told() {
    let server = server!();
    let stranger = SshExecOptions {
        identity: Some(server.new_key("stranger")),
        ..server.options()
    };
    let err = call(stranger, "true").await.unwrap_err().to_string();
    assert!(
        err.contains("in with our key; give the right one with `--ssh-identity`"),
        "{err}"
    );
    let nonsense = server.folder().join("nonsense");
    fs::write(&nonsense, "no key").unwrap();
    let options = SshExecOptions {
        identity: Some(nonsense),
        ..server.options()
    };
    let err = call(options, "true").await.unwrap_err().to_string();
    assert!(err.contains("--ssh-identity"), "{err}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let server = server!();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = |target: String| SshExecOptions {
        targets: vec![target.parse().unwrap()],
        ..server.options()
    };
    let nobody = options(format!("box=me@127.0.0.1:{port}"));
    let err = call(nobody, "true").await.unwrap_err().to_string();
    assert!(
        err.contains(&format!("nothing listens on port {port} of 127.0.0.1")),
        "{err}"
    );
    let err = call(options("box=me@name.invalid".to_owned()), "true").await;
    let err = err.unwrap_err().to_string();
    assert!(err.contains("there is no host `name.invalid`"), "{err}");
    // One that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let options = SshExecOptions {
        connect_timeout: Duration::from_secs(1),
        ..options(format!("box=me@127.0.0.1:{port}"))
    };
    let err = call(options, "true").await.unwrap_err();
    assert!(matches!(err, ToolError::Timeout(_)), "{err}");
}

/// A command that ends only when it is killed, and holds a FIFO open as long as it lives.
struct Stubborn {
    command: String,
    fifo: tokio::net::unix::pipe::Receiver,
}

impl Stubborn {
    fn new(server: &Server) -> Self {
        let path = server.folder().join("witness");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self {
            command: format!(
                "trap '' TERM; exec 3>{}; sleep 600 & echo begun; echo ready >&3; sleep 600; sleep 600",
                path.display()
            ),
            fifo: tokio::net::unix::pipe::OpenOptions::new()
                .open_receiver(path)
                .unwrap(),
        }
    }

    async fn ready(&mut self) {
        use tokio::io::AsyncReadExt as _;
        let mut read = Vec::new();
        while !read.ends_with(b"ready\n") {
            let mut chunk = [0; 16];
            match self.fifo.read(&mut chunk).await.unwrap() {
                0 => tokio::time::sleep(Duration::from_millis(5)).await,
                n_bytes => read.extend_from_slice(&chunk[..n_bytes]),
            }
        }
    }

    async fn gone(&mut self) {
        use tokio::io::AsyncReadExt as _;
        let mut rest = Vec::new();
        let read = self.fifo.read_to_end(&mut rest);
        tokio::time::timeout(Duration::from_mins(1), read)
            .await
            .expect("the command on the other side is still there")
            .unwrap();
    }
}

#[tokio::test]
async fn a_command_that_runs_out_of_time_is_ended_on_the_other_side() {
    let server = server!();
    let mut stubborn = Stubborn::new(&server);
    let options = SshExecOptions {
        timeout: Duration::from_secs(3),
        ..server.options()
    };
    let tool = SshExec::new(options);
    let call = tool.call(json!({"host": "box", "command": stubborn.command}));
    let (answered, ()) = tokio::join!(call, stubborn.ready());
    let err = answered.unwrap_err();
    assert_eq!(
        err,
        ToolError::Timeout(
            "the command on `box` ran longer than 3s and was ended\n\nbegun\n".to_owned()
        )
    );
    stubborn.gone().await;
}

#[tokio::test]
async fn a_command_may_tidy_up_and_say_so() {
    let server = server!();
    let options = SshExecOptions {
        timeout: Duration::from_secs(3),
        ..server.options()
    };
    let command = "trap 'echo tidied; exit 0' TERM; while :; do sleep 0.1; done";
    let err = call(options, command).await.unwrap_err();
    // The command's own shell may say before that its `sleep` was ended.
    assert!(matches!(err, ToolError::Timeout(_)), "{err}");
    assert!(err.to_string().ends_with("\ntidied\n"), "{err}");
}

#[tokio::test]
async fn dropping_the_call_ends_the_command_on_the_other_side() {
    let server = server!();
    let mut stubborn = Stubborn::new(&server);
    let tool = SshExec::new(server.options());
    {
        let call = tool.call(json!({"host": "box", "command": stubborn.command}));
        tokio::select! {
            answered = call => panic!("ended by itself: {answered:?}"),
            () = stubborn.ready() => {}
        }
    }
    stubborn.gone().await;
}

#[tokio::test]
async fn a_killed_program_leaves_no_command_behind() {
    let server = server!();
    let mut stubborn = Stubborn::new(&server);
    let place = Place::new();
    let task = format!("on box run `{}`", stubborn.command);
    let mut arguments = vec!["run".to_owned(), task];
    arguments.extend(server.arguments());
    let arguments: Vec<_> = arguments.iter().map(|it| &**it).collect();
    let running = Background::start(&mut place.command(&arguments));
    stubborn.ready().await;
    running.signal(Signal::KILL);
    stubborn.gone().await;
}

#[test]
fn a_worker_runs_a_command_elsewhere_and_all_tiers_show_it() {
    let server = server!();
    let place = Place::new();
    let run = |task: &str| {
        let mut arguments = vec!["run".to_owned(), "--json".to_owned(), task.to_owned()];
        arguments.extend(server.arguments());
        let arguments: Vec<_> = arguments.iter().map(|it| &**it).collect();
        let report = place.run(&arguments).json();
        place.dir_of(&report)
    };
    let dir = run("on box run `echo hello` then on box run `exit 7`");
    let result = fs::read_to_string(dir.join("result.txt")).unwrap();
    assert_eq!(
        result,
        "`echo hello` on box printed: hello\n\
         run `exit 7` on box failed: exit code 7 on `box`\n\n(no output)"
    );
    let metrics = MetricsFile::read(&dir.join("metrics.jsonl"));
    let tools: Vec<_> = metrics
        .events
        .iter()
        .filter_map(|it| match it {
            Event::ToolCall(call) => Some((call.tool.as_str(), call.outcome.is_success())),
            _ => None,
        })
        .collect();
    assert_eq!(tools, [("ssh_exec", true), ("ssh_exec", false)]);
    let log = eventually("the log", || fs::read_to_string(place.log_path()).ok());
    assert!(log.contains("tool_call_complete tool=ssh_exec "), "{log}");

    let dir = run("on box run `seq 1 100000`");
    let printed = numbers();
    let kept = dir.join("tool_calls/001_ssh_exec.whole.txt");
    assert_eq!(fs::read_to_string(kept).unwrap(), printed);
    let result = fs::read_to_string(dir.join("tool_calls/001_ssh_exec.txt")).unwrap();
    assert!(result.contains("tool_calls/001_ssh_exec.whole.txt"));

    let dir = run("on nowhere run `true`");
    let result = fs::read_to_string(dir.join("result.txt")).unwrap();
    assert!(
        result.contains("`host` must be one of `box`, not `nowhere`"),
        "{result}"
    );
}

#[test]
fn without_a_target_there_is_no_such_tool() {
    let place = Place::new();
    let dir = place.worker("on box run `true`");
    let result = fs::read_to_string(dir.join("result.txt")).unwrap();
    assert!(result.contains("`ssh_exec` is not offered"), "{result}");
}

#[test]
fn hostile_targets_are_bad_usage() {
    let place = Place::new();
    for target in [
        "box=me@-oProxyCommand=touch${IFS}x",
        "box=me@-V",
        "box=-l@host",
        "-x=me@host",
        "box=me@host:0",
        "box=me@host:22;id",
        "box=me@host name",
        "box=me@host\n",
        "box=me@$(id)",
        "box=me@ho%h",
        "box=me@[::1",
        "box=me@[127.0.0.1]",
        "box=me@",
        "me@host",
        "box=host",
        "",
    ] {
        assert!(target.parse::<SshTarget>().is_err(), "{target:?}");
        let argument = format!("--ssh-target={target}");
        let refused = place.run(&["run", "calculate 7*6", &argument]).expect(2);
        assert!(
            refused.stderr.contains("--ssh-target"),
            "{}",
            refused.stderr
        );
    }
    let twice = ["run", "x", "--ssh-target=a=u@h", "--ssh-target=a=u@i"];
    let refused = place.run(&twice).expect(2);
    assert!(refused.stderr.contains("called `a`"), "{}", refused.stderr);
}
