//! Books that were damaged in every way we could think of, and what came back of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
    time::{Duration, SystemTime},
};

use artifact_store::{ArtifactStore, NewWorker, Status, StoreOptions};
use metrics_core::{ManualClock, WorkerId};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{READY, beside, with_suffix};
use crate::jobs::{
    FinalStatus, Job, JobBook, JobBookError, JobFilter, JobStatus,
    test_support::{at, id, run, task_of},
};

const SECOND: &str = "2025-12-15T04-08-08";

/// A store and the path of its book.
struct Shop {
    store: ArtifactStore,
    book: PathBuf,
    _dir: TempDir,
}

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let book = store.own_dir().join("jobs.sqlite");
        Self {
            store,
            book,
            _dir: dir,
        }
    }

    fn open(&self) -> Result<JobBook, JobBookError> {
        JobBook::of_store(&self.store)
    }

    /// Job 1 ended with success, job 2 runs; jobs 3 to `n` are queued.
    fn busy(n: u64) -> Self {
        let shop = Self::new();
        let book = shop.open().unwrap();
        for _ in 1..=n {
            book.add(&task_of("ann"), &run("home"), at(1)).unwrap();
        }
        let this = run(shop.store.run_id());
        for number in [1, 2] {
            book.claim(id(number), &this, at(2)).unwrap();
            let worker = shop.worker(number, 1, Status::Running);
            book.started(id(number), &worker).unwrap();
        }
        shop.end_worker(1);
        book.finish(id(1), FinalStatus::Success, None, at(3))
            .unwrap();
        shop
    }

    fn worker(&self, job: u64, attempt: u32, status: Status) -> WorkerId {
        let worker = self
            .store
            .create_worker(NewWorker {
                job_id: Some(job),
                attempt: Some(attempt),
                owner: "ann".to_owned(),
                config: json!({"model": "gpt-5-mini", "timeout_seconds": 1.5}),
                ..NewWorker::new(format!("task {job}"))
            })
            .unwrap();
        worker
            .update(|it| {
                it.status = status;
                it.started_at = Some(at(2));
            })
            .unwrap();
        worker.id()
    }

    /// Ends the worker of a job behind the book's back.
    fn end_worker(&self, job: u64) {
        let path = self
            .store
            .data_dir()
            .join(format!("{SECOND}_task-{job}/metadata.json"));
        let mut metadata: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        metadata["status"] = json!("success");
        metadata["finished_at"] = json!(at(3));
        fs::write(&path, metadata.to_string()).unwrap();
    }

    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = fs::read(&self.book).unwrap();
        change(&mut bytes);
        fs::write(&self.book, &bytes).unwrap();
        bytes
    }

    fn break_index(&self, name: &str) {
        let root: usize = {
            let connection = Connection::open(&self.book).unwrap();
            let log_into_file = "PRAGMA wal_checkpoint(TRUNCATE)";
            connection.execute_batch(log_into_file).unwrap();
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            let root = connection.query_row(sql, [name], |row| row.get::<_, i64>(0));
            root.unwrap().try_into().unwrap()
        };
        self.damage(|it| it[(root - 1) * 4096..root * 4096].fill(0));
    }

    fn aside(&self) -> PathBuf {
        with_suffix(&self.book, &format!(".damaged-{SECOND}"))
    }

    fn own_files(&self) -> Vec<String> {
        let names = fs::read_dir(self.store.own_dir()).unwrap();
        let mut names: Vec<_> = names
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .filter(|it| it.starts_with("jobs"))
            .collect();
        names.sort();
        names
    }
}

fn open_store(dir: &Path) -> ArtifactStore {
    let clock = ManualClock::at("2025-12-15T04:08:08Z".parse().unwrap());
    let options = StoreOptions {
        clock: clock.clock(),
        ..StoreOptions::default()
    };
    ArtifactStore::open_with(dir, options).unwrap()
}

fn jobs(book: &JobBook) -> BTreeMap<u64, Job> {
    let jobs = book.list(&JobFilter::default()).unwrap();
    jobs.into_iter().map(|it| (it.id.get(), it)).collect()
}

fn statuses(book: &JobBook) -> Vec<(u64, JobStatus)> {
    jobs(book)
        .into_iter()
        .map(|(id, it)| (id, it.status))
        .collect()
}

fn next_number(book: &JobBook) -> u64 {
    let next = book.add(&task_of("ann"), &run("home"), at(9));
    next.unwrap().get()
}

#[test]
fn a_book_whose_header_is_overwritten_comes_back_whole() {
    let shop = Shop::busy(5);
    let before = jobs(&shop.open().unwrap());
    let damaged = shop.damage(|it| it[..100].fill(b'x'));
    let book = shop.open().unwrap();
    assert_eq!(jobs(&book), before);
    assert_eq!(book.queue_position(id(5)).unwrap(), Some(3));
    assert_eq!(fs::read(shop.aside()).unwrap(), damaged);

    let [recovery] = &book.recoveries()[..] else {
        panic!("{:?}", book.recoveries());
    };
    assert_eq!(recovery.moved_to, Some(shop.aside()));
    assert_eq!((recovery.from_book, recovery.from_workers), (5, 0));
    assert_eq!((recovery.queued, recovery.missing), (3, 0));
    let text = recovery.to_string();
    assert!(text.contains("file is not a database"), "{text}");
    assert!(text.ends_with("5 jobs came back: 5 from the old book, 0 from their workers; of these 3 wait in the queue."), "{text}");
    let report = fs::read_to_string(with_suffix(&shop.aside(), ".txt")).unwrap();
    assert_eq!(report, format!("{text}\n"));

    assert_eq!(next_number(&book), 6);
    drop(book);
    let again = shop.open().unwrap();
    assert_eq!((jobs(&again).len(), again.recoveries().len()), (6, 0));
}

#[test]
fn a_first_page_of_zeros_is_no_new_book() {
    let shop = Shop::busy(5);
    let before = jobs(&shop.open().unwrap());
    let damaged = shop.damage(|it| it[..4096].fill(0));
    let book = shop.open().unwrap();
    assert_eq!(jobs(&book), before);
    assert_eq!(fs::read(shop.aside()).unwrap(), damaged);
}

#[test]
fn of_a_book_of_garbage_the_started_jobs_come_back() {
    let shop = Shop::busy(5);
    let before = jobs(&shop.open().unwrap());
    shop.damage(|it| it.fill(b'x'));
    let book = shop.open().unwrap();
    let after = jobs(&book);
    assert_eq!(
        statuses(&book),
        [(1, JobStatus::Success), (2, JobStatus::Running)]
    );
    for (number, job) in &after {
        let known = &before[number];
        assert_eq!(job.worker_id, known.worker_id);
        assert_eq!((&job.owner, job.attempt), (&known.owner, known.attempt));
        assert_eq!(job.finished_at, known.finished_at);
        assert_eq!(job.model.as_deref(), Some("gpt-5-mini"));
        assert_eq!(job.timeout, Duration::from_millis(1500));
        assert_eq!(
            job.run.as_ref().map(super::super::RunId::as_str),
            Some(shop.store.run_id())
        );
    }
    let recovery = &book.recoveries()[0];
    assert_eq!((recovery.from_book, recovery.from_workers), (0, 2));
    // Of those that waited nothing is known, not even that they were given.
    assert_eq!(
        (recovery.queued, recovery.missing, recovery.highest),
        (0, 0, 2)
    );
    assert_eq!(next_number(&book), 3);
}

#[test]
fn numbers_without_a_row_or_a_worker_are_counted() {
    let shop = Shop::busy(5);
    shop.worker(9, 1, Status::Running);
    shop.damage(|it| it.fill(0));
    let book = shop.open().unwrap();
    let recovery = &book.recoveries()[0];
    assert_eq!((recovery.missing, recovery.highest), (6, 9));
    let text = recovery.to_string();
    assert!(
        text.contains("Without a worker or a readable row: 6 numbers up to 9,"),
        "{text}"
    );
    assert_eq!(next_number(&book), 10);
}

#[test]
fn numbers_go_on_above_those_of_jobs_that_were_removed() {
    let shop = Shop::busy(5);
    Connection::open(&shop.book)
        .unwrap()
        .execute_batch("DELETE FROM jobs WHERE id > 3")
        .unwrap();
    // The index alone is broken, so all rows are known, and nothing is missed.
    shop.break_index("jobs_by_status");
    let book = shop.open().unwrap();
    assert_eq!(next_number(&book), 6);
    let recovery = &book.recoveries()[0];
    assert_eq!((recovery.highest, recovery.missing), (5, 0));
}

#[test]
fn of_a_book_with_broken_pages_all_other_rows_come_back() {
    const N: u64 = 600;
    for broken in [1, 2] {
        let shop = Shop::busy(N);
        let leaves: Vec<usize> = {
            let connection = Connection::open(&shop.book).unwrap();
            // The pages by what they begin with: 13 is a leaf of a table. Page 3 is `sqlite_sequence`.
            connection
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                .unwrap();
            let bytes = fs::read(&shop.book).unwrap();
            let pages = bytes.chunks(4096).enumerate().skip(3);
            pages.filter(|(_, it)| it[0] == 13).map(|it| it.0).collect()
        };
        assert!(leaves.len() > 8, "{leaves:?}");
        shop.damage(|it| {
            // Not beside each other, so that whole rows lie between them.
            for page in [leaves[2], leaves[6]].iter().take(broken) {
                it[page * 4096..(page + 1) * 4096].fill(0);
            }
        });

        // Opening it does not look so deep; the first call that comes there mends it, and has its answer.
        let book = shop.open().unwrap();
        assert!(book.recoveries().is_empty());
        let back = statuses(&book);
        let recovery = &book.recoveries()[0];
        let n_back = back.len() as u64;
        assert!(n_back > N / 2 && n_back < N, "{n_back}");
        assert_eq!(recovery.missing, N - n_back);
        assert_eq!(recovery.highest, N);
        assert_eq!(back[0], (1, JobStatus::Success));
        assert_eq!(back[1], (2, JobStatus::Running));
        assert_eq!(back.last(), Some(&(N, JobStatus::Queued)));
        // The gaps are as many as the broken pages: what lies between two of them is there.
        let gaps = back.windows(2).filter(|it| it[1].0 != it[0].0 + 1);
        assert_eq!(gaps.count(), broken);
        assert_eq!(next_number(&book), N + 1);
        let check = JobBook::examine(&shop.book).unwrap().unwrap();
        assert_eq!((check.jobs, check.running), (n_back + 1, 1));
    }
}

#[test]
fn a_broken_index_costs_no_job() {
    let shop = Shop::busy(5);
    let before = jobs(&shop.open().unwrap());
    shop.break_index("jobs_by_owner");
    let book = shop.open().unwrap();
    let own = book.get(id(4), Some("ann")).unwrap();
    assert_eq!(own.as_ref(), before.get(&4));
    assert_eq!(book.recoveries()[0].missing, 0);
    assert_eq!(jobs(&book), before);
}

#[test]
fn a_book_that_became_empty_takes_over_the_workers() {
    for is_gone in [false, true] {
        let shop = Shop::busy(5);
        fs::write(&shop.book, "").unwrap();
        if is_gone {
            fs::remove_file(&shop.book).unwrap();
        }
        let book = shop.open().unwrap();
        assert_eq!(
            statuses(&book),
            [(1, JobStatus::Success), (2, JobStatus::Running)]
        );
        let recovery = &book.recoveries()[0];
        assert_eq!((&recovery.moved_to, recovery.from_workers), (&None, 2));
        let text = recovery.to_string();
        assert!(text.contains("was missing or empty"), "{text}");
        assert_eq!(next_number(&book), 3);
        assert!(shop.open().unwrap().recoveries().is_empty());
    }
}

#[test]
fn workers_without_jobs_are_not_looked_at_again_until_one_comes() {
    let shop = Shop::new();
    let last_change = |time| {
        let dir = fs::File::open(shop.store.data_dir()).unwrap();
        dir.set_modified(time).unwrap();
    };
    let before = SystemTime::now() - Duration::from_mins(5);
    shop.store.create_worker(NewWorker::new("alone")).unwrap();
    last_change(before);
    assert!(shop.open().unwrap().recoveries().is_empty());
    shop.worker(7, 1, Status::Success);
    last_change(before);
    assert!(shop.open().unwrap().recoveries().is_empty(), "looked again");
    last_change(before + Duration::from_mins(1));
    let book = shop.open().unwrap();
    assert_eq!(book.recoveries()[0].from_workers, 1);
    assert_eq!(next_number(&book), 8);
}

#[test]
fn a_worker_that_could_not_be_read_is_looked_at_again() {
    let shop = Shop::new();
    let worker = shop.worker(7, 1, Status::Success);
    let path = shop
        .store
        .data_dir()
        .join(worker.as_str())
        .join("metadata.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "{").unwrap();
    let dir = fs::File::open(shop.store.data_dir()).unwrap();
    let before = SystemTime::now() - Duration::from_mins(5);
    dir.set_modified(before).unwrap();
    assert!(shop.open().unwrap().recoveries().is_empty());
    fs::write(&path, whole).unwrap();
    assert_eq!(dir.metadata().unwrap().modified().unwrap(), before);
    let book = shop.open().unwrap();
    assert_eq!(next_number(&book), 8);
}

#[test]
fn a_new_book_has_nothing_to_tell() {
    let shop = Shop::new();
    let book = shop.open().unwrap();
    assert!(book.recoveries().is_empty());
    assert_eq!(next_number(&book), 1);
}

#[test]
fn the_log_of_a_book_cut_to_nothing_is_read_and_moved_with_it() {
    let shop = Shop::busy(5);
    // As a process leaves it that was killed: all of it is in the log yet.
    let log = {
        let open = shop.open().unwrap();
        next_number(&open);
        fs::read(with_suffix(&shop.book, "-wal")).unwrap()
    };
    fs::write(&shop.book, "").unwrap();
    fs::write(with_suffix(&shop.book, "-wal"), &log).unwrap();
    let book = shop.open().unwrap();
    let recovery = &book.recoveries()[0];
    assert!(
        recovery.reason.contains("its write-ahead log is not"),
        "{recovery:?}"
    );
    assert_eq!(fs::read(with_suffix(&shop.aside(), "-wal")).unwrap(), log);
    // The log holds the one page that was changed last, with all rows on it.
    let queued = jobs(&book);
    let queued: Vec<_> = queued
        .values()
        .filter(|it| it.status == JobStatus::Queued)
        .collect();
    assert_eq!((queued.len(), recovery.queued, recovery.highest), (4, 4, 6));
    assert_eq!(next_number(&book), 7);
}

#[test]
fn files_beside_a_damaged_book_are_not_taken_for_the_new_ones() {
    let shop = Shop::busy(5);
    for suffix in ["-wal", "-shm"] {
        fs::write(with_suffix(&shop.book, suffix), suffix).unwrap();
    }
    shop.damage(|it| it.fill(b'x'));
    let book = shop.open().unwrap();
    let aside = format!("jobs.sqlite.damaged-{SECOND}");
    let expected: Vec<_> = ["", "-shm", "-wal", ".txt"]
        .map(|it| format!("{aside}{it}"))
        .into();
    let files = shop.own_files();
    let moved: Vec<_> = files
        .iter()
        .filter(|it| it.starts_with(&aside))
        .cloned()
        .collect();
    assert_eq!(moved, expected, "{files:?}");
    assert_eq!(
        fs::read(with_suffix(&shop.aside(), "-wal")).unwrap(),
        b"-wal"
    );
    let new_log = fs::read(with_suffix(&shop.book, "-wal")).unwrap();
    assert_ne!(new_log, b"-wal");
    drop(book);

    // A second one of the same second gets a name of its own.
    shop.damage(|it| it.fill(b'y'));
    let book = shop.open().unwrap();
    let second = with_suffix(&shop.aside(), "-2");
    assert_eq!(book.recoveries()[0].moved_to.as_ref(), Some(&second));
    assert_eq!(fs::read(&second).unwrap()[0], b'y');
    let moved = JobBook::moved_aside(&shop.book).unwrap();
    let paths: Vec<_> = moved.iter().map(|it| it.path.clone()).collect();
    assert_eq!(paths, [shop.aside(), second]);
    assert_eq!(moved[1].report, Some(book.recoveries()[0].to_string()));
}

#[test]
fn what_a_worker_knows_is_newer_than_its_row() {
    let shop = Shop::new();
    let book = shop.open().unwrap();
    for _ in 1..=3 {
        next_number(&book);
    }
    // Both have started, and the pages with that are lost: job 1 at its second attempt.
    shop.worker(1, 2, Status::Running);
    shop.worker(1, 1, Status::Failed);
    shop.worker(2, 1, Status::Timeout);
    book.cancel_queued(id(3), at(3)).unwrap();
    drop(book);
    shop.damage(|it| it[..16].fill(0));
    let book = shop.open().unwrap();
    assert_eq!(
        statuses(&book),
        [
            (1, JobStatus::Running),
            (2, JobStatus::Timeout),
            (3, JobStatus::Cancelled)
        ]
    );
    let first = book.get(id(1), None).unwrap().unwrap();
    assert_eq!((first.attempt, first.spawned_by), (2, run("home")));
    assert!(book.claim_next(None, &run("me"), at(9)).unwrap().is_none());
}

#[test]
fn files_that_are_not_ours_to_mend_stay() {
    for sql in [
        "CREATE TABLE songs (name TEXT)",
        "PRAGMA application_id = 77",
        "PRAGMA application_id = 1951035234; PRAGMA user_version = 3; CREATE TABLE jobs (id)",
    ] {
        let shop = Shop::new();
        shop.worker(1, 1, Status::Success);
        Connection::open(&shop.book)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let before = fs::read(&shop.book).unwrap();
        let error = shop.open().unwrap_err();
        assert!(!error.is_damaged(), "{sql}: {error:?}");
        assert_eq!(fs::read(&shop.book).unwrap(), before, "{sql}");
        assert_eq!(shop.own_files(), ["jobs.sqlite", "jobs.sqlite.lock"]);
    }
}

#[test]
fn a_book_that_somebody_has_open_stays_where_it_is() {
    let shop = Shop::busy(5);
    let other = JobBook::open(&shop.book).unwrap();
    let damaged = shop.damage(|it| it[..100].fill(b'x'));
    let error = shop.open().unwrap_err();
    assert!(
        matches!(error, JobBookError::DamagedInUse { .. }),
        "{error:?}"
    );
    assert!(error.is_damaged() && error.to_string().contains("end the other programs"));
    assert_eq!(fs::read(&shop.book).unwrap(), damaged);
    drop(other);
    assert_eq!(shop.open().unwrap().recoveries().len(), 1);
}

#[test]
fn a_lock_is_no_damage() {
    let shop = Shop::busy(5);
    let book = shop.open().unwrap();
    book.lock().busy_timeout(Duration::from_millis(20)).unwrap();
    let other = JobBook::open(&shop.book).unwrap();
    other.lock().execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = book.add(&task_of("ann"), &run("home"), at(1)).unwrap_err();
    assert!(matches!(error, JobBookError::Busy { .. }), "{error:?}");
    other.lock().execute_batch("ROLLBACK").unwrap();
    assert!(JobBook::moved_aside(&shop.book).unwrap().is_empty());
    assert_eq!(next_number(&book), 6);
}

#[test]
fn of_many_that_open_a_damaged_book_one_mends_it_and_all_work() {
    for _ in 0..10 {
        let shop = Shop::busy(5);
        shop.damage(|it| it[..100].fill(b'x'));
        let barrier = Barrier::new(4);
        let (mut numbers, mut recoveries) = (Vec::new(), 0);
        thread::scope(|scope| {
            let openers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let store = open_store(shop.store.data_dir());
                        barrier.wait();
                        let book = JobBook::of_store(&store).unwrap();
                        (next_number(&book), book.recoveries().len())
                    })
                })
                .collect();
            for opener in openers {
                let (number, n_recoveries) = opener.join().unwrap();
                numbers.push(number);
                recoveries += n_recoveries;
            }
        });
        numbers.sort_unstable();
        assert_eq!((numbers, recoveries), (vec![6, 7, 8, 9], 1));
        assert_eq!(JobBook::moved_aside(&shop.book).unwrap().len(), 1);
    }
}

#[test]
fn two_that_find_the_damage_at_work_go_on_with_one_new_book() {
    let shop = Shop::busy(5);
    let books = [shop.open().unwrap(), shop.open().unwrap()];
    for book in &books {
        book.lock()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
    }
    // Behind the header, so that both notice at their next call.
    shop.damage(|it| it[4096..].fill(b'x'));
    let barrier = Barrier::new(2);
    let mut numbers = thread::scope(|scope| {
        let callers = books.each_ref().map(|book| {
            let barrier = &barrier;
            scope.spawn(move || {
                // Each lets go of the book for as long as the other needs it.
                let mut tries = 0;
                loop {
                    barrier.wait();
                    tries += 1;
                    let res = book.add(&task_of("ann"), &run("home"), at(1));
                    barrier.wait();
                    match res {
                        Ok(id) => return id.get(),
                        Err(error) => assert!(error.is_damaged() && tries < 3, "{error:?}"),
                    }
                }
            })
        });
        callers.map(|it| it.join().unwrap())
    });
    numbers.sort_unstable();
    let recoveries: usize = books.iter().map(|it| it.recoveries().len()).sum();
    assert_eq!(recoveries, 1);
    assert_eq!(numbers[1], numbers[0] + 1);
    assert_eq!(jobs(&books[0]), jobs(&books[1]));
}

#[test]
fn a_mending_that_was_killed_is_gone_on_with() {
    // Just before the end: the damaged book has its new name, the new one not yet.
    let shop = Shop::busy(5);
    let before = jobs(&shop.open().unwrap());
    fs::rename(&shop.book, with_suffix(&shop.book, READY)).unwrap();
    fs::write(with_suffix(&shop.book, "-wal"), "of the damaged one").unwrap();
    let book = shop.open().unwrap();
    assert_eq!(jobs(&book), before);
    assert!(book.recoveries().is_empty());
    assert_eq!(next_number(&book), 6);
    drop(book);

    // Before that: what it began is in the way of nothing.
    let damaged = shop.damage(|it| it[..100].fill(b'x'));
    for name in [READY, super::COPY] {
        for path in beside(&with_suffix(&shop.book, name)) {
            fs::write(path, "half of it").unwrap();
        }
    }
    let book = shop.open().unwrap();
    assert_eq!(jobs(&book).len(), 6);
    assert_eq!(fs::read(shop.aside()).unwrap(), damaged);
    drop(book);
    fs::write(with_suffix(&shop.book, READY), "left behind").unwrap();
    drop(shop.open().unwrap());
    let aside = format!("jobs.sqlite.damaged-{SECOND}");
    assert_eq!(
        shop.own_files(),
        [
            "jobs.sqlite".to_owned(),
            aside.clone(),
            format!("{aside}.txt"),
            "jobs.sqlite.lock".to_owned()
        ]
    );
}
