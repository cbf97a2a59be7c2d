//! Listing: newest first, within the filters, and whatever cannot be read is named.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use super::support::{TestStore, mkfifo, noon};
use crate::{Metadata, NewWorker, Status, WorkerFilter};

fn tasks(workers: &[Metadata]) -> Vec<&str> {
    workers.iter().map(|it| it.task.as_str()).collect()
}

impl TestStore {
    fn list(&self, filter: &WorkerFilter) -> Vec<String> {
        let list = self.store.list(filter).unwrap();
        assert!(list.problems.is_empty(), "{:?}", list.problems);
        tasks(&list.workers).into_iter().map(Into::into).collect()
    }
}

#[test]
fn workers_come_newest_first_also_within_a_second_and_under_a_limit() {
    let it = TestStore::new();
    // Names that sort otherwise than their times, ten and more of one second, and several seconds.
    let mut expected = Vec::new();
    for second in 0..3 {
        for n in 0..12 {
            let task = ["b", "c", "a"][n % 3];
            it.worker(task)
                .update(|it| it.task = format!("{second} {n}"))
                .unwrap();
            expected.insert(0, format!("{second} {n}"));
        }
        it.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(it.list(&WorkerFilter::default()), expected);
    for limit in [0, 1, 5, 12, 13, 20, 36, 100] {
        let filter = WorkerFilter {
            limit: Some(limit),
            ..WorkerFilter::default()
        };
        assert_eq!(it.list(&filter), expected[..limit.min(36)], "{limit}");
    }
}

#[test]
fn filters_leave_out_what_does_not_fit() {
    let it = TestStore::new();
    for (n, owner) in ["local", "other", "local", "other"].into_iter().enumerate() {
        let new = NewWorker {
            owner: owner.to_owned(),
            ..NewWorker::new(n.to_string())
        };
        let worker = it.store.create_worker(new).unwrap();
        if n < 2 {
            worker.update(|it| it.status = Status::Success).unwrap();
        }
        it.clock.advance(Duration::from_millis(600));
    }
    let all = WorkerFilter::default();
    let by = |change: &dyn Fn(&mut WorkerFilter)| {
        let mut filter = all.clone();
        change(&mut filter);
        it.list(&filter)
    };
    assert_eq!(by(&|_| ()), ["3", "2", "1", "0"]);
    assert_eq!(by(&|it| it.owner = Some("local".to_owned())), ["2", "0"]);
    assert_eq!(by(&|it| it.status = Some(Status::Success)), ["1", "0"]);
    // Finer than the names tell: workers 2 and 3 were made in the same second.
    let since = noon().plus_micros(1_800_000);
    assert_eq!(by(&|it| it.since = Some(since)), ["3"]);
    assert_eq!(by(&|it| it.since = Some(since.plus_micros(1))), [""; 0]);
    let limited = by(&|it| {
        it.owner = Some("local".to_owned());
        it.limit = Some(1);
    });
    assert_eq!(limited, ["2"], "the limit counts what fits");
}

#[test]
fn a_time_to_list_from_spares_reading_what_is_older() {
    let it = TestStore::new();
    fs::write(it.worker("old").dir().join("metadata.json"), "damaged").unwrap();
    it.clock.advance(Duration::from_secs(2));
    it.worker("new");
    let filter = WorkerFilter {
        since: Some(noon().plus_micros(1_500_000)),
        ..WorkerFilter::default()
    };
    assert_eq!(it.list(&filter), ["new"]);
}

#[test]
fn a_name_without_a_time_neither_hides_the_newest_nor_is_hidden() {
    let it = TestStore::new();
    let copy = |name: &str, created_at: &str| {
        let from = it.worker("template");
        let mut json: serde_json::Value = serde_json::to_value(from.metadata()).unwrap();
        json["worker_id"] = name.into();
        json["task"] = name.into();
        json["created_at"] = created_at.into();
        let to = it.temp.path().join(name);
        fs::rename(from.dir(), &to).unwrap();
        fs::write(to.join("metadata.json"), json.to_string()).unwrap();
    };
    copy("zz old", "2020-01-01T00:00:00Z");
    copy("aa new", "2030-01-01T00:00:00Z");
    it.worker("in between");
    assert_eq!(
        it.list(&WorkerFilter::default()),
        ["aa new", "in between", "zz old"]
    );
    for (limit, expected) in [(1, &["aa new"][..]), (2, &["aa new", "in between"])] {
        let filter = WorkerFilter {
            limit: Some(limit),
            ..WorkerFilter::default()
        };
        assert_eq!(it.list(&filter), expected);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_others_are_listed() {
    let it = TestStore::new();
    let break_it = |task: &str, break_file: &dyn Fn(&Path)| {
        let worker = it.worker(task);
        break_file(&worker.dir().join("metadata.json"));
        worker.id()
    };
    let good = it.worker("good").id();
    let truncate = |path: &Path| {
        let json = fs::read(path).unwrap();
        fs::write(path, &json[..json.len() / 2]).unwrap();
    };
    let replace = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let json = fs::read_to_string(path).unwrap();
            assert!(json.contains(from));
            fs::write(path, json.replace(from, to)).unwrap();
        }
    };
    let in_place_of = |make: &'static dyn Fn(&Path)| {
        move |path: &Path| {
            fs::remove_file(path).unwrap();
            make(path);
        }
    };
    let sparse = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(100 << 20).unwrap();
    };
    let broken = [
        (break_it("truncated", &truncate), "EOF while parsing"),
        (
            break_it("text", &|it| fs::write(it, "no json").unwrap()),
            "expected ident",
        ),
        (break_it("empty", &|it| fs::write(it, "").unwrap()), "EOF"),
        (
            break_it("nul", &|it| fs::write(it, [0; 4096]).unwrap()),
            "expected value",
        ),
        (
            break_it("other", &replace("_other", "_somebody")),
            "it belongs to worker `2025-12-15T12-00-00_somebody`",
        ),
        (
            break_it("status", &replace("\"created\"", "\"paused\"")),
            "unknown variant `paused`",
        ),
        (
            break_it("depth", &replace("null", &*"[".repeat(100_000).leak())),
            "recursion limit",
        ),
        (break_it("large", &sparse), "longer than 67108864 bytes"),
        (
            break_it("pipe", &in_place_of(&|it| mkfifo(it))),
            "is not a plain file",
        ),
        (
            break_it(
                "link",
                &in_place_of(&|it| symlink("/dev/zero", it).unwrap()),
            ),
            "is a symbolic link",
        ),
        (
            break_it("directory", &in_place_of(&|it| fs::create_dir(it).unwrap())),
            "is a directory",
        ),
        (
            break_it("missing", &in_place_of(&|_| ())),
            "has no file `metadata.json`; its files: metrics.jsonl",
        ),
    ];
    fs::create_dir(it.temp.path().join("empty")).unwrap();
    fs::write(it.temp.path().join("a file"), "").unwrap();
    symlink("/", it.temp.path().join("a link")).unwrap();

    let list = it.store.list(&WorkerFilter::default()).unwrap();
    assert_eq!(list.workers.len(), 1);
    assert_eq!(list.workers[0].worker_id, good);
    let problems: Vec<_> = list.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), broken.len() + 1, "{problems:#?}");
    for (id, reason) in broken {
        let named = |it: &&String| it.contains(id.as_str());
        let Some(problem) = problems.iter().find(named) else {
            panic!("{id} is not in {problems:#?}");
        };
        assert!(problem.contains(reason), "{problem}");
    }
    let empty = "worker `empty` has no file `metadata.json`; it has no files";
    assert!(problems.iter().any(|it| it == empty), "{problems:#?}");
}

#[test]
fn an_empty_store_has_no_workers() {
    let it = TestStore::new();
    assert_eq!(it.list(&WorkerFilter::default()), [""; 0]);
}
