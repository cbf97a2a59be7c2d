//! Ctrl-C and the other signals that end a program: workers are cancelled and on disk, nothing they started is left, a second one ends at once.

use std::{
    fs::{self, File},
    io::{PipeReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, kill_process},
};

use super::{Place, metadata};
use crate::support::{Background, MetricsFile, eventually};

/// A shell command that no polite signal ends. It leaves its own process id and its child's in `pids`.
const STUBBORN: &str =
    "run `trap '' HUP INT TERM; sleep 777 & echo $$ $! >pids.new; mv pids.new pids; wait`";

/// The processes of the stubborn command, once they are there.
fn stubborn_processes(place: &Place) -> Vec<u32> {
    let pids = eventually("the stubborn command", || {
        fs::read_to_string(place.folder().join("pids")).ok()
    });
    let pids: Vec<u32> = pids
        .split_whitespace()
        .map(|it| it.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|it| is_alive(*it)), "{pids:?}");
    pids
}

/// Whether a process runs; one that is dead and only waits to be reaped does not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|it| !matches!(it, 'Z' | 'X'))
}

#[track_caller]
fn all_gone(pids: &[u32]) {
    eventually("the end of what the worker started", || {
        pids.iter().all(|it| !is_alive(*it)).then_some(())
    });
}

fn has_status(place: &Place, status: &str) -> Option<()> {
    let rows = fs::read_dir(place.data_dir()).ok()?;
    let mut dirs = rows.map(|it| it.unwrap().path());
    let dir = dirs.find(|it| it.join("metadata.json").exists())?;
    (metadata(&dir)["status"] == status).then_some(())
}

#[track_caller]
fn is_cancelled_and_whole(place: &Place, dir: &Path) {
    let metadata = metadata(dir);
    assert_eq!(metadata["status"], "cancelled");
    assert_eq!(metadata["error"], "cancelled");
    assert!(metadata["finished_at"].is_string() && metadata["duration_ms"].is_u64());
    // Every event is there, that of the call cut off too.
    let events = MetricsFile::read(&dir.join("metrics.jsonl"));
    assert_eq!(metadata["events"], events.events.len());
    assert_eq!(metadata["events_lost"], 0);
    let last = events.text.lines().last().unwrap();
    assert!(
        last.contains("\"tool\":\"shell_exec\"")
            && last.contains("\"success\":false,\"error\":\"cancelled\""),
        "{last}"
    );
    let result = place.run(&["result", "1"]).expect(1).stdout;
    assert!(
        result.contains("\nStatus: cancelled\nError: cancelled\n"),
        "{result}"
    );
    assert!(place.run(&["workers"]).answer().contains("cancelled"));
}

#[track_caller]
fn cancels(signal: Signal, code: i32) {
    let place = Place::new();
    let run = Background::start(&mut place.command(&["run", STUBBORN]));
    let pids = stubborn_processes(&place);
    run.signal(signal);
    let finished = run.finish().expect(code);
    all_gone(&pids);
    assert!(finished.stdout.contains("Status: cancelled"));
    assert_eq!(finished.stderr, "");
    let dir = place.dir_of(&place.rows()[0]);
    is_cancelled_and_whole(&place, &dir);
    assert_eq!(
        place.run(&["result", "1"]).expect(1).stdout,
        finished.stdout
    );
}

#[test]
fn a_closed_terminal_cancels_the_worker_and_loses_nothing() {
    cancels(Signal::HUP, 129);
}

#[test]
fn sigquit_cancels_the_worker_and_loses_nothing() {
    cancels(Signal::QUIT, 131);
}

#[test]
fn a_program_under_nohup_outlives_its_terminal() {
    let place = Place::new();
    let mut command = Command::new("nohup");
    let run = place.command(&["run", "run `sleep 0.5; echo over`"]);
    command.arg(run.get_program()).args(run.get_args());
    let run = Background::start(command.current_dir(place.folder()).stdin(Stdio::null()));
    eventually("the running worker", || has_status(&place, "running"));
    run.signal(Signal::HUP);
    run.finish().expect(0);
    assert_eq!(place.only_metadata()["status"], "success");
}

#[test]
fn a_demo_that_nobody_reads_leaves_no_worker_behind() {
    let place = Place::new();
    let mut demo = place.command(&["demo"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = demo.stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(ended.code(), Some(3));
    for row in &place.rows() {
        let status = row["status"].as_str().unwrap();
        assert!(matches!(status, "success" | "cancelled"), "{row}");
    }
}

#[test]
fn ctrl_c_cancels_the_worker_and_loses_nothing() {
    cancels(Signal::INT, 130);
}

#[test]
fn sigterm_cancels_the_worker_and_loses_nothing() {
    cancels(Signal::TERM, 143);
}

#[test]
fn a_cancelled_worker_is_an_object_for_programs() {
    let place = Place::new();
    let run = Background::start(&mut place.command(&["run", "--json", STUBBORN]));
    stubborn_processes(&place);
    run.signal(Signal::INT);
    let finished = run.finish().expect(130);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["status"], "cancelled");
}

#[test]
fn two_signals_in_a_row_leave_no_process_behind() {
    // A race: what the second signal may not cut short takes the first one a moment.
    for (first, second) in [
        (Signal::INT, Signal::TERM),
        (Signal::TERM, Signal::INT),
        (Signal::INT, Signal::TERM),
        (Signal::TERM, Signal::INT),
        (Signal::INT, Signal::TERM),
        (Signal::TERM, Signal::INT),
    ] {
        let place = Place::new();
        let run = Background::start(&mut place.command(&["run", STUBBORN]));
        let pids = stubborn_processes(&place);
        run.signal(first);
        // It may have ended already: then it waits to be reaped and minds no signal.
        run.signal(second);
        let finished = run.finish();
        assert!(matches!(finished.code, 130 | 143), "{finished:?}");
        all_gone(&pids);
    }
}

/// A program whose stdout is a full pipe, which nobody reads.
struct Stuck {
    child: Child,
    _reader: PipeReader,
}

impl Stuck {
    fn start(place: &Place, task: &str) -> Self {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let flags = fcntl_getfl(&writer).unwrap();
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
        while writer.write(&[b'x'; 1024]).is_ok() {}
        fcntl_setfl(&writer, flags).unwrap();
        let mut command = place.command(&["run", task]);
        let child = command
            .stdout(Stdio::from(writer))
            .stderr(File::create(place.folder().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            _reader: reader,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    #[track_caller]
    fn ends_with(&mut self, code: i32) {
        let status = eventually("the end of the stuck program", || {
            self.child.try_wait().unwrap()
        });
        assert_eq!(status.code(), Some(code), "{status}");
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_second_signal_ends_a_program_that_cannot_print() {
    let place = Place::new();
    let mut run = Stuck::start(&place, STUBBORN);
    let pids = stubborn_processes(&place);
    run.signal(Signal::INT);
    eventually("the cancelled worker", || has_status(&place, "cancelled"));
    assert!(run.child.try_wait().unwrap().is_none(), "it cannot print");
    run.signal(Signal::TERM);
    run.ends_with(143);
    all_gone(&pids);
    let dir = place.dir_of(&place.rows()[0]);
    is_cancelled_and_whole(&place, &dir);
    let stderr = fs::read_to_string(place.folder().join("stderr")).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn one_signal_ends_a_program_that_only_has_to_print() {
    let place = Place::new();
    let mut run = Stuck::start(&place, "calculate 7*6");
    eventually("the summary", || {
        let dirs = fs::read_dir(place.data_dir()).ok()?;
        let mut dirs = dirs.map(|it| it.unwrap().path());
        let dir = dirs.find(|it| it.join("metadata.json").exists())?;
        metadata(&dir)["summary"].is_string().then_some(())
    });
    // The first may come a moment before the program has begun to print; then it is the one that cancels.
    eventually("the end of the stuck program", || {
        run.signal(Signal::INT);
        run.child.try_wait().unwrap()
    });
    run.ends_with(130);
    assert_eq!(place.only_metadata()["status"], "success");
}

#[test]
fn an_interrupted_demo_ends_all_its_workers() {
    let place = Place::new();
    let mut demo = Background::start(&mut place.command(&["demo"]));
    let first = demo.next_line();
    assert!(first.starts_with("A supervisor hands 6 tasks"), "{first}");
    demo.signal(Signal::INT);
    let finished = demo.finish().expect(130);
    // What there is, is shown.
    assert!(
        finished.stdout.contains("Status: cancelled") && finished.stdout.contains("== Tier 3"),
        "{finished:?}"
    );
    assert_eq!(finished.stderr, "");
    let rows = place.rows();
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let status = row["status"].as_str().unwrap();
        assert!(matches!(status, "success" | "cancelled"), "{row}");
    }
    assert!(rows.iter().any(|it| it["status"] == "cancelled"));
}
