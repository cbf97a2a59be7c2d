//! Which workers may have calls of some time, and which may always.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use metrics_core::{CallTime, Timestamp, ToolCall};
use rusqlite::Connection;

use super::support::{LONG, TestStore, noon};
use crate::{
    CallIndex, EVENTS_LOST_REASON, Ended, Metadata, Status, WantedCalls, WorkerWriter,
    index::testing::{hold_turn, is_read_beside_an_answer, let_ticks_pass},
};

const HOUR: i64 = 3_600_000_000;

/// So many hours after noon.
fn at(hours: i64) -> Timestamp {
    noon().plus_micros(hours * HOUR)
}

fn since(hours: i64) -> WantedCalls {
    WantedCalls {
        since: Some(at(hours)),
        ..WantedCalls::default()
    }
}

impl TestStore {
    /// A worker whose calls ended at these hours, and that is still at work.
    fn with_calls(&self, task: &str, ends: &[i64]) -> WorkerWriter {
        let worker = self.worker(task);
        worker.start(noon()).unwrap();
        for end in ends {
            let time = CallTime::new(at(*end), Duration::ZERO);
            let sink = worker.sink();
            sink.record(&worker.id(), &ToolCall::new("ssh_exec", time).into());
        }
        worker
    }

    /// The same, ended.
    fn ended_with_calls(&self, task: &str, ends: &[i64]) -> WorkerWriter {
        let worker = self.with_calls(task, ends);
        let result: Result<_, std::io::Error> = Ok("Done.");
        let ended = Ended::with(&result, Duration::from_secs(1));
        worker.finish(&ended).unwrap();
        worker
    }

    /// The tasks, or odd names, of those that may have such calls, by the index.
    #[track_caller]
    fn may_have(&self, wanted: &WantedCalls) -> BTreeSet<String> {
        let index = CallIndex::of(self.temp.path());
        let names = index.workers(wanted).expect("an answer of the index");
        let tasks: Vec<_> = names.iter().map(|it| task(it)).collect();
        let all: BTreeSet<_> = tasks.iter().cloned().collect();
        assert_eq!(all.len(), tasks.len(), "{tasks:?}");
        all
    }

    /// Asks until what has just changed is old enough to be believed.
    fn wait_until_nothing_may_have(&self, wanted: &WantedCalls) {
        let index = CallIndex::of(self.temp.path());
        let deadline = Instant::now() + LONG;
        while index.workers(wanted) != Some(vec![]) {
            assert!(Instant::now() < deadline, "it is not looked at");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fills the index until it is over, which it asks before each line that it reads.
    fn fill_some(&self, n_lines: usize) {
        let n_asked = AtomicUsize::new(0);
        let is_over = move || n_asked.fetch_add(1, Ordering::Relaxed) >= n_lines;
        self.store.index().fill_here(is_over);
    }

    fn n_known(&self) -> i64 {
        let connection = Connection::open(self.index_path()).unwrap();
        let sql = "SELECT count(*) FROM worker WHERE last_end IS NOT NULL";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn is_full(&self) -> bool {
        let connection = Connection::open(self.index_path()).unwrap();
        let sql = "SELECT is_full FROM state";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn task(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    let (_, slug) = name.split_once('_').unwrap_or(("", &name));
    slug.to_owned()
}

fn set<const N: usize>(tasks: [&str; N]) -> BTreeSet<String> {
    tasks.map(str::to_owned).into()
}

#[test]
fn a_worker_is_left_out_by_when_its_calls_ended() {
    let it = TestStore::new();
    it.ended_with_calls("early", &[-2, -1]);
    it.ended_with_calls("late", &[1, 3]);
    // Its clock went ahead and was set back: it ended before the last of its calls did.
    it.ended_with_calls("ahead", &[-2, 30]);
    it.ended_with_calls("none", &[]);
    it.fill();
    assert_eq!(it.may_have(&since(3)), set(["late", "ahead"]));
    assert_eq!(it.may_have(&since(4)), set(["ahead"]));
    let until = WantedCalls {
        until: Some(at(-1)),
        ..WantedCalls::default()
    };
    assert_eq!(it.may_have(&until), set(["early", "ahead"]));
    let both = WantedCalls {
        until: Some(at(1)),
        ..since(0)
    };
    assert_eq!(it.may_have(&both), set(["ahead"]));
    let all = CallIndex::of(it.temp.path()).workers(&WantedCalls::default());
    assert_eq!(all, None, "whoever wants all need not ask");
}

#[test]
fn a_worker_is_left_out_by_name_owner_and_status() {
    let it = TestStore::new();
    for (task, owner, status) in [
        ("one", "ann", Status::Success),
        ("two", "bob", Status::Failed),
        ("three", "it's \"bob\"", Status::Timeout),
    ] {
        let change = |it: &mut Metadata| {
            it.owner = owner.to_owned();
            it.status = status;
        };
        it.ended_with_calls(task, &[1]).update(change).unwrap();
    }
    let running = it.with_calls("running", &[1]);
    it.fill();
    let owners = |owners: &[&str]| WantedCalls {
        owners: owners.iter().map(ToString::to_string).collect(),
        ..WantedCalls::default()
    };
    assert_eq!(it.may_have(&owners(&["bob"])), set(["two", "running"]));
    let both = owners(&["it's \"bob\"", "ann"]);
    assert_eq!(it.may_have(&both), set(["one", "three", "running"]));
    let late = WantedCalls {
        since: Some(at(2)),
        ..both
    };
    assert_eq!(it.may_have(&late), set(["running"]));
    let failed = WantedCalls {
        statuses: vec!["failed".to_owned()],
        ..WantedCalls::default()
    };
    assert_eq!(it.may_have(&failed), set(["two", "running"]));
    let named = WantedCalls {
        workers: vec![running.id().to_string(), "nobody".to_owned()],
        ..WantedCalls::default()
    };
    assert_eq!(it.may_have(&named), set(["running"]));
}

/// Appends to the worker's events as no writer of ours does.
fn append(worker: &WorkerWriter, text: &str) {
    let path = worker.dir().join("metrics.jsonl");
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_worker_of_which_more_may_come_may_have_any_call() {
    let it = TestStore::new();
    it.ended_with_calls("early", &[-2]);
    let _running = it.with_calls("running", &[-2]);
    // Ended by a program that says nothing of its events.
    let unsaid = it.with_calls("unsaid", &[-2]);
    unsaid.update(|it| it.status = Status::Failed).unwrap();
    // A write that hung may come through at last.
    let lost = it.ended_with_calls("lost", &[-2]);
    let change = |it: &mut Metadata| {
        it.events_lost = Some(1);
        let why = EVENTS_LOST_REASON.to_owned();
        it.extra.insert(why, "the disk hung".into());
    };
    lost.update(change).unwrap();
    let torn = it.ended_with_calls("torn", &[-2]); // Dropped, it would mend the file.
    append(&torn, "{\"event\":\"tool_c");
    append(&it.ended_with_calls("nonsense", &[-2]), "nonsense\n");
    append(
        &it.ended_with_calls("unknown", &[-2]),
        "{\"event\":\"other\"}\n",
    );
    let more = it.ended_with_calls("more", &[-2]);
    let line = fs::read_to_string(more.dir().join("metrics.jsonl")).unwrap();
    append(&more, &line);
    let fewer = it.ended_with_calls("fewer", &[-2]);
    fs::write(fewer.dir().join("metrics.jsonl"), "").unwrap();
    let gone = it.ended_with_calls("gone", &[-2]);
    fs::remove_file(gone.dir().join("metrics.jsonl")).unwrap();
    let damaged = it.ended_with_calls("damaged", &[-2]);
    fs::write(damaged.dir().join("metadata.json"), "{").unwrap();
    fs::create_dir(it.temp.path().join("foreign")).unwrap();
    it.fill();
    let always = [
        "running", "unsaid", "lost", "torn", "nonsense", "unknown", "more", "fewer", "gone",
        "damaged", "foreign",
    ];
    assert_eq!(it.may_have(&since(4)), set(always));
}

#[test]
fn a_worker_that_ends_is_left_out_from_then_on() {
    let it = TestStore::new();
    it.ended_with_calls("before", &[-2]);
    let worker = it.with_calls("worker", &[-2]);
    it.fill();
    assert_eq!(it.may_have(&since(4)), set(["worker"]));
    let result: Result<_, std::io::Error> = Ok("Done.");
    let ended = Ended::with(&result, Duration::from_secs(1));
    worker.finish(&ended).unwrap();
    // Whoever asks looks at it, for those that come after.
    assert_eq!(it.may_have(&since(4)), set(["worker"]));
    it.wait_until_nothing_may_have(&since(4));
    // One that comes and ends meanwhile.
    it.ended_with_calls("later", &[-2]);
    assert_eq!(it.may_have(&since(4)), set(["later"]));
    it.wait_until_nothing_may_have(&since(4));
}

#[test]
fn what_is_read_of_large_files_is_kept_however_little_time_there_is() {
    let it = TestStore::new();
    it.ended_with_calls("small", &[-2]);
    for n in 0..4 {
        let large = it.ended_with_calls(&n.to_string(), &[-2; 2000]);
        let size = fs::metadata(large.dir().join("metrics.jsonl"))
            .unwrap()
            .len();
        assert!(size > 64 << 10, "{size}");
    }
    let_ticks_pass();
    for n in 1..=4 {
        it.fill_some(3000); // Enough for one, and a part of the next.
        assert_eq!(it.n_known(), 1 + n, "the small one and some large ones");
        assert!(it.is_full(), "a list needs no more");
    }
    assert_eq!(it.may_have(&since(4)), set([]));
}

#[test]
fn a_file_that_takes_longer_than_there_is_time_keeps_back_no_other() {
    let it = TestStore::new();
    for n in 0..3 {
        it.ended_with_calls(&n.to_string(), &[-2; 700]);
    }
    it.ended_with_calls("endless", &[-2; 2000]);
    let_ticks_pass();
    let turns = (0..500).find(|_| {
        it.fill_some(1500);
        it.n_known() == 3
    });
    assert!(turns.is_some(), "it comes first each time");
    assert_eq!(it.may_have(&since(4)), set(["endless"]));
}

#[test]
fn what_others_read_of_large_files_meanwhile_is_kept() {
    for n in 0..24 {
        let it = TestStore::new();
        it.ended_with_calls("small", &[-2]);
        it.ended_with_calls("large", &[-2; 2000]);
        let_ticks_pass();
        // One that comes and reads all when this one was asked so often, and this one is over the next time.
        let (other, n_asked) = (it.store.clone(), AtomicUsize::new(0));
        it.store.index().fill_here(move || {
            let asked = n_asked.fetch_add(1, Ordering::Relaxed);
            if asked == n {
                other.index().fill_here(|| false);
            }
            asked > n
        });
        assert_eq!(it.n_known(), 2, "after {n}");
    }
}

#[test]
fn what_is_too_large_to_be_read_beside_an_answer_is_read_by_the_thread() {
    let it = TestStore::new();
    let early = it.ended_with_calls("early", &[-2]);
    it.fill();
    let large = it.ended_with_calls("large", &[-2]);
    let path = large.dir().join("metrics.jsonl");
    let line = fs::read_to_string(&path).unwrap();
    let n_lines = (8 << 20) / line.len() + 1;
    append(&large, &line.repeat(n_lines - 1));
    large.update(|it| it.events = Some(n_lines as u64)).unwrap();
    let_ticks_pass();
    let is_read = |id: &str| is_read_beside_an_answer(it.store.index(), id);
    assert!(!is_read(&large.id().to_string()));
    assert!(is_read(&early.id().to_string()));
    assert_eq!(it.may_have(&since(4)), set(["large"]));
    it.wait_until_nothing_may_have(&since(4));
}

#[test]
fn what_somebody_changed_by_hand_is_noticed() {
    let it = TestStore::new();
    let events = it.ended_with_calls("events", &[-2]);
    let owner = it.ended_with_calls("owner", &[-2]);
    let replaced = it.ended_with_calls("replaced", &[-2]);
    it.fill();
    let bob = WantedCalls {
        owners: vec!["bob".to_owned()],
        ..since(4)
    };
    assert_eq!(it.may_have(&bob), set([]));
    let late = it.with_calls("late", &[5]);
    late.finish_metrics(Duration::from_mins(1));
    let line = fs::read_to_string(late.dir().join("metrics.jsonl")).unwrap();
    append(&events, &line);
    let path = owner.dir().join("metadata.json");
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, json.replace("\"local\"", "\"bob\"")).unwrap();
    fs::remove_dir_all(replaced.dir()).unwrap();
    fs::rename(late.dir(), replaced.dir()).unwrap();
    assert_eq!(it.may_have(&bob), set(["events", "owner", "replaced"]));
}

#[test]
fn links_and_names_that_are_no_text_are_told_too() {
    let it = TestStore::new();
    it.ended_with_calls("early", &[-2]);
    symlink("nowhere", it.temp.path().join("link")).unwrap();
    let odd = OsStr::from_bytes(b"odd_\xff");
    fs::create_dir(it.temp.path().join(odd)).unwrap();
    fs::write(it.temp.path().join("file"), "").unwrap();
    symlink("nowhere", it.temp.path().join(".hidden")).unwrap();
    it.fill();
    let workers = |wanted: &WantedCalls| {
        let index = CallIndex::of(it.temp.path());
        let mut names = index.workers(wanted).unwrap();
        names.sort_unstable();
        names
    };
    assert_eq!(workers(&since(4)), [OsString::from("link"), odd.to_owned()]);
    fs::remove_file(it.temp.path().join("link")).unwrap();
    assert_eq!(workers(&since(4)), [odd.to_owned()]);
}

#[test]
fn without_a_usable_index_only_the_directories_can_tell() {
    let it = TestStore::new();
    it.ended_with_calls("early", &[-2]);
    let answer = || CallIndex::of(it.temp.path()).workers(&since(4));
    let damage = |by: &dyn Fn(&Path)| {
        it.fill();
        it.wait_until_nothing_may_have(&since(4));
        by(&it.index_path());
    };
    let_ticks_pass();
    assert_eq!(answer(), None, "there is none yet");
    damage(&|it| fs::write(it, "garbage").unwrap());
    assert_eq!(answer(), None);
    damage(&|it| {
        let sql = "UPDATE worker SET last_end = 0, first_end = 0";
        Connection::open(it).unwrap().execute(sql, []).unwrap();
    });
    assert_eq!(answer(), None);
    it.fill();
    let turn = hold_turn(&it.store.own_dir(), true);
    let index = CallIndex::of(it.temp.path());
    assert_eq!(index.workers(&since(4)), None, "somebody writes it");
    drop(turn);
    drop(index);
    it.wait_until_nothing_may_have(&since(4));
}

#[test]
fn a_directory_that_is_no_store_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("worker")).unwrap();
    assert_eq!(CallIndex::of(dir.path()).workers(&since(4)), None);
    assert!(!dir.path().join(".triscope").exists());
}
