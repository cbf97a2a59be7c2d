//! No two workers share a directory, whoever makes them.

use std::{collections::HashSet, fs, thread, time::Duration};

use super::support::{TestStore, hostile_strings, open};
use crate::{ArtifactStore, NewWorker, WorkerFilter};

#[test]
fn stores_and_threads_in_one_second_never_share_a_directory() {
    const EACH: usize = 50;
    let it = TestStore::new();
    let other = open(it.temp.path(), &it.clock);
    let ids: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let store = if n % 2 == 0 { &it.store } else { &other };
                scope.spawn(move || {
                    let make = |_| store.create_worker(NewWorker::new("back up")).unwrap();
                    (0..EACH).map(|n| make(n).id()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 8 * EACH);
    let list = it.store.list(&WorkerFilter::default()).unwrap();
    assert_eq!(list.workers.len(), 8 * EACH);
    assert!(list.problems.is_empty(), "{:?}", list.problems);
    let mut names: Vec<_> = ids.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let mut expected: Vec<_> = (2..=8 * EACH)
        .map(|n| format!("2025-12-15T12-00-00_{n}-back-up"))
        .collect();
    expected.push("2025-12-15T12-00-00_back-up".to_owned());
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn where_a_second_ends_no_number_is_tried_twice() {
    let it = TestStore::new();
    let second = |text: &str| text.parse().unwrap();
    let (old, new) = (
        second("2025-12-15T12:00:00Z"),
        second("2025-12-15T12:00:01Z"),
    );
    let numbers: Vec<_> = [old, old, new, old, new, new, old]
        .into_iter()
        .map(|now| it.store.next_number(now, "back up"))
        .collect();
    assert_eq!(numbers, [1, 2, 1, 3, 2, 3, 4]);
}

#[test]
fn a_task_that_begins_with_a_number_does_not_take_a_later_workers_id() {
    let it = TestStore::new();
    let tasks = ["backup", "2 backup", "backup", "2-backup", "backup"];
    let ids: Vec<_> = tasks.iter().map(|task| it.worker(task).id()).collect();
    let names: Vec<_> = ids.iter().map(|id| &id.as_str()[20..]).collect();
    assert_eq!(
        names,
        ["backup", "2-backup", "3-backup", "2-2-backup", "4-backup"]
    );
}

#[test]
fn a_clock_that_goes_back_or_far_away_gives_new_ids_all_the_same() {
    let it = TestStore::new();
    let mut ids = HashSet::new();
    for wall in [
        "2025-12-15T12:00:00Z",
        "2025-12-15T11:00:00Z",
        "2025-12-15T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ] {
        it.clock.set_wall(wall.parse().unwrap());
        for _ in 0..3 {
            let worker = it.store.create_worker(NewWorker::new("task")).unwrap();
            assert!(ids.insert(worker.id()), "{wall}");
        }
    }
    let list = it.store.list(&WorkerFilter::default()).unwrap();
    assert_eq!((list.workers.len(), list.problems.len()), (ids.len(), 0));
}

#[test]
fn any_task_text_makes_a_plain_directory_name_and_stands_whole_in_the_metadata() {
    let it = TestStore::new();
    let mut tasks = hostile_strings();
    assert!(tasks.len() > 50);
    tasks.extend([
        "x".repeat(1 << 20),
        "\0".repeat(1 << 20),
        "😀".repeat(1 << 18),
        "../../etc".to_owned(),
    ]);
    for task in tasks {
        it.clock.advance(Duration::from_micros(1));
        let worker = it
            .store
            .create_worker(NewWorker::new(task.clone()))
            .unwrap();
        let id = worker.id();
        let slug = &id.as_str()[20..];
        assert!(
            slug.bytes()
                .all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-')),
            "{slug}"
        );
        assert_eq!(worker.dir().parent(), Some(it.temp.path()));
        let metadata = it.store.worker(&id).unwrap().metadata().unwrap();
        assert!(metadata.task == task, "{task:.60}");
    }
    // Nothing was made beside the workers.
    let names = fs::read_dir(it.temp.path()).unwrap();
    let is_worker = |name: &str| name.starts_with("2025-12-15T12-00-00_");
    for name in names {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(is_worker(&name) || name == ".triscope", "{name}");
    }
}

#[test]
fn a_worker_that_cannot_be_made_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    // So deep that a worker's directory can be made, and its metadata not.
    let mut data_dir = temp.path().to_owned();
    loop {
        let room = 4095 - 70 - data_dir.as_os_str().len();
        if room < 2 {
            break;
        }
        data_dir.push("d".repeat((room - 1).min(200)));
    }
    let store = ArtifactStore::open(&data_dir).unwrap();
    let task = "a task with a name of thirty characters";
    let error = store.create_worker(NewWorker::new(task)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot write `") && text.contains("metadata.json"));
    let list = store.list(&WorkerFilter::default()).unwrap();
    assert!(list.workers.is_empty() && list.problems.is_empty());
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, ".triscope");
}
