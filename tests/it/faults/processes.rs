//! Several processes in one place, and processes that are killed while they make and end workers.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, thread};

use artifact_store::{ArtifactStore, WorkerFilter};
use rustix::process::Signal;
use serde_json::Value;

use super::recording::{Recording, Stored, random_moment, reports};
use crate::{
    cli::{Place, answered, metadata},
    support::{Background, eventually, finish, limited, sh},
};

#[test]
fn two_processes_that_make_workers_for_one_task_share_no_directory() {
    const EACH: usize = 100;
    let it = Recording::new();
    let arguments = format!("--workers {EACH} --events 3");
    // Both wait for a file before they record, so all workers are there at the same time.
    let processes = [0, 1].map(|_| Background::start(&mut it.command(&arguments)));
    let reports: Vec<_> = processes
        .map(|it| reports(it.finish()))
        .into_iter()
        .flatten()
        .collect();
    let ids: BTreeSet<_> = reports
        .iter()
        .map(|it| it["worker_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2 * EACH);
    assert_eq!(it.workers().len(), 2 * EACH);
    for dir in it.workers() {
        let stored = Stored::read(&dir);
        stored.assert_gap_free();
        assert_eq!(stored.len(), 3, "another worker's events");
        assert_eq!(
            metadata(&dir)["worker_id"],
            dir.file_name().unwrap().to_str().unwrap()
        );
    }
}

/// Whenever it happens, metadata is whole, and no directory is passed over without a word.
#[test]
fn processes_killed_while_they_make_and_end_workers_leave_only_whole_metadata() {
    const ROUNDS: u32 = 40;
    let it = Recording::new();
    for round in 0..ROUNDS {
        let arguments = "--workers 60 --events 2 --flush-every 2";
        let processes = [0, 1].map(|_| Background::start(&mut it.command(arguments)));
        thread::sleep(random_moment() * 3);
        for process in &processes {
            let _ = rustix::process::kill_process(process.pid(), Signal::KILL);
        }
        drop(processes);
        if round % 10 == 9 {
            assert_all_are_accounted_for(&it);
        }
    }
    // New ones have ids of their own all the same.
    let before = it.workers().len();
    let next = reports(finish(&mut it.command("--workers 20 --events 2")));
    assert_eq!((next.len(), it.workers().len()), (20, before + 20));
    assert_all_are_accounted_for(&it);
}

#[track_caller]
fn assert_all_are_accounted_for(it: &Recording) {
    let store = ArtifactStore::open(it.data_dir()).unwrap();
    let list = store.list(&WorkerFilter::default()).unwrap();
    let dirs = it.workers();
    assert_eq!(list.workers.len() + list.problems.len(), dirs.len());
    for dir in dirs {
        let name = dir.file_name().unwrap().to_str().unwrap();
        if dir.join("metadata.json").exists() {
            assert!(metadata(&dir)["status"].is_string(), "{name}");
            assert!(
                list.workers.iter().any(|it| it.worker_id.as_str() == name),
                "{name}"
            );
        } else {
            let named = |it: &artifact_store::StoreError| it.to_string().contains(name);
            assert!(list.problems.iter().any(named), "{name}");
        }
    }
}

#[test]
fn eight_processes_on_one_book_neither_share_nor_lose_a_job() {
    const PROCESSES: u64 = 8;
    const EACH: u64 = 4;
    let place = Place::new();
    let reports: Vec<Value> = thread::scope(|scope| {
        let threads: Vec<_> = (0..PROCESSES)
            .map(|process| {
                let place = &place;
                scope.spawn(move || {
                    let run = |n| {
                        let task = format!("say {process} {n}");
                        let owner = format!("--owner=owner{}", process % 2);
                        let report = place.run(&["run", "--json", &owner, &task]).json();
                        assert_eq!(report["result"], format!("{process} {n}"), "{report}");
                        // Readers are in nobody's way. They may name a worker that is just being made.
                        answered(place.run(&["workers", &owner])).expect(0);
                        report
                    };
                    (0..EACH).map(run).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    let jobs: BTreeSet<_> = reports
        .iter()
        .map(|it| it["job_id"].as_u64().unwrap())
        .collect();
    assert_eq!(jobs, (1..=PROCESSES * EACH).collect());
    let rows = place.run(&["workers", "--json", "--limit", "100"]).json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), reports.len());
    for report in &reports {
        let row = rows
            .iter()
            .find(|it| it["job_id"] == report["job_id"])
            .unwrap();
        for key in ["worker_id", "task", "owner", "status"] {
            assert_eq!(row[key], report[key]);
        }
    }
    for owner in ["owner0", "owner1"] {
        let own = place
            .run(&["workers", "--json", "--limit", "100", "--owner", owner])
            .json();
        assert_eq!(own.as_array().unwrap().len() as u64, PROCESSES * EACH / 2);
    }
}

/// A supervisor is killed while some of its workers have ended and others run: each is told for what it is, no result is
/// lost, and no job runs a second time.
#[test]
fn a_killed_supervisor_leaves_ended_workers_ended_and_the_others_dead() {
    let place = Place::new();
    // The third does not end by itself, however long it takes to look.
    let goal = "calculate 1+1\ncalculate 2+2\nrun `touch busy; until [ -e go ] || ! [ -e busy ]; do sleep 0.01; done`";
    let supervisor = Background::start(&mut place.command(&["ask", goal]));
    let rows = || {
        let list = answered(place.run(&["workers", "--json"]));
        serde_json::from_str::<Vec<Value>>(&list.stdout).unwrap_or_default()
    };
    let with =
        |rows: &[Value], status: &str| rows.iter().filter(|it| it["status"] == status).count();
    eventually("some workers that have ended and some that run", || {
        let rows = rows();
        (with(&rows, "success") == 2 && with(&rows, "running") == 2).then_some(())
    });
    supervisor.signal(Signal::KILL);
    supervisor.finish().expect(128 + 9);
    let after = rows();
    assert_eq!(
        with(&after, "running") + with(&after, "created"),
        0,
        "{after:?}"
    );
    place.go(); // What its worker's tool started lives on.
    let mut n_dead = 0;
    for row in &after {
        let job = row["job_id"].to_string();
        let text = answered(place.run(&["result", &job])).stdout;
        assert!(text.contains("\nExecution time: "), "{text}");
        match row["status"].as_str().unwrap() {
            "success" => assert!(
                !text.contains("\nStatus: ") && !text.contains("(No result generated)"),
                "{text}"
            ),
            "failed" => {
                n_dead += 1;
                assert!(
                    text.contains("\nStatus: failed\nError: worker process died\n"),
                    "{text}"
                );
            }
            other => panic!("{other}: {text}"),
        }
    }
    assert_eq!(n_dead, 2, "the supervisor and the third: {after:?}");
    // A new process is in nobody's way, and brings nobody back.
    let next = place.run(&["run", "--json", "say more"]).json();
    assert_eq!(next["status"], "success");
    let rows = rows();
    assert_eq!(rows.len(), after.len() + 1);
    for row in &after {
        assert!(rows.contains(row), "changed: {row}");
    }
}

#[test]
fn a_stopped_process_neither_stops_readers_nor_loses_anything() {
    let it = Recording::new();
    let mut running = it.start("--events 200 --stages 2 --flush-every 50");
    assert_eq!(running.next_line(), "stage 1");
    running.signal(Signal::STOP);
    let [dir] = &it.workers()[..] else {
        panic!("one worker")
    };
    let store = ArtifactStore::open(it.data_dir()).unwrap();
    let list = store.list(&WorkerFilter::default()).unwrap();
    assert_eq!(list.workers[0].status, artifact_store::Status::Running);
    let copy = Stored::read(dir);
    assert_eq!(copy.len(), 200);
    it.go_on(1);
    running.signal(Signal::CONT);
    let [report] = &reports(running.finish())[..] else {
        panic!("one worker")
    };
    assert_eq!(
        (&report["status"], &report["events_lost"]),
        (&"success".into(), &0.into())
    );
    assert_eq!(Stored::read(dir).len(), 400);
}

/// The clock that counts goes on while a process is stopped: its times say so, and its limits fire once.
#[test]
fn a_worker_stopped_beyond_its_time_limit_times_out_once() {
    let place = Place::new();
    let task = "run `touch busy; while true; do sleep 0.01; done`";
    let mut running = Background::start(&mut place.command(&["run", "--timeout", "300ms", task]));
    eventually("the worker's command", || {
        place
            .has("busy")
            .or_else(|| (!running.is_running()).then_some(()))
    });
    // Stopped well before its time is up, or the test shows nothing; that it was is seen by its length.
    running.signal(Signal::STOP);
    thread::sleep(std::time::Duration::from_millis(900));
    let row = &place.rows()[0];
    assert_eq!(row["status"], "running", "{row}");
    running.signal(Signal::CONT);
    let finished = answered(running.finish()).expect(1);
    assert!(
        finished.stdout.contains("Status: timeout\n"),
        "{finished:?}"
    );
    let row = &place.rows()[0];
    assert_eq!(row["status"], "timeout");
    assert!(row["duration_ms"].as_u64().unwrap() >= 900, "{row}");
    let events = fs::read_to_string(place.dir_of(row).join("metrics.jsonl")).unwrap();
    let timeouts: Vec<_> = events
        .lines()
        .filter(|it| it.contains("\"error\":\"timeout\""))
        .collect();
    assert_eq!(timeouts.len(), 1, "{events}");
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["duration_ms"].as_u64().unwrap() <= row["duration_ms"].as_u64().unwrap());
    }
}

#[test]
fn whatever_the_umask_and_the_folder_say_nobody_else_can_read_a_place() {
    for (prepare, folder_mode) in [
        ("umask 000", 0o777),
        ("umask 077", 0o777),
        ("umask 000", 0o2777),
    ] {
        let place = Place::new();
        fs::set_permissions(place.folder(), fs::Permissions::from_mode(folder_mode)).unwrap();
        for arguments in [&["run", "run `echo secret`"][..], &["demo"]] {
            answered(finish(&mut limited(prepare, &place.command(arguments)))).expect(0);
        }
        assert_private(place.data_dir());
        let open = sh(place.folder(), "find workers -perm /077 | head -5").answer();
        assert_eq!(open, "", "{prepare}, folder {folder_mode:o}");
    }
}

#[track_caller]
fn assert_private(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
}
