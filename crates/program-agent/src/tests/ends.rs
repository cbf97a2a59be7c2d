//! How programs end, by themselves and otherwise, and that nothing of them is left.

use std::time::Duration;

use artifact_store::Status;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::{io::AsyncReadExt as _, net::unix::pipe, time::timeout};
use worker_runner::{CancellationToken, RunOptions};

use super::support::{Ended, Home};
use crate::ProgramOptions;

const LONG: Duration = Duration::from_mins(1);

/// A FIFO in a home's folder that is at its end only when no process holds its other side.
struct Witness(pipe::Receiver);

impl Witness {
    fn new(home: &Home) -> Self {
        let path = home.path().join("witness");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self(pipe::OpenOptions::new().open_receiver(path).unwrap())
    }

    /// Waits for `ready`, which a script writes once all its processes run.
    async fn ready(&mut self) {
        let mut word = [0; 6];
        let mut n_read = 0;
        while n_read < word.len() {
            // Until the script has opened its side, there is nothing to read but the end.
            match self.0.read(&mut word[n_read..]).await.unwrap() {
                0 => tokio::time::sleep(Duration::from_millis(1)).await,
                n_bytes => n_read += n_bytes,
            }
        }
        assert_eq!(&word, b"ready\n");
    }

    /// Waits until nobody is left.
    async fn gone(&mut self) {
        let mut rest = Vec::new();
        timeout(LONG, self.0.read_to_end(&mut rest))
            .await
            .expect("a process of the program is still there")
            .unwrap();
    }
}

/// Children in the background and in the foreground, all deaf to SIGTERM, all holding the witness.
const STUBBORN: &str = "trap '' TERM; exec 3>witness; (sleep 600; sleep 600) & \
                        echo begun; echo ready >&3; sleep 600; sleep 600";

fn graceless() -> ProgramOptions {
    ProgramOptions {
        term_grace: Duration::from_millis(20),
        ..ProgramOptions::default()
    }
}

/// Nothing that is still printed is worth waiting for.
fn impatient() -> ProgramOptions {
    ProgramOptions {
        drain_grace: Duration::from_millis(50),
        ..ProgramOptions::default()
    }
}

fn patient() -> ProgramOptions {
    ProgramOptions {
        term_grace: LONG,
        ..ProgramOptions::default()
    }
}

/// Runs a script, and cancels its worker once it is ready.
async fn cancelled(home: &Home, script: &str, options: ProgramOptions) -> (Ended, Witness) {
    let mut witness = Witness::new(home);
    let cancel = CancellationToken::new();
    let run_options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::default()
    };
    let stop = async {
        witness.ready().await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(home.run_with(script, options, run_options), stop);
    assert_eq!(ended.report.status, Status::Cancelled);
    assert_eq!(ended.report.error.as_deref(), Some("cancelled"));
    (ended, witness)
}

#[tokio::test]
async fn an_end_other_than_success_is_named() {
    let home = Home::new();
    for (script, error, code, signal) in [
        ("echo out; exit 3", "exit code 3", Some(3), None),
        (
            "echo err >&2; exit 255",
            "exit code 255 (see stderr.txt)",
            Some(255),
            None,
        ),
        (
            "kill -KILL $$",
            "killed by signal 9 (SIGKILL)",
            None,
            Some("SIGKILL"),
        ),
        ("kill -USR1 $$", "killed by signal 10", None, Some("10")),
    ] {
        let ended = home.run(script, impatient()).await;
        assert_eq!(ended.report.status, Status::Failed, "{script}");
        assert_eq!(ended.report.error.as_deref(), Some(error));
        assert_eq!(ended.program()["exit_code"].as_i64(), code);
        assert_eq!(ended.program()["signal"].as_str(), signal);
    }
}

#[tokio::test]
async fn a_program_that_cannot_start_says_why() {
    let home = Home::new();
    let script = home.path().join("script");
    for (text, hint) in [
        ("#!/no/such/interpreter\n", "interpreter that is not there"),
        ("no first line\n", "#!/bin/sh"),
    ] {
        // Written by another process: a child of another test could hold a file open that was written here, and what is open
        // for writing cannot be started.
        let write = r#"printf %s "$1" >"$2" && chmod 700 "$2""#;
        let written = std::process::Command::new("sh")
            .args(["-c", write, "sh", text])
            .arg(&script)
            .status();
        assert!(written.unwrap().success());
        let runner = home.runner(&[script.to_str().unwrap()], ProgramOptions::default());
        let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
        let error = report.error.unwrap();
        assert!(
            error.starts_with("cannot start `") && error.contains(hint),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group_and_keeps_what_was_printed() {
    // On a machine that is busy the first limit may end it before it has begun.
    for limit in [Duration::from_millis(300), Duration::from_secs(3), LONG] {
        let home = Home::new();
        let mut witness = Witness::new(&home);
        let run_options = RunOptions {
            timeout: limit,
            ..RunOptions::default()
        };
        let ended = home.run_with(STUBBORN, graceless(), run_options).await;
        assert_eq!(ended.report.status, Status::Timeout);
        let error = format!("timed out after {limit:?}");
        assert_eq!(ended.report.error, Some(error));
        if ended.text("result.txt") == "begun\n" && ended.program()["signal"] == "SIGKILL" {
            witness.ready().await;
            witness.gone().await;
            return;
        }
    }
    panic!("it never begins");
}

#[tokio::test]
async fn a_cancelled_group_is_gone_however_deaf_it_is() {
    let home = Home::new();
    let (ended, mut witness) = cancelled(&home, STUBBORN, graceless()).await;
    assert_eq!(ended.text("result.txt"), "begun\n");
    witness.gone().await;
}

#[tokio::test]
async fn a_program_that_is_to_stop_may_tidy_up() {
    let home = Home::new();
    let script =
        "trap 'echo tidied; exit 0' TERM; echo ready >witness; while :; do sleep 0.01; done";
    let (ended, _) = cancelled(&home, script, patient()).await;
    assert_eq!(ended.text("result.txt"), "tidied\n");
    assert_eq!(ended.program()["exit_code"], 0);
}

#[tokio::test]
async fn the_real_program_may_tidy_up_behind_a_shell_that_goes_at_once() {
    let home = Home::new();
    let script = "sh -c 'trap \"sleep 0.3; echo tidied; exit\" TERM; echo ready >witness; \
                  while :; do sleep 0.01; done'; echo not reached";
    let (ended, _) = cancelled(&home, script, patient()).await;
    assert_eq!(ended.text("result.txt"), "tidied\n");
    assert_eq!(ended.program()["signal"], "SIGTERM");
}

#[tokio::test]
async fn a_stopped_program_is_woken_to_end() {
    let home = Home::new();
    // Its own child stops it, so that nothing of it runs when it is told to end.
    let script = "(kill -STOP $$; echo ready >witness) & wait";
    let (ended, _) = cancelled(&home, script, patient()).await;
    assert_eq!(ended.program()["signal"], "SIGTERM");
}

#[tokio::test]
async fn killing_leaves_no_grace() {
    let home = Home::new();
    let options = patient();
    options.kill.cancel();
    let run = cancelled(&home, STUBBORN, options);
    let (ended, mut witness) = timeout(LONG / 2, run).await.expect("it is not waited for");
    assert_eq!(ended.program()["signal"], "SIGKILL");
    witness.gone().await;
}

#[tokio::test]
async fn dropping_the_worker_kills_the_whole_group() {
    let home = Home::new();
    let mut witness = Witness::new(&home);
    tokio::select! {
        ended = home.run(STUBBORN, patient()) => panic!("ended by itself: {:?}", ended.report),
        () = witness.ready() => {}
    }
    witness.gone().await;
}

#[tokio::test]
async fn a_background_process_neither_hangs_the_worker_nor_outlives_it() {
    let home = Home::new();
    let mut witness = Witness::new(&home);
    let script = "exec 3>witness; sleep 600 & echo ready >&3; echo hi";
    let ended = timeout(LONG, home.run(script, impatient())).await;
    let ended = ended.expect("the worker hangs");
    assert_eq!(ended.report.status, Status::Success);
    assert_eq!(ended.text("result.txt"), "hi\n");
    assert_eq!(ended.warnings(), [""; 0]);
    witness.ready().await;
    witness.gone().await;
}

#[tokio::test]
async fn what_a_background_process_still_prints_is_kept() {
    let home = Home::new();
    let script =
        "(until grep -q ') Z ' /proc/$$/stat; do sleep 0.01; done; echo late) & echo early";
    let options = ProgramOptions {
        drain_grace: LONG,
        ..ProgramOptions::default()
    };
    let ended = home.run(script, options).await;
    assert_eq!(ended.text("result.txt"), "early\nlate\n");
}

#[tokio::test]
async fn a_process_that_leaves_the_group_lives_on_and_is_told_of() {
    let home = Home::new();
    // It keeps the output open, and says when it got away.
    let script = "setsid sh -c 'echo $$ >pid.new; mv pid.new pid; sleep 600' & \
                  until [ -e pid ]; do sleep 0.01; done; echo hi";
    let ended = timeout(LONG, home.run(script, impatient())).await;
    let ended = ended.expect("the worker hangs");
    assert_eq!(ended.report.status, Status::Success);
    let [warning] = ended.warnings()[..] else {
        panic!("{:?}", ended.warnings());
    };
    assert!(
        warning.starts_with("a process that left the program's group"),
        "{warning}"
    );
    let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process_group(pid, rustix::process::Signal::KILL)
        .expect("it was still there");
}
