//! The index answers as the directories do, whatever happens to it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use proptest::{collection::vec, prelude::*, sample::Index as Pick};
use rusqlite::Connection;

use super::support::{
    LONG, SetOnDrop, TestStore, assert_passed, child, child_argument, mkfifo, noon, open,
};
use crate::{
    ArtifactStore, NewWorker, PruneOptions, Status, WorkerFilter, WorkerList, WorkerWriter,
    index::testing::{hold_turn, let_ticks_pass, write_and_abort},
};

impl TestStore {
    pub(super) fn index_path(&self) -> PathBuf {
        self.store.own_dir().join("index.sqlite")
    }

    /// A worker that has ended.
    fn ended(&self, task: &str) -> WorkerWriter {
        let worker = self.worker(task);
        worker.update(|it| it.status = Status::Success).unwrap();
        worker
    }

    fn ended_many(&self, n: usize) {
        for n in 0..n {
            self.ended(&n.to_string());
        }
    }

    /// An index with all that can be in it.
    pub(super) fn fill(&self) {
        let_ticks_pass();
        self.store.index().fill_here(|| false);
    }

    /// Whether the index answers, if need be once a thread that fills it has no turn any more.
    #[track_caller]
    fn answers_at_last(&self, filter: &WorkerFilter) -> bool {
        let deadline = Instant::now() + LONG;
        while !check(&self.store, filter) {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// What is said of an answer when it is compared.
fn said(list: WorkerList) -> (Vec<crate::Metadata>, BTreeSet<String>) {
    let problems = list.problems.iter().map(ToString::to_string).collect();
    (list.workers, problems)
}

/// The answer, which must be the directories', and whether the index gave it.
#[track_caller]
fn check(store: &ArtifactStore, filter: &WorkerFilter) -> bool {
    let walked = said(store.walk(filter).unwrap());
    let indexed = store.index().list(store, filter).map(said);
    if let Some(indexed) = &indexed {
        assert_eq!(indexed, &walked, "{filter:?}");
    }
    assert_eq!(said(store.list(filter).unwrap()), walked, "{filter:?}");
    indexed.is_some()
}

fn newest(limit: usize) -> WorkerFilter {
    WorkerFilter {
        limit: Some(limit),
        ..WorkerFilter::default()
    }
}

fn n_settled(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM worker WHERE json IS NOT NULL";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn the_index_is_made_by_the_first_list_and_answers_the_next() {
    let it = TestStore::new();
    it.ended_many(30);
    let running = it.worker("running");
    let_ticks_pass();
    assert!(it.store.index().list(&it.store, &newest(20)).is_none());
    assert_eq!(it.store.list(&newest(20)).unwrap().workers.len(), 20);
    let deadline = Instant::now() + LONG;
    while it.store.index().list(&it.store, &newest(20)).is_none() {
        assert!(Instant::now() < deadline, "no list made the index");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(check(&it.store, &newest(20)));
    it.fill();
    assert_eq!(n_settled(&it.index_path()), 30, "and not one that runs");
    drop(running);
}

/// Changes the file as nobody but a test does: its seal stays whole.
fn forge(path: &Path, seal: SystemTime, sql: &str) {
    let connection = Connection::open(path).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(seal).unwrap();
}

fn seal_of(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// Shows where an answer comes from.
const FORGED: &str =
    r#"UPDATE worker SET json = replace(json, '"task":"task"', '"task":"forged"')"#;

#[test]
fn what_the_index_says_is_not_read_again() {
    let it = TestStore::new();
    let _worker = it.ended("task");
    it.fill();
    forge(&it.index_path(), seal_of(&it.index_path()), FORGED);
    assert_eq!(it.store.list(&newest(1)).unwrap().workers[0].task, "forged");
}

#[test]
fn an_index_made_anew_in_the_same_second_is_told_from_the_one_that_was_open() {
    let it = TestStore::new();
    let _worker = it.ended("task");
    it.fill();
    assert!(check(&it.store, &newest(1)));
    let seal = seal_of(&it.index_path());
    fs::remove_file(it.index_path()).unwrap();
    it.fill();
    let second = seal.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let same = format!("UPDATE state SET seal = {}", second.as_secs());
    forge(&it.index_path(), seal, &same);
    forge(&it.index_path(), seal, FORGED);
    assert_eq!(it.store.list(&newest(1)).unwrap().workers[0].task, "forged");
}

#[test]
fn an_index_that_is_deleted_while_open_is_noticed() {
    let it = TestStore::new();
    it.ended_many(3);
    it.fill();
    assert!(check(&it.store, &newest(2)));
    fs::remove_file(it.index_path()).unwrap();
    assert!(it.store.index().list(&it.store, &newest(2)).is_none());
    it.fill();
    assert!(check(&it.store, &newest(2)));

    // Replaced by that of another store, which knows others.
    let other = TestStore::new();
    other.ended_many(1);
    other.fill();
    fs::rename(other.index_path(), it.index_path()).unwrap();
    check(&it.store, &newest(2));
    it.fill();
    assert!(it.answers_at_last(&newest(2)));
}

type Spoil<'a> = &'a dyn Fn(&Path);

#[test]
fn an_index_that_is_not_as_it_was_left_is_made_anew() {
    let it = TestStore::new();
    it.ended_many(40);
    let elsewhere = it.temp.path().join(".elsewhere");
    let sql = |sql: &'static str| {
        move |path: &Path| {
            let connection = Connection::open(path).unwrap();
            connection.execute_batch(sql).unwrap();
        }
    };
    let ways: [(&str, Spoil<'_>); 12] = [
        ("empty", &|it| fs::write(it, "").unwrap()),
        ("text", &|it| fs::write(it, "no database").unwrap()),
        ("cut", &|it| {
            let file = fs::File::options().write(true).open(it).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("one byte of a task", &|it| {
            let at = memchr::memmem::find(&fs::read(it).unwrap(), b"\"task\"").unwrap();
            let file = fs::File::options().write(true).open(it).unwrap();
            file.write_all_at(b"\"tusk\"", at as u64).unwrap();
        }),
        ("zeros", &|it| {
            let file = fs::File::options().write(true).open(it).unwrap();
            file.write_all_at(&[0; 4096], 8192).unwrap();
        }),
        ("a worker less", &sql("DELETE FROM worker WHERE rowid = 3")),
        ("another format", &sql("UPDATE state SET format = 99")),
        ("another file", &|it| {
            fs::remove_file(it).unwrap();
            let connection = Connection::open(it).unwrap();
            connection.execute_batch("CREATE TABLE t (x)").unwrap();
        }),
        ("a pipe", &|it| {
            fs::remove_file(it).unwrap();
            mkfifo(it);
        }),
        ("a link", &|it| {
            fs::rename(it, &elsewhere).unwrap();
            symlink(&elsewhere, it).unwrap();
        }),
        ("a second link", &|it| {
            let _ = fs::remove_file(&elsewhere);
            fs::hard_link(it, &elsewhere).unwrap();
        }),
        ("a journal beside it", &|it| {
            let journal = it.with_file_name("index.sqlite-journal");
            fs::write(journal, "not a journal").unwrap();
            fs::write(it, "").unwrap();
        }),
    ];
    let n_ways = ways.len();
    let mut n_used = 0;
    for (way, spoil) in ways {
        it.fill();
        assert!(it.answers_at_last(&newest(20)), "before: {way}");
        spoil(&it.index_path());
        // A thread of the turn before may have made it anew already; then it is right.
        let used = check(&it.store, &newest(20));
        let fresh = open(it.temp.path(), &it.clock);
        check(&fresh, &newest(20));
        n_used += usize::from(used);
        it.fill();
        assert!(it.answers_at_last(&newest(20)), "after: {way}");
    }
    assert!(n_used < n_ways, "{n_used}");
}

#[test]
fn an_index_that_cannot_be_made_is_no_error() {
    let it = TestStore::new();
    it.ended_many(3);
    fs::create_dir(it.index_path()).unwrap();
    for _ in 0..2 {
        assert!(!check(&it.store, &newest(2)));
        it.fill();
    }
}

#[test]
fn an_index_of_another_boot_is_made_anew() {
    let it = TestStore::new();
    it.ended_many(3);
    it.fill();
    let another = "UPDATE state SET boot = 'another'";
    forge(&it.index_path(), seal_of(&it.index_path()), another);
    assert!(it.store.index().list(&it.store, &newest(2)).is_none());
}

#[test]
fn a_writer_that_is_killed_half_way_leaves_an_index_that_nobody_uses() {
    const NAME: &str =
        "tests::index::a_writer_that_is_killed_half_way_leaves_an_index_that_nobody_uses";
    if let Some(own_dir) = child_argument() {
        write_and_abort(Path::new(&own_dir));
    }
    let it = TestStore::new();
    it.ended_many(40);
    it.fill();
    let before = fs::read(it.index_path()).unwrap();
    let output = child(NAME, it.store.own_dir()).output().unwrap();
    assert!(!output.status.success());
    let after = fs::read(it.index_path()).unwrap();
    assert_ne!(before, after, "it was killed before it wrote anything");
    assert!(it.store.index().list(&it.store, &newest(2)).is_none());
    check(&it.store, &newest(20));
    it.fill();
    assert!(it.answers_at_last(&newest(20)));
}

#[test]
fn nobody_waits_for_one_that_is_stopped_in_its_turn() {
    let it = TestStore::new();
    it.ended_many(3);
    it.fill();
    for is_exclusive in [true, false] {
        let turn = hold_turn(&it.store.own_dir(), is_exclusive);
        let was_used = check(&it.store, &newest(2));
        assert_eq!(was_used, !is_exclusive, "readers do not wait for readers");
        // A new worker cannot be written down now.
        it.ended("new");
        assert!(!check(&it.store, &newest(2)));
        drop(turn);
        assert!(it.answers_at_last(&newest(2)));
        let_ticks_pass();
        assert!(it.answers_at_last(&newest(2)));
    }
}

#[test]
fn the_index_can_only_be_read_by_its_owner() {
    let it = TestStore::new();
    it.fill();
    let mode = fs::metadata(it.index_path()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let beside: Vec<_> = fs::read_dir(it.store.own_dir())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter(|it| it.starts_with("index.sqlite"))
        .collect();
    assert_eq!(beside, ["index.sqlite"]);
}

#[test]
fn what_was_not_settled_when_a_program_ended_is_settled_later() {
    let it = TestStore::new();
    for n in 0..3 {
        it.ended(&n.to_string());
        it.clock.advance(Duration::from_secs(1));
    }
    it.fill();
    let unsettle = "UPDATE worker SET created_at = 9223372036854775807, status = NULL, owner = NULL, stamp = NULL, json = NULL, calls = NULL, first_end = NULL, last_end = NULL";
    forge(&it.index_path(), seal_of(&it.index_path()), unsettle);
    assert_eq!(n_settled(&it.index_path()), 0);
    assert!(check(&it.store, &newest(2)));
    // Two were met by the list.
    assert_eq!(n_settled(&it.index_path()), 2);
    let not_full = "UPDATE state SET is_full = 0";
    forge(&it.index_path(), seal_of(&it.index_path()), not_full);
    assert!(check(&it.store, &newest(1)));
    let deadline = Instant::now() + LONG;
    while n_settled(&it.index_path()) < 3 {
        assert!(Instant::now() < deadline, "nobody went on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn programs_that_only_list_make_the_index_one_after_the_other() {
    let it = TestStore::new();
    it.ended_many(30);
    let_ticks_pass();
    let deadline = Instant::now() + LONG;
    loop {
        let store = open(it.temp.path(), &it.clock);
        if store.index().list(&store, &newest(20)).is_some() {
            break;
        }
        store.list(&newest(20)).unwrap();
        assert!(Instant::now() < deadline, "none gets on");
    }
}

#[test]
fn a_worker_with_a_long_task_is_read_each_time() {
    let it = TestStore::new();
    it.ended(&"x".repeat(20_000));
    it.ended("short");
    it.fill();
    assert!(check(&it.store, &newest(2)));
    assert_eq!(n_settled(&it.index_path()), 1);
}

#[test]
fn an_edit_that_keeps_size_and_times_is_noticed() {
    let it = TestStore::new();
    let worker = it.ended("before");
    it.fill();
    assert!(check(&it.store, &newest(1)));
    let path = worker.dir().join("metadata.json");
    let before = fs::metadata(&path).unwrap();
    let json = fs::read_to_string(&path).unwrap();
    let at = json.find(": \"before\"").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(b": \"behind\"", at as u64).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    let after = fs::metadata(&path).unwrap();
    let seen = |it: &fs::Metadata| (it.ino(), it.len(), it.modified().unwrap());
    assert_eq!(seen(&after), seen(&before));
    assert!(check(&it.store, &newest(1)));
    let list = it.store.list(&newest(1)).unwrap();
    assert_eq!(list.workers[0].task, "behind");
}

#[test]
fn an_index_of_workers_that_are_mostly_gone_is_made_anew() {
    let it = TestStore::new();
    it.ended_many(2100);
    it.fill();
    assert!(check(&it.store, &newest(2)));
    let size = || fs::metadata(it.index_path()).unwrap().len();
    let before = size();
    let pruned = it.store.prune(&PruneOptions {
        keep: Some(50),
        ..PruneOptions::default()
    });
    assert_eq!(pruned.unwrap().kept, 50);
    assert!(!check(&it.store, &newest(2)), "too many for one list");
    it.fill();
    assert!(it.answers_at_last(&WorkerFilter::default()));
    assert!(size() < before / 10, "{} of {before} bytes", size());
}

#[test]
fn a_directory_that_took_the_place_of_another_is_a_new_worker() {
    let it = TestStore::new();
    let (one, other) = (it.ended("one"), it.ended("other"));
    it.clock.advance(Duration::from_secs(1));
    it.ended_many(1000); // Older ones are not looked at one by one.
    it.fill();
    let filter = WorkerFilter {
        status: Some(Status::Failed),
        ..WorkerFilter::default()
    };
    assert!(check(&it.store, &filter));
    let json = fs::read_to_string(one.dir().join("metadata.json")).unwrap();
    let json = json.replace("\"success\"", "\"failed\"");
    fs::remove_dir_all(one.dir()).unwrap();
    fs::rename(other.dir(), one.dir()).unwrap();
    fs::write(one.dir().join("metadata.json"), json).unwrap();
    assert!(check(&it.store, &filter));
    assert_eq!(it.store.list(&filter).unwrap().workers.len(), 1);
}

#[test]
fn many_lists_at_once_are_right_while_workers_come_and_go_and_the_index_is_deleted() {
    const LISTS: usize = 60;
    let it = TestStore::new();
    it.ended_many(20);
    it.fill();
    let (start, is_over) = (Barrier::new(10), AtomicBool::new(false));
    let n_listed = AtomicUsize::new(0);
    thread::scope(|scope| {
        // Two stores, as two processes would have them.
        let stores = [it.store.clone(), open(it.temp.path(), &it.clock)];
        let listing: Vec<_> = (0..8)
            .map(|n| {
                let store = stores[n % 2].clone();
                let (start, n_listed) = (&start, &n_listed);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..LISTS {
                        let list = store.list(&WorkerFilter::default()).unwrap();
                        // A worker that is being made has no metadata yet.
                        let made: BTreeSet<_> =
                            list.workers.iter().map(|it| it.task.clone()).collect();
                        for n in 0..20 {
                            assert!(made.contains(&n.to_string()), "{n} is missing");
                        }
                        n_listed.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            start.wait();
            while !is_over.load(Ordering::Relaxed) {
                for name in ["index.sqlite", "index.sqlite-journal"] {
                    let _ = fs::remove_file(it.store.own_dir().join(name));
                }
                thread::sleep(Duration::from_millis(3));
            }
        });
        scope.spawn(|| {
            start.wait();
            while !is_over.load(Ordering::Relaxed) {
                let worker = it.store.create_worker(NewWorker::new("comes and goes"));
                let worker = worker.unwrap();
                worker.update(|it| it.status = Status::Failed).unwrap();
                let dir = worker.dir().to_owned();
                drop(worker);
                fs::remove_dir_all(dir).unwrap();
            }
        });
        let _over_at_last = SetOnDrop(&is_over);
        for it in listing {
            it.join().unwrap();
        }
    });
    assert_eq!(n_listed.into_inner(), 8 * LISTS);
    it.fill();
    assert!(it.answers_at_last(&WorkerFilter::default()));
}

#[test]
fn two_processes_share_an_index() {
    const NAME: &str = "tests::index::two_processes_share_an_index";
    if let Some(data_dir) = child_argument() {
        let store = ArtifactStore::open(data_dir).unwrap();
        for _ in 0..50 {
            let worker = store.create_worker(NewWorker::new("in the child")).unwrap();
            worker.update(|it| it.status = Status::Success).unwrap();
            let list = store.list(&WorkerFilter::default()).unwrap();
            assert!(list.workers.iter().any(|it| it.worker_id == worker.id()));
        }
        return;
    }
    let it = TestStore::new();
    it.ended_many(20);
    it.fill();
    let mut children: Vec<_> = (0..2)
        .map(|_| {
            let mut child = child(NAME, it.temp.path());
            child.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    while children
        .iter_mut()
        .any(|it| it.try_wait().unwrap().is_none())
    {
        let list = it.store.list(&WorkerFilter::default()).unwrap();
        assert!(list.workers.len() >= 20);
    }
    for child in children {
        assert_passed(&child.wait_with_output().unwrap());
    }
    let_ticks_pass();
    check(&it.store, &WorkerFilter::default());
    it.fill();
    assert!(it.answers_at_last(&WorkerFilter::default()));
    let list = it.store.list(&WorkerFilter::default()).unwrap();
    assert_eq!(list.workers.len(), 20 + 2 * 50);
}

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Step {
    Create {
        owner: &'static str,
    },
    NextSecond,
    Finish(Pick, Status),
    /// Any program rewrites the file.
    Edit(Pick, &'static str, &'static str),
    Damage(Pick, &'static str),
    Remove(Pick),
    Rename(Pick, &'static str),
    DeleteIndex,
    Fill,
    TicksPass,
    Reopen,
    List(WorkerFilter),
}

fn any_step() -> impl Strategy<Value = Step> {
    let owner = prop_oneof![Just("local"), Just("other"), Just("")];
    let status = prop::sample::select(Status::ALL.to_vec());
    let edit = prop_oneof![
        Just(("\"success\"", "\"failed\"")),
        Just(("\"failed\"", "\"timeout\"")),
        Just(("\"local\"", "\"other\"")),
        Just(("\"task\"", "\"tusk\"")),
    ];
    let damage = prop::sample::select(vec!["text", "missing", "pipe", "link", "directory"]);
    let filter = (
        prop::option::of(0..12_usize),
        prop::option::of(status.clone()),
        prop::option::of(0..4_i64),
        prop::option::of(owner.clone()),
    )
        .prop_map(|(limit, status, since, owner)| WorkerFilter {
            limit,
            status,
            since: since.map(|it| noon().plus_micros(it * 1_000_000 + 500)),
            owner: owner.map(ToOwned::to_owned),
        });
    prop_oneof![
        6 => owner.prop_map(|owner| Step::Create { owner }),
        1 => Just(Step::NextSecond),
        5 => (any::<Pick>(), status).prop_map(|(it, status)| Step::Finish(it, status)),
        2 => (any::<Pick>(), edit).prop_map(|(it, (from, to))| Step::Edit(it, from, to)),
        1 => (any::<Pick>(), damage).prop_map(|(it, how)| Step::Damage(it, how)),
        1 => any::<Pick>().prop_map(Step::Remove),
        1 => any::<Pick>().prop_map(|it| Step::Rename(it, "without a time")),
        1 => Just(Step::DeleteIndex),
        2 => Just(Step::Fill),
        1 => Just(Step::TicksPass),
        1 => Just(Step::Reopen),
        8 => filter.prop_map(Step::List),
    ]
}

fn damage(path: &Path, how: &str) {
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
    match how {
        "text" => fs::write(path, "no json").unwrap(),
        "pipe" => mkfifo(path),
        "link" => symlink("/dev/zero", path).unwrap(),
        "directory" => fs::create_dir(path).unwrap(),
        _ => {}
    }
}

/// Carries the steps out and checks each list; gives how many lists the index answered.
fn carry_out(steps: &[Step]) -> usize {
    let it = TestStore::new();
    let mut store = it.store.clone();
    let mut workers: Vec<WorkerWriter> = Vec::new();
    let mut n_by_index = 0;
    for step in steps {
        let metadata_of = |pick: &Pick| -> Option<PathBuf> {
            let worker = (!workers.is_empty()).then(|| pick.get(&workers))?;
            Some(worker.dir().join("metadata.json"))
        };
        match step {
            Step::Create { owner } => {
                it.clock.advance(Duration::from_millis(7));
                let new = NewWorker {
                    owner: (*owner).to_owned(),
                    ..NewWorker::new("task")
                };
                workers.push(store.create_worker(new).unwrap());
            }
            Step::NextSecond => it.clock.advance(Duration::from_secs(1)),
            Step::Finish(pick, status) => {
                if !workers.is_empty() {
                    let _ = pick.get(&workers).update(|it| it.status = *status);
                }
            }
            Step::Edit(pick, from, to) => {
                if let Some(path) = metadata_of(pick)
                    && fs::symlink_metadata(&path).is_ok_and(|it| it.is_file())
                {
                    let json = fs::read_to_string(&path).unwrap();
                    fs::write(&path, json.replace(from, to)).unwrap();
                }
            }
            Step::Damage(pick, how) => {
                if let Some(path) = metadata_of(pick)
                    && path.parent().unwrap().is_dir()
                {
                    damage(&path, how);
                }
            }
            Step::Remove(pick) => {
                if let Some(path) = metadata_of(pick) {
                    let _ = fs::remove_dir_all(path.parent().unwrap());
                }
            }
            Step::Rename(pick, name) => {
                if let Some(path) = metadata_of(pick) {
                    let _ = fs::rename(path.parent().unwrap(), it.temp.path().join(name));
                }
            }
            Step::DeleteIndex => {
                let _ = fs::remove_file(it.index_path());
            }
            Step::Fill => store.index().fill_here(|| false),
            Step::TicksPass => let_ticks_pass(),
            Step::Reopen => store = open(it.temp.path(), &it.clock),
            Step::List(filter) => n_by_index += usize::from(check(&store, filter)),
        }
    }
    n_by_index
}

#[test]
fn whatever_happens_the_index_answers_as_the_directories_do() {
    let n_by_index = AtomicUsize::new(0);
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in vec(any_step(), 1..40))| {
        n_by_index.fetch_add(carry_out(&steps), Ordering::Relaxed);
    });
    let n_by_index = n_by_index.into_inner();
    assert!(
        n_by_index > 300,
        "the index answered only {n_by_index} lists"
    );
}
