//! Several processes at one queue.

use std::{collections::BTreeMap, fs};

use super::{spawn, work};
use crate::cli::Place;

#[test]
fn several_processes_share_the_jobs_and_none_runs_twice() {
    const JOBS: usize = 24;
    let place = Place::new();
    for n in 0..JOBS {
        spawn(&place, &[&format!("run `echo {n} >>done`")]);
    }
    let takers: Vec<_> = (0..3)
        .map(|_| work(&place, &["--drain", "--concurrency", "2"]))
        .collect();
    for taker in takers {
        taker.finish().expect(0);
    }
    let done = fs::read_to_string(place.folder().join("done")).unwrap();
    let mut done: Vec<usize> = done.lines().map(|it| it.parse().unwrap()).collect();
    done.sort_unstable();
    assert_eq!(done, (0..JOBS).collect::<Vec<_>>());
}

#[test]
fn owners_have_turns() {
    let place = Place::new();
    for n in 0..12 {
        spawn(
            &place,
            &["--owner", "crowd", &format!("run `echo crowd{n} >>done`")],
        );
    }
    for n in 0..3 {
        spawn(
            &place,
            &["--owner", "few", &format!("run `echo few{n} >>done`")],
        );
    }
    work(&place, &["--drain", "--concurrency", "1"])
        .finish()
        .expect(0);
    let done = fs::read_to_string(place.folder().join("done")).unwrap();
    let order: Vec<_> = done.lines().take(6).collect();
    assert_eq!(
        order,
        ["crowd0", "few0", "crowd1", "few1", "crowd2", "few2"]
    );
    assert_eq!(done.lines().count(), 15);
}

#[test]
fn a_process_may_take_one_owners_jobs_alone() {
    let place = Place::new();
    spawn(&place, &["--owner", "ann", "calculate 7*6"]);
    spawn(&place, &["--owner", "bob", "calculate 7*6"]);
    work(&place, &["--drain", "--owner", "bob"])
        .finish()
        .expect(0);
    let rows = place.rows();
    let statuses: BTreeMap<_, _> = rows
        .iter()
        .map(|it| {
            (
                it["owner"].as_str().unwrap(),
                it["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        statuses,
        BTreeMap::from([("ann", "queued"), ("bob", "success")])
    );
}

/// No process runs more at once than it was told.
#[test]
fn concurrency_is_kept() {
    let place = Place::new();
    for _ in 0..8 {
        // `mkdir` is the door: whoever finds a third one inside says so.
        spawn(
            &place,
            &[
                "run `if mkdir one 2>/dev/null; then sleep 0.05; rmdir one; elif mkdir two 2>/dev/null; then sleep 0.05; rmdir two; else touch crowded; fi`",
            ],
        );
    }
    work(&place, &["--drain", "--concurrency", "2"])
        .finish()
        .expect(0);
    assert_eq!(place.has("crowded"), None);
}
