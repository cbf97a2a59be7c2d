//! What becomes of events when somebody takes a worker's directory, its rights or its descriptors away in mid-run.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use super::{
    losses::{assert_accounted_for, assert_logged, assert_told, dir_of},
    recording::{MODES, Recording, Stored, reports, started},
};
use crate::{
    cli::{Place, answered, metadata},
    support::{MetricsFile, as_nobody, finish, limited, require, skip_test},
};

/// A recorder that records 100 events, has `harm` done to its worker's directory, and records 100 more.
fn record_around(mode: &str, harm: impl FnOnce(&Path)) -> (Recording, serde_json::Value) {
    let it = Recording::new();
    let arguments = format!(
        "--mode {mode} --events 100 --stages 2 --flush-every 50 --flush-timeout 3000 --log log"
    );
    let mut running = it.start(&arguments);
    assert_eq!(running.next_line(), "stage 1");
    let [dir] = &it.workers()[..] else {
        panic!("one worker")
    };
    harm(dir);
    it.go_on(1);
    let [report] = &reports(running.finish())[..] else {
        panic!("one worker")
    };
    assert_eq!(
        (&report["status"], &report["result"]),
        (&"success".into(), &"done".into())
    );
    (it, report.clone())
}

/// Checks that the first 100 events went with what was taken away, and that the later ones are there; where nobody looks
/// after the file at each event, some of the first of those may have gone too.
#[track_caller]
fn assert_first_half_is_lost((it, report): (Recording, serde_json::Value)) {
    let dir = dir_of(&it, &report);
    let lost = assert_accounted_for(&report, &dir, 200);
    let numbers: Vec<_> = Stored::read(&dir).threads.into_values().flatten().collect();
    assert!(
        lost >= 100 && numbers.iter().copied().eq(lost..200),
        "{numbers:?}"
    );
    assert_logged(&it.folder().join("log"), &report, lost);
    assert_told(&it, &report, lost, "metrics.jsonl was deleted or replaced");
}

#[test]
fn a_file_deleted_in_mid_run_costs_what_was_in_it() {
    for mode in MODES {
        assert_first_half_is_lost(record_around(mode, |dir| {
            fs::remove_file(dir.join("metrics.jsonl")).unwrap();
        }));
    }
}

#[test]
fn a_file_replaced_in_mid_run_costs_what_was_in_it() {
    for mode in MODES {
        assert_first_half_is_lost(record_around(mode, |dir| {
            fs::write(dir.join("other"), "").unwrap();
            fs::rename(dir.join("other"), dir.join("metrics.jsonl")).unwrap();
        }));
    }
}

#[test]
fn a_directory_replaced_in_mid_run_costs_what_was_in_it() {
    for mode in MODES {
        assert_first_half_is_lost(record_around(mode, |dir| {
            fs::rename(dir, dir.with_extension("away")).unwrap();
            fs::create_dir(dir).unwrap();
        }));
    }
}

#[test]
fn a_directory_deleted_in_mid_run_costs_all_events_and_no_result() {
    for mode in MODES {
        let (it, report) = record_around(mode, |dir| fs::remove_dir_all(dir).unwrap());
        // It is made again for what the worker found out.
        let lost = assert_accounted_for(&report, &dir_of(&it, &report), 200);
        assert_eq!(lost, 200);
        let problems = report["problems"].to_string();
        assert!(
            problems.contains("thread.jsonl")
                && !problems.contains("result.txt")
                && !problems.contains("metadata.json"),
            "{problems}"
        );
        assert_logged(&it.folder().join("log"), &report, 200);
        assert_told(&it, &report, lost, "the worker's directory is gone");
    }
}

#[test]
fn a_directory_moved_away_and_back_loses_nothing() {
    for mode in MODES {
        let it = Recording::new();
        let arguments = format!("--mode {mode} --events 100 --stages 3 --flush-every 50");
        let mut running = it.start(&arguments);
        assert_eq!(running.next_line(), "stage 1");
        let [dir] = &it.workers()[..] else {
            panic!("one worker")
        };
        let away = it.folder().join("away");
        fs::rename(dir, &away).unwrap();
        it.go_on(1);
        assert_eq!(running.next_line(), "stage 2");
        assert!(!dir.exists(), "made again");
        fs::rename(&away, dir).unwrap();
        it.go_on(2);
        let [report] = &reports(running.finish())[..] else {
            panic!("one worker")
        };
        assert_eq!(assert_accounted_for(report, dir, 300), 0, "{mode}");
        Stored::read(dir).assert_gap_free();
    }
}

#[test]
fn a_directory_that_cannot_be_entered_for_a_while_loses_nothing() {
    require!("setpriv");
    if !rustix::process::geteuid().is_root() {
        skip_test!("only root can become another user");
    }
    for mode in MODES {
        let it = Recording::new();
        for path in [it.folder(), &it.folder().join("acknowledged")] {
            chown(path, Some(65534), Some(65534)).unwrap();
        }
        let program = it.folder().join("recorder");
        // The program's own folder may be closed to others.
        crate::support::sh(
            it.folder(),
            &format!("cp '{}' recorder", env!("CARGO_BIN_EXE_recorder")),
        )
        .answer();
        let mut command = std::process::Command::new(program);
        command.args(
            it.command(&format!(
                "--mode {mode} --events 100 --stages 3 --flush-every 50"
            ))
            .get_args(),
        );
        let mut running = started(as_nobody(&command).current_dir(it.folder()));
        assert_eq!(running.next_line(), "stage 1");
        let [dir] = &it.workers()[..] else {
            panic!("one worker")
        };
        let set_mode = |mode| fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0);
        it.go_on(1);
        assert_eq!(running.next_line(), "stage 2");
        set_mode(0o700);
        it.go_on(2);
        let [report] = &reports(running.finish())[..] else {
            panic!("one worker")
        };
        assert_eq!(assert_accounted_for(report, dir, 300), 0, "{mode}");
    }
}

#[test]
fn a_hundred_workers_get_by_with_twenty_descriptors() {
    for mode in MODES {
        let it = Recording::new();
        let arguments = format!(
            "--mode {mode} --workers 100 --events 20 --flush-every 10 --flush-timeout 60000 --log log"
        );
        // Nobody but the store may be short of them.
        let command = it.command_without_acknowledgements(&arguments);
        let finished = finish(&mut limited("ulimit -n 20", &command));
        let reports = reports(finished);
        assert_eq!(reports.len(), 100);
        for report in &reports {
            let lost = assert_accounted_for(report, &dir_of(&it, report), 20);
            // Where a hundred callers wait for their disk at once, one may be out of luck until its time is up.
            assert!(lost == 0 || mode != "buffered", "{mode}: {report}");
        }
    }
}

/// Each of these by the worker's own command, between its first event and its second.
#[test]
fn what_a_worker_does_to_its_own_file_costs_only_what_was_in_it() {
    for harm in [
        "rm workers/2*/metrics.jsonl",
        // Between the two there may be a new file already.
        "cd workers/2* && until rm -f metrics.jsonl; mkdir metrics.jsonl 2>&-; do :; done",
        "cd workers/2* && mkfifo pipe && mv -f pipe metrics.jsonl",
        "cd workers/2* && ln -s /dev/full link && mv -f link metrics.jsonl",
        "cd workers/2* && : > metrics.jsonl",
        "cd workers/2* && echo torn | tr -d \"\\n\" >> metrics.jsonl",
        "until rm -r workers/.triscope 2>&-; do :; done",
    ] {
        let place = Place::new();
        let finished = place.run(&["run", &format!("run `{harm}; echo harmed`")]);
        let finished = answered(finished).expect(0);
        assert!(
            finished.stdout.ends_with(" printed: harmed\n"),
            "{harm}: {finished:?}"
        );

        let entries = fs::read_dir(place.data_dir()).unwrap();
        let mut dirs = entries
            .map(|it| it.unwrap().path())
            .filter(|it| !it.ends_with(".triscope"));
        let dir = dirs.next().unwrap();
        let metadata = metadata(&dir);
        let path = dir.join("metrics.jsonl");
        let is_file = fs::symlink_metadata(&path).unwrap().is_file();
        let stored = if is_file {
            MetricsFile::read(&path).events.len()
        } else {
            0
        };
        let lost = metadata["events_lost"].as_u64().unwrap();
        // The first model call, the command, and two more model calls.
        assert_eq!(
            (&metadata["events"], stored as u64 + lost),
            (&4.into(), 4),
            "{harm}: {metadata}"
        );
        let warning = format!("\nWarning: {lost} event");
        assert_eq!(
            finished.stdout.contains(&warning),
            lost > 0,
            "{harm}: {finished:?}"
        );
    }
}
