//! Real commands against real limits.

use super::*;

struct Scratch {
    dir: std::path::PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        empty_dir(&dir).unwrap();
        Self { dir }
    }

    fn shell(&self, script: &str, limit: Duration) -> (Ended, Vec<String>) {
        let invocation = Invocation::new("sh", "sh").args(&["-c", script]);
        let mut lines = Vec::new();
        let ended = run(
            &invocation,
            &self.dir,
            &self.dir.join("log"),
            Instant::now() + limit,
            &mut |line| lines.push(line.to_owned()),
        );
        (ended.unwrap(), lines)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

const PLENTY: Duration = Duration::from_mins(1);

#[test]
fn both_streams_reach_the_caller_and_the_log() {
    let scratch = Scratch::new("streams");
    let (ended, lines) = scratch.shell("echo out; echo err >&2; printf end; exit 3", PLENTY);
    assert!(matches!(ended, Ended::Exited(status) if status.code() == Some(3)));
    assert_eq!(lines, ["out", "err", "end"]);
    let log = fs::read_to_string(scratch.dir.join("log")).unwrap();
    assert!(log.starts_with("$ sh -c \"echo out;"), "{log}");
    assert!(log.ends_with("out\nerr\nend"), "{log}");
}

#[test]
fn a_command_without_end_is_killed_with_what_it_started() {
    let scratch = Scratch::new("limit");
    let (ended, lines) = scratch.shell(
        "sleep 600 & echo $!; echo waiting; wait",
        Duration::from_millis(400),
    );
    assert!(matches!(ended, Ended::TimedOut));
    assert_eq!(lines.last().map(String::as_str), Some("waiting"));
    assert_gone(&lines[0]);
}

#[test]
fn what_a_finished_command_left_running_is_killed() {
    let scratch = Scratch::new("leftover");
    let (ended, lines) = scratch.shell("sleep 600 & echo $!", PLENTY);
    assert!(matches!(ended, Ended::Exited(status) if status.success()));
    assert_gone(&lines[0]);
}

/// The signal is sent by then, but the process may still be on its way out.
fn assert_gone(pid: &str) {
    let script =
        format!("while kill -0 {pid} 2>/dev/null && ! grep -q ') Z' /proc/{pid}/stat; do :; done");
    let (ended, _) = Scratch::new("gone").shell(&script, PLENTY);
    assert!(
        matches!(ended, Ended::Exited(_)),
        "process {pid} is still there"
    );
}

#[test]
fn a_command_is_shown_as_it_would_be_typed() {
    let invocation = Invocation::new("/somewhere/cargo", "cargo")
        .args(&["doc", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    assert_eq!(
        invocation.to_string(),
        "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps"
    );
}
