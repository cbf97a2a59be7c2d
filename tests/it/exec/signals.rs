//! Ctrl-C and SIGTERM to `triscope exec`: the program is asked, then killed, with all that it started.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    cli::Place,
    support::{Background, eventually},
};

/// Deaf to polite signals, with a child that is as deaf. Both are named in `pids`.
const STUBBORN: &str = "trap '' HUP INT TERM; sleep 777 & echo $$ $! >pids.new; mv pids.new pids; echo begun; wait; wait";

fn pids(place: &Place) -> Vec<u32> {
    let pids = fs::read_to_string(place.folder().join("pids")).unwrap_or_default();
    pids.split_whitespace()
        .map(|it| it.parse().unwrap())
        .collect()
}

/// Whether a process runs; one that is dead and only waits to be reaped does not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|it| !matches!(it, 'Z' | 'X'))
}

/// Waits until both processes named in `pids` are gone.
#[track_caller]
pub(super) fn all_gone(place: &Place) {
    let pids = pids(place);
    assert_eq!(pids.len(), 2);
    eventually("the end of the program and what it started", || {
        pids.iter().all(|it| !is_alive(*it)).then_some(())
    });
}

#[track_caller]
fn start(place: &Place, options: &[&str], script: &str) -> Background {
    let arguments = [&["exec"], options, &["--", "sh", "-c", script]].concat();
    let running = Background::start(&mut place.command(&arguments));
    eventually("the program", || place.has("pids"));
    running
}

#[track_caller]
fn cancels(signal: Signal, code: i32) {
    let place = Place::new();
    let running = start(&place, &["--grace", "50ms"], STUBBORN);
    running.signal(signal);
    let finished = running.finish().expect(code);
    all_gone(&place);
    assert_eq!(finished.stderr, "");
    assert!(
        finished
            .stdout
            .contains("\nStatus: cancelled\nError: cancelled\n\nbegun\n"),
        "{finished:?}"
    );
    let metadata = place.only_metadata();
    assert_eq!(metadata["status"], "cancelled");
    assert_eq!(metadata["program"]["signal"], "SIGKILL");
}

#[test]
fn ctrl_c_ends_the_whole_group() {
    cancels(Signal::INT, 130);
}

#[test]
fn sigterm_ends_the_whole_group() {
    cancels(Signal::TERM, 143);
}

#[test]
fn a_program_may_tidy_up_after_ctrl_c() {
    let place = Place::new();
    let script = "trap 'echo tidied; exit 0' TERM; echo 1 1 >pids; while :; do sleep 0.01; done";
    let running = start(&place, &["--grace", "60s", "--json"], script);
    running.signal(Signal::INT);
    let finished = running.finish().expect(130);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        (&report["status"], &report["result"]),
        (&"cancelled".into(), &"tidied\n".into())
    );
    assert_eq!(report["program"]["exit_code"], 0);
}

#[test]
fn a_second_signal_leaves_no_grace_and_no_process() {
    let place = Place::new();
    let running = start(&place, &["--grace", "10m"], STUBBORN);
    running.signal(Signal::INT);
    // It is told of the first one before the second comes; which of the two it names is a race.
    running.signal(Signal::TERM);
    let finished = running.finish();
    assert!(matches!(finished.code, 130 | 143), "{finished:?}");
    all_gone(&place);
}
