//! What happens to the log while workers write to it.

use std::{fs, path::Path};

use super::{
    losses::{assert_accounted_for, dir_of},
    recording::{Recording, reports},
};
use crate::support::{LogFile, finish};

/// The numbers of the events that a log tells of, every line of which is whole.
#[track_caller]
fn numbers(log: &Path) -> Vec<u64> {
    let log = LogFile::read(log);
    let calls = log.calls(None);
    calls
        .iter()
        .map(|it| it.get("tool_call_id").unwrap().parse().unwrap())
        .collect()
}

/// Records 50 events, has something done to the log, and records 50 more; no worker notices.
fn log_around(harm: impl FnOnce(&Path)) -> Recording {
    let it = Recording::new();
    let mut running = it.start("--events 50 --stages 2 --log log");
    assert_eq!(running.next_line(), "stage 1");
    // Lines that are on their way belong to the first half.
    crate::support::eventually("the first half in the log", || {
        (fs::read_to_string(it.folder().join("log"))
            .ok()?
            .lines()
            .count()
            == 50)
            .then_some(())
    });
    harm(&it.folder().join("log"));
    it.go_on(1);
    let [report] = &reports(running.finish())[..] else {
        panic!("one worker")
    };
    assert_eq!(assert_accounted_for(report, &dir_of(&it, report), 100), 0);
    it
}

#[test]
fn a_log_renamed_in_flight_is_followed_by_a_new_one_and_no_line_is_torn() {
    let it = log_around(|log| fs::rename(log, log.with_extension("1")).unwrap());
    assert!(numbers(&it.folder().join("log.1")).into_iter().eq(0..50));
    assert!(numbers(&it.folder().join("log")).into_iter().eq(50..100));
}

#[test]
fn a_log_removed_in_flight_is_made_again() {
    let it = log_around(|log| fs::remove_file(log).unwrap());
    assert!(numbers(&it.folder().join("log")).into_iter().eq(50..100));
}

#[test]
fn a_log_copied_and_truncated_in_flight_goes_on_at_its_beginning() {
    let it = log_around(|log| {
        fs::copy(log, log.with_extension("1")).unwrap();
        fs::File::options()
            .write(true)
            .open(log)
            .unwrap()
            .set_len(0)
            .unwrap();
    });
    assert!(numbers(&it.folder().join("log.1")).into_iter().eq(0..50));
    assert!(numbers(&it.folder().join("log")).into_iter().eq(50..100));
}

#[test]
fn a_log_that_is_full_costs_no_event() {
    let it = Recording::new();
    let finished = finish(&mut it.command("--events 500 --threads 2 --log /dev/full"));
    let [report] = &reports(finished)[..] else {
        panic!("one worker")
    };
    assert_eq!(assert_accounted_for(report, &dir_of(&it, report), 1000), 0);
}
