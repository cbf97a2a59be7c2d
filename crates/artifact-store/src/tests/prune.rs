//! Pruning: the oldest ended workers go, whole, and nothing else.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Barrier,
    thread,
    time::Duration,
};

use super::support::{TestStore, assert_passed, child, child_argument, open};
use crate::{
    ArtifactStore, NewWorker, PruneOptions, Pruned, Status, StoreError, WorkerFilter, WorkerWriter,
};

const DAY: Duration = Duration::from_hours(24);

impl TestStore {
    /// An ended worker for each day, the oldest first; now is a day after the last one.
    fn days(&self, n: usize) -> Vec<WorkerWriter> {
        (1..=n)
            .map(|day| {
                let worker = self.ended_as(&format!("day {day}"), "local");
                self.clock.advance(DAY);
                worker
            })
            .collect()
    }

    fn ended_as(&self, task: &str, owner: &str) -> WorkerWriter {
        let new = NewWorker {
            owner: owner.to_owned(),
            ..NewWorker::new(task)
        };
        let worker = self.store.create_worker(new).unwrap();
        worker.write_result(&"x".repeat(10_000)).unwrap();
        worker.update(|it| it.status = Status::Success).unwrap();
        worker
    }

    #[track_caller]
    fn prune(&self, options: &PruneOptions) -> Pruned {
        let pruned = self.store.prune(options).unwrap();
        assert!(pruned.problems.is_empty(), "{:?}", pruned.problems);
        pruned
    }

    /// The tasks of the workers that are left, the oldest first.
    fn left(&self) -> Vec<String> {
        let list = self.store.list(&WorkerFilter::default()).unwrap();
        list.workers.into_iter().rev().map(|it| it.task).collect()
    }

    fn trash(&self) -> PathBuf {
        self.store.own_dir().join("trash")
    }

    fn n_in_trash(&self) -> usize {
        fs::read_dir(self.trash()).unwrap().count()
    }
}

fn older_than(age: Duration) -> PruneOptions {
    PruneOptions {
        older_than: Some(age),
        ..PruneOptions::default()
    }
}

fn keep(n: usize) -> PruneOptions {
    PruneOptions {
        keep: Some(n),
        ..PruneOptions::default()
    }
}

fn ids(pruned: &Pruned) -> Vec<&str> {
    pruned
        .removed
        .iter()
        .map(|it| it.worker_id.as_str())
        .collect()
}

/// As `du` counts.
fn bytes_of(path: &Path) -> u64 {
    let stat = fs::symlink_metadata(path).unwrap();
    let below = if stat.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        entries.map(|it| bytes_of(&it.unwrap().path())).sum()
    } else {
        0
    };
    stat.blocks() * 512 + below
}

#[test]
fn by_age_those_go_that_were_made_before() {
    let it = TestStore::new();
    let workers = it.days(5);
    let all = it.prune(&older_than(6 * DAY));
    assert_eq!((ids(&all).len(), all.kept), (0, 5));
    // The third is exactly so old, and stays.
    let pruned = it.prune(&older_than(3 * DAY));
    assert_eq!(
        ids(&pruned),
        [workers[0].id(), workers[1].id()].map(|it| it.to_string())
    );
    assert_eq!(pruned.kept, 3);
    assert_eq!(pruned.removed[0].created_at, super::support::noon());
    assert_eq!(it.left(), ["day 3", "day 4", "day 5"]);
    assert_eq!(it.n_in_trash(), 0);
    assert_eq!(ids(&it.prune(&older_than(Duration::MAX))), [""; 0]);
}

#[test]
fn by_count_the_newest_stay() {
    let it = TestStore::new();
    let _workers = it.days(5);
    for (n, expected) in [(9, 5), (5, 5), (2, 2), (0, 0)] {
        assert_eq!(it.prune(&keep(n)).kept, expected);
        assert_eq!(it.left().len(), expected);
        if n == 2 {
            assert_eq!(it.left(), ["day 4", "day 5"]);
        }
    }
}

#[test]
fn by_bytes_the_oldest_go_until_the_rest_fits() {
    let it = TestStore::new();
    let workers = it.days(4);
    let bytes: Vec<_> = workers.iter().map(|it| bytes_of(it.dir())).collect();
    let total: u64 = bytes.iter().sum();
    let max_bytes = |it| PruneOptions {
        max_bytes: Some(it),
        ..PruneOptions::default()
    };
    assert_eq!(it.prune(&max_bytes(total)).kept, 4);
    let pruned = it.prune(&max_bytes(total - 1));
    assert_eq!((pruned.bytes, pruned.kept), (bytes[0], 3));
    assert_eq!(pruned.removed[0].bytes, bytes[0]);
    let pruned = it.prune(&max_bytes(bytes[3]));
    assert_eq!((pruned.bytes, pruned.kept), (bytes[1] + bytes[2], 1));
    assert_eq!(it.left(), ["day 4"]);
}

#[test]
fn all_bounds_hold_at_once_and_none_removes_nothing() {
    let it = TestStore::new();
    let _workers = it.days(5);
    assert_eq!(it.prune(&PruneOptions::default()).kept, 5);
    let both = PruneOptions {
        older_than: Some(2 * DAY),
        keep: Some(4),
        ..PruneOptions::default()
    };
    assert_eq!(it.prune(&both).kept, 2);
    let both = PruneOptions {
        older_than: Some(2 * DAY),
        keep: Some(1),
        ..PruneOptions::default()
    };
    assert_eq!(it.prune(&both).kept, 1);
    assert_eq!(it.left(), ["day 5"]);
}

#[test]
fn a_dry_run_says_the_same_and_touches_nothing() {
    let it = TestStore::new();
    let _workers = it.days(3);
    let options = PruneOptions {
        dry_run: true,
        ..keep(1)
    };
    let would = it.prune(&options);
    assert_eq!(it.left().len(), 3);
    assert!(!it.trash().exists());
    let did = it.prune(&keep(1));
    assert_eq!(would.removed, did.removed);
    assert_eq!((would.bytes, would.kept), (did.bytes, did.kept));
}

#[test]
fn only_the_owners_workers_count_and_go() {
    let it = TestStore::new();
    let _workers: Vec<_> = (0..6)
        .map(|n| {
            it.clock.advance(DAY);
            it.ended_as(&n.to_string(), ["one", "other"][n % 2])
        })
        .collect();
    let options = PruneOptions {
        owner: Some("one".to_owned()),
        ..keep(1)
    };
    let pruned = it.prune(&options);
    assert_eq!((pruned.removed.len(), pruned.kept), (2, 1));
    assert_eq!(it.left(), ["1", "3", "4", "5"]);
}

#[test]
fn one_that_has_not_ended_stays_and_counts() {
    let it = TestStore::new();
    let created = it.worker("created");
    it.clock.advance(DAY);
    let running = it.worker("running");
    running.update(|it| it.status = Status::Running).unwrap();
    it.clock.advance(DAY);
    let _ended = it.days(2);
    assert_eq!(it.prune(&older_than(Duration::ZERO)).kept, 2);
    assert_eq!(it.left(), ["created", "running"]);
    let _ended = it.days(2);
    assert_eq!(it.prune(&keep(3)).kept, 3);
    assert_eq!(it.left(), ["created", "running", "day 2"]);
    assert_eq!(it.prune(&keep(0)).kept, 2);
    drop(created);
}

#[test]
fn what_is_no_worker_is_named_and_left_alone() {
    let it = TestStore::new();
    let worker = it.days(1).remove(0);
    fs::write(worker.dir().join("metadata.json"), "damaged").unwrap();
    fs::create_dir(it.temp.path().join("notes")).unwrap();
    fs::write(it.temp.path().join("notes/mine.txt"), "mine").unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    symlink(outside.path(), it.temp.path().join("a link")).unwrap();
    let pruned = it.store.prune(&keep(0)).unwrap();
    assert_eq!((ids(&pruned).len(), pruned.kept), (0, 0));
    assert_eq!(pruned.problems.len(), 2, "{:?}", pruned.problems);
    assert!(worker.dir().join("result.txt").exists());
    assert!(it.temp.path().join("notes/mine.txt").exists());
    assert!(it.temp.path().join("a link/file").exists());
}

#[test]
fn links_are_removed_and_not_followed() {
    let it = TestStore::new();
    let worker = it.days(1).remove(0);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    symlink(outside.path(), worker.dir().join("link")).unwrap();
    fs::hard_link(outside.path().join("file"), worker.dir().join("hard")).unwrap();
    fs::create_dir(worker.dir().join("tool_calls")).unwrap();
    symlink("/", worker.dir().join("tool_calls/link")).unwrap();
    assert_eq!(ids(&it.prune(&keep(0))).len(), 1);
    assert!(!worker.dir().exists());
    let text = fs::read_to_string(outside.path().join("file"));
    assert_eq!(text.unwrap(), "outside");

    // Nor is the trash itself, if somebody puts a link in its place.
    let worker = it.days(1).remove(0);
    fs::remove_dir(it.trash()).unwrap();
    symlink(outside.path(), it.trash()).unwrap();
    let error = it.store.prune(&keep(0)).unwrap_err().to_string();
    assert!(
        error.contains("trash` is damaged: it is no directory"),
        "{error}"
    );
    assert!(worker.dir().exists() && outside.path().join("file").exists());
}

#[test]
fn a_worker_with_something_mounted_in_it_stays() {
    const NAME: &str = "tests::prune::a_worker_with_something_mounted_in_it_stays";
    if let Some(data_dir) = child_argument() {
        let store = ArtifactStore::open(Path::new(&data_dir)).unwrap();
        let pruned = store.prune(&keep(0)).unwrap();
        assert_eq!(pruned.removed.len(), 1, "{pruned:?}");
        assert_eq!(pruned.kept, 2);
        for problem in &pruned.problems {
            assert!(matches!(problem, StoreError::Unremovable { .. }));
            let text = problem.to_string();
            assert!(text.contains("something is mounted in it"), "{text}");
        }
        assert_eq!(pruned.problems.len(), 2);
        return;
    }
    let it = TestStore::new();
    let workers = it.days(3);
    let outside = it.temp.path().join(".outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let (dir, file) = (
        workers[0].dir().join("a/mounted"),
        workers[1].dir().join("mounted"),
    );
    fs::create_dir_all(&dir).unwrap();
    fs::write(&file, "").unwrap();
    // Of the same filesystem, in a namespace of its own, so that it is gone with its process.
    let script = r#"mount --bind "$1" "$2" && mount --bind "$1/secret" "$3" || exit 99
        shift 3; exec "$@""#;
    let test = child(NAME, it.temp.path());
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([&outside, &dir, &file])
        .arg(test.get_program())
        .args(test.get_args());
    for (key, value) in test.get_envs() {
        command.env(key, value.unwrap());
    }
    match command.output() {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
            assert_passed(&output);
            assert!(outside.join("secret").exists());
            assert_eq!(it.left(), ["day 1", "day 2"]);
        }
        _ => eprintln!("skipped: mounting needs root on Linux"),
    }
}

#[test]
fn what_a_killed_prune_left_is_removed_by_the_next() {
    let it = TestStore::new();
    let worker = it.days(1).remove(0);
    it.prune(&keep(9));
    // As if killed after the move, and half-way through the removal of another one.
    fs::rename(worker.dir(), it.trash().join("moved")).unwrap();
    fs::create_dir_all(it.trash().join("half/tool_calls")).unwrap();
    fs::write(it.trash().join("file"), "").unwrap();
    let dry_run = PruneOptions {
        dry_run: true,
        ..keep(9)
    };
    it.prune(&dry_run);
    assert_eq!(it.n_in_trash(), 3);
    assert_eq!(it.left(), [""; 0], "no half worker is listed");
    it.prune(&keep(9));
    assert_eq!(it.n_in_trash(), 0);
}

#[test]
fn two_at_once_remove_each_worker_once_and_lists_go_on() {
    const ROUNDS: usize = 5;
    let it = TestStore::new();
    for _ in 0..ROUNDS {
        let _workers = it.days(30);
        let other = open(it.temp.path(), &it.clock);
        let start = Barrier::new(3);
        let prune = |store: &ArtifactStore| {
            start.wait();
            let pruned = store.prune(&keep(10)).unwrap();
            assert!(pruned.problems.is_empty(), "{:?}", pruned.problems);
            pruned.removed
        };
        thread::scope(|scope| {
            let pruning = [&it.store, &other].map(|store| scope.spawn(|| prune(store)));
            start.wait();
            for _ in 0..20 {
                let list = it.store.list(&WorkerFilter::default()).unwrap();
                assert!(list.problems.is_empty(), "{:?}", list.problems);
                assert!(list.workers.len() >= 10);
            }
            let [one, another] = pruning.map(|it| it.join().unwrap());
            let mut removed: Vec<_> = one.iter().chain(&another).map(|it| &it.worker_id).collect();
            let n_removed = removed.len();
            removed.sort_unstable_by_key(|it| it.as_str());
            removed.dedup();
            assert_eq!(removed.len(), n_removed, "removed twice");
        });
        assert_eq!(it.left().len(), 10);
        assert_eq!(it.n_in_trash(), 0);
        it.prune(&keep(0));
    }
}

#[test]
fn one_that_is_read_meanwhile_is_there_whole_or_not_at_all() {
    let it = TestStore::new();
    let worker = it.days(1).remove(0);
    let reader = it.store.worker(&worker.id()).unwrap();
    let mut opened = reader.open_file("result.txt").unwrap();
    it.prune(&keep(0));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut opened, &mut text).unwrap();
    assert_eq!(text.len(), 10_000);
    let gone = it.store.worker(&worker.id());
    assert!(matches!(gone, Err(StoreError::WorkerNotFound { .. })));
}

#[test]
fn lock_files_of_the_dead_go_and_those_of_the_living_stay() {
    let it = TestStore::new();
    let run_dir = it.store.own_dir().join("run");
    let dead = run_dir.join("786060f4-3f9c-491d-b3e9-a242018eff9a.lock");
    fs::write(&dead, "").unwrap();
    let own = run_dir.join(format!("{}.lock", it.store.run_id()));
    let look = PruneOptions {
        keep: Some(0),
        dry_run: true,
        ..PruneOptions::default()
    };
    it.store.prune(&look).unwrap();
    assert!(dead.exists() && own.exists());
    let options = PruneOptions {
        dry_run: false,
        ..look
    };
    it.store.prune(&options).unwrap();
    assert!(!dead.exists() && own.exists());
}
