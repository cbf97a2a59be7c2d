//! Disks that are full and files that may not grow.

use std::fs;

use super::{
    losses::{assert_accounted_for, assert_logged, assert_told, dir_of},
    recording::{MODES, Recording, Stored, reports},
};
use crate::{
    cli::{Place, answered},
    support::{Background, Tmpfs, finish, limited, skip_test, triscope},
};

#[test]
fn a_disk_that_is_full_holds_what_fits_and_the_rest_is_counted() {
    for mode in MODES {
        let disk = match Tmpfs::mount(64 << 10) {
            Ok(disk) => disk,
            Err(error) => skip_test!(&format!("no disk can be mounted: {error}")),
        };
        let it = Recording::in_data_dir(disk.path().join("workers"));
        let log = it.folder().join("log");
        let arguments =
            format!("--mode {mode} --events 1000 --threads 2 --flush-timeout 3000 --log log");
        let finished = finish(&mut it.command(&arguments));
        let [report] = &reports(finished)[..] else {
            panic!("one worker")
        };
        let dir = dir_of(&it, report);
        let lost = assert_accounted_for(report, &dir, 2000);
        assert!((1..2000).contains(&lost), "{mode}: {lost}");
        Stored::read(&dir).assert_gap_free();
        // Of the disk's 16 pages most hold events.
        assert!(fs::metadata(dir.join("metrics.jsonl")).unwrap().len() > 32 << 10);
        assert_eq!(
            crate::cli::metadata(&dir)["events_lost_reason"],
            "disk full"
        );
        assert_logged(&log, report, lost);
        // Where there is room again, it can be read as ever.
        let copy = it.folder().join("copy");
        crate::support::sh(
            it.folder(),
            &format!("cp -r '{}' copy", it.data_dir().display()),
        )
        .answer();
        assert_told(&Recording::in_data_dir(copy), report, lost, "disk full");
    }
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_nothing_but_time() {
    for mode in MODES {
        let disk = match Tmpfs::mount(1 << 20) {
            Ok(disk) => disk,
            Err(error) => skip_test!(&format!("no disk can be mounted: {error}")),
        };
        let it = Recording::in_data_dir(disk.path().join("workers"));
        let arguments = format!("--mode {mode} --events 200 --stages 3");
        let mut running = it.start(&arguments);
        assert_eq!(running.next_line(), "stage 1");
        let filler = disk.path().join("filler");
        let full = fs::write(&filler, vec![0; 2 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        it.go_on(1);
        assert_eq!(running.next_line(), "stage 2");
        fs::remove_file(&filler).unwrap();
        it.go_on(2);
        let [report] = &reports(running.finish())[..] else {
            panic!("one worker")
        };
        let lost = assert_accounted_for(report, &dir_of(&it, report), 600);
        assert_eq!(lost, 0, "{mode}");
    }
}

/// The limit that a worker's file grows beyond.
const LIMIT: &str = "ulimit -f 40";

#[test]
fn a_file_that_may_not_grow_holds_what_fits_and_the_rest_is_counted() {
    for mode in MODES {
        let it = Recording::new();
        let arguments = format!("--mode {mode} --events 500 --flush-timeout 3000");
        let limit = format!("trap '' XFSZ; {LIMIT}");
        let finished = finish(&mut limited(&limit, &it.command(&arguments)));
        let [report] = &reports(finished)[..] else {
            panic!("one worker")
        };
        let dir = dir_of(&it, report);
        let lost = assert_accounted_for(report, &dir, 500);
        assert!((1..500).contains(&lost), "{mode}: {lost}");
        Stored::read(&dir).assert_gap_free();
        assert_told(&it, report, lost, "file size limit reached");
    }
}

/// A program of somebody else that does not ignore the signal is killed by it, in mid-line.
#[test]
fn a_process_killed_by_a_file_size_limit_leaves_a_torn_line_that_is_in_nobodys_way() {
    let it = Recording::new();
    let mut killed = limited(LIMIT, &it.command("--events 5000"));
    finish(&mut killed).expect(128 + 25);
    let [dir] = &it.workers()[..] else {
        panic!("one worker")
    };
    let stored = Stored::read(dir);
    stored.assert_gap_free();
    assert!(!stored.torn.is_empty() && stored.len() > 50, "{stored:?}");
    for acknowledged in it.acknowledged(dir) {
        assert!(acknowledged <= stored.len());
    }
    // The next one who looks moves it aside.
    let mut list = triscope(["workers", "--data-dir"]);
    finish(list.arg(it.data_dir())).answer();
    let now = Stored::read(dir);
    assert_eq!((now.len(), &now.torn[..]), (stored.len(), &b""[..]));
    assert_eq!(
        fs::read(dir.join("metrics.torn")).unwrap(),
        [&stored.torn[..], b"\n"].concat()
    );
    assert_eq!(crate::cli::metadata(dir)["error"], "worker process died");
    let next = finish(&mut it.command("--events 10"));
    let [report] = &reports(next)[..] else {
        panic!("one worker")
    };
    assert_eq!(assert_accounted_for(report, &dir_of(&it, report), 10), 0);
}

/// The program is not killed, and ends, at whichever of its files the limit bites.
#[test]
fn no_file_size_limit_kills_the_program_or_makes_it_wait_for_ever() {
    let succeeds = |it: &crate::support::Finished| it.code == 0;
    let mut n_successes = 0;
    // In blocks of 512 bytes; the job book alone needs some 60 of them.
    for blocks in [
        0, 1, 8, 24, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 128, 160,
    ] {
        let place = Place::new();
        for arguments in [
            &["run", "calculate 7*6"][..],
            &["run", "say more"],
            &["workers"],
            &["result", "1"],
        ] {
            let command = limited(&format!("ulimit -f {blocks}"), &place.command(arguments));
            // Not captured in a file, so the limit is not in the way of the answer.
            let finished = answered(finish_in_time(command));
            if succeeds(&finished) {
                n_successes += 1;
            } else {
                assert!(
                    finished.stderr.to_lowercase().starts_with("error: "),
                    "{blocks}: {finished:?}"
                );
            }
        }
    }
    assert!(n_successes > 8, "{n_successes} commands succeeded");
}

/// Runs a program to its end; one that does not end is killed and a failure.
#[track_caller]
fn finish_in_time(mut command: std::process::Command) -> crate::support::Finished {
    Background::start(&mut command).finish()
}

#[test]
fn a_worker_that_fills_the_programs_disk_ends_as_ever() {
    let disk = match Tmpfs::mount(2 << 20) {
        Ok(disk) => disk,
        Err(error) => skip_test!(&format!("no disk can be mounted: {error}")),
    };
    let place = Place::with_data_dir(disk.path().join("workers").to_str().unwrap());
    place.worker("say hello");
    let filler = disk.path().join("filler");
    let task = format!("run `cat /dev/zero > {}; echo filled`", filler.display());
    let finished = finish_in_time(place.command(&["run", &task]));
    let finished = answered(finished).expect(0);
    assert!(finished.stdout.contains("Execution time: "), "{finished:?}");
    assert!(finished.stdout.contains("filled"), "{finished:?}");
    fs::remove_file(filler).unwrap();
    // And so it stands on the disk.
    let result = finish_in_time(place.command(&["result", "2"])).expect(0);
    assert!(result.stdout.contains("filled"), "{result:?}");
    let rows = place.rows();
    assert_eq!(rows[0]["status"], "success", "{rows:?}");
    place.worker("say that there is room");
}
