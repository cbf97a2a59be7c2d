//! Logs of whole processes: two on one file, and streams that are closed, full or stuck. The test program starts itself.
#![cfg(unix)]

use std::fs::File;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use log_format::{LogBuilder, LogGuard};

/// Says to the started program what to do; unset in the program that tests.
const PART: &str = "LOG_FORMAT_TEST_PART";

fn start(part: &str, stderr: impl Into<Stdio>) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(PART, part)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .expect("a process")
}

/// What the process printed, which must have ended well.
fn finish(child: Child) -> String {
    let Output { status, stdout, .. } = child.wait_with_output().expect("an end");
    let stdout = String::from_utf8(stdout).expect("text");
    assert!(status.success(), "{status}: {stdout}");
    stdout
}

#[test]
fn the_other_process() {
    let Ok(part) = std::env::var(PART) else {
        return; // Nobody started it for a part.
    };
    match part.split_once(' ') {
        Some(("long_lines", path)) => {
            let guard = install(log_format::to_file(path));
            let text = "x".repeat(64 * 1024);
            for number in 0..100 {
                tracing::info!(target: "t", process = std::process::id(), number, text, "long");
                guard.flush(Duration::from_mins(1)).unwrap();
            }
        }
        _ => {
            let guard = install(log_format::to_stderr());
            for number in 0..3000 {
                tracing::info!(target: "t", number, "a line of some length, so that a pipe is soon full");
            }
            if part != "stuck" {
                guard.flush(Duration::from_mins(1)).unwrap();
            }
            println!("dropped={} of 3000", guard.dropped());
        }
    }
}

fn install(log: LogBuilder) -> LogGuard {
    log.filter("info").install().expect("the first log here")
}

#[test]
fn two_processes_on_one_file_keep_lines_of_64_kib_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let part = format!("long_lines {}", path.display());
    let children = [&part, &part].map(|it| start(it, Stdio::inherit()));
    let ids = children.each_ref().map(Child::id);
    for child in children {
        finish(child);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|it| log_format::parse_line(it).unwrap())
        .collect();
    for id in ids {
        let of_process = lines
            .iter()
            .filter(|it| it.get("process") == Some(&id.to_string()));
        let numbers: Vec<_> = of_process
            .map(|it| {
                assert_eq!(it.get("text").map(str::len), Some(64 * 1024));
                it.get("number").unwrap().parse::<usize>().unwrap()
            })
            .collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
    assert_eq!(lines.len(), 200);
}

#[test]
fn a_full_stderr_loses_lines_and_nothing_else() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert!(finish(start("full", full)).contains("dropped=3000 of 3000"));
}

#[test]
fn a_closed_stderr_harms_nobody() {
    // What was read from is closed here, and its other end gets no reader.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(finish(start("closed", writer)).contains("dropped=3000 of 3000"));
}

#[test]
fn a_stderr_that_nobody_reads_does_not_keep_a_process_from_its_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    let stdout = finish(start("stuck", writer));
    assert!(stdout.contains("dropped=0 of 3000"), "{stdout}");
    drop(reader);
}
