//! SIGKILL at random moments over a process that records as fast as it can.

use std::{fs, path::PathBuf, thread};

use artifact_store::{ArtifactStore, Status, WorkerFilter};
use rustix::process::Signal;

use super::recording::{Recording, Stored, random_moment, reports};
use crate::{
    cli::metadata,
    support::{finish, triscope},
};

/// Of each mode; all of them together are more than 200.
const ROUNDS: u32 = 70;

#[test]
fn a_killed_process_leaves_what_it_flushed() {
    kill_again_and_again("buffered");
}

#[test]
fn a_killed_process_that_writes_through_leaves_all_that_it_recorded() {
    kill_again_and_again("write-through");
}

#[test]
fn a_killed_process_that_waits_for_the_disk_leaves_all_that_it_recorded() {
    kill_again_and_again("fsync");
}

fn kill_again_and_again(mode: &str) {
    let mut n_events = 0;
    for round in 0..ROUNDS {
        // Small batches and large ones, few writers and many.
        let flush_every = 4_u32.pow(round % 6);
        let (workers, threads) = (1 + round % 2, 1 + round % 3);
        let it = Recording::new();
        let arguments = format!(
            "--mode {mode} --flush-every {flush_every} --workers {workers} --threads {threads}"
        );
        let killed = it.start(&arguments);
        thread::sleep(random_moment());
        killed.signal(Signal::KILL);
        killed.finish().expect(128 + 9);
        let stored = assert_prefix(&it, workers, threads);
        n_events += stored.iter().map(Stored::len).sum::<u64>();
        assert_readers_cope(&it, &stored);
        if round % 10 == 0 {
            assert_program_and_next_run_cope(&it, mode);
        }
    }
    assert!(
        n_events > u64::from(ROUNDS),
        "killed before anything was recorded"
    );
}

/// Checks that each file is a gap-free prefix of what was recorded and holds all that was acknowledged.
#[track_caller]
fn assert_prefix(it: &Recording, workers: u32, threads: u32) -> Vec<Stored> {
    let dirs = it.workers();
    assert_eq!(dirs.len(), workers as usize);
    let check = |dir: &PathBuf| {
        let stored = Stored::read(dir);
        stored.assert_gap_free();
        assert!(stored.threads.len() <= threads as usize);
        for (thread, acknowledged) in (0..).zip(it.acknowledged(dir)) {
            let there = stored.threads.get(&thread).map_or(0, |it| it.len() as u64);
            assert!(
                acknowledged <= there,
                "{acknowledged} acknowledged, {there} there"
            );
        }
        stored
    };
    dirs.iter().map(check).collect()
}

/// Checks that another store finds the workers dead, and puts their files right: what is torn is moved aside, and
/// nothing else changes.
#[track_caller]
fn assert_readers_cope(it: &Recording, stored: &[Stored]) {
    let store = ArtifactStore::open(it.data_dir()).unwrap();
    let list = store.list(&WorkerFilter::default()).unwrap();
    assert_eq!(list.workers.len(), stored.len(), "{:?}", list.problems);
    assert!(list.problems.is_empty(), "{:?}", list.problems);
    for (dir, stored) in it.workers().iter().zip(stored) {
        let now = Stored::read(dir);
        assert_eq!((&now.threads, &now.torn[..]), (&stored.threads, &b""[..]));
        let torn = fs::read(dir.join("metrics.torn")).unwrap_or_default();
        assert_eq!(torn, torn_line(&stored.torn));
        let metadata = metadata(dir);
        assert_eq!(
            (&metadata["status"], &metadata["error"]),
            (&"failed".into(), &"worker process died".into())
        );
        assert_eq!(metadata["events"], stored.len());
        let listed = list
            .workers
            .iter()
            .find(|it| metadata["worker_id"] == it.worker_id.as_str());
        assert_eq!(listed.unwrap().status, Status::Failed);
    }
}

/// A torn line as it is kept.
fn torn_line(torn: &[u8]) -> Vec<u8> {
    match torn {
        [] => Vec::new(),
        torn => [torn, b"\n"].concat(),
    }
}

/// Checks that the program shows what is there, and that new workers in the same place are none the worse.
fn assert_program_and_next_run_cope(it: &Recording, mode: &str) {
    let workers = it.workers();
    for worker in &workers {
        let mut file = triscope(["file", "--raw", "--data-dir"]);
        let name = worker.file_name().unwrap();
        let shown = finish(file.arg(it.data_dir()).arg(name)).answer();
        assert!(shown.as_bytes() == fs::read(worker.join("metrics.jsonl")).unwrap());
    }
    let next = finish(&mut it.command(&format!("--mode {mode} --events 100")));
    let [report] = &reports(next)[..] else {
        panic!("one worker")
    };
    assert_eq!(report["events_lost"], 0);
    let dir = it.data_dir().join(report["worker_id"].as_str().unwrap());
    let stored = Stored::read(&dir);
    stored.assert_gap_free();
    assert_eq!((stored.len(), &stored.torn[..]), (100, &b""[..]));
    let mut list = triscope(["workers", "--json", "--data-dir"]);
    let rows = finish(list.arg(it.data_dir())).json();
    assert_eq!(rows.as_array().unwrap().len(), workers.len() + 1);
}
