//! Several connections, threads and processes on one book.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    process::{Command, Stdio},
    sync::Barrier,
    thread,
};

use crate::jobs::{
    FinalStatus, JobBook, JobFilter, JobId, JobStatus,
    test_support::{TestBook, at, id, run, task_of},
};

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<JobBook>();
};

/// Claims until nothing is left, and ends what it claimed.
fn work(path: &Path, me: &str, owner: Option<&str>) -> Vec<JobId> {
    let (book, me) = (JobBook::open(path).unwrap(), run(me));
    let next = || book.claim_next(owner, &me, at(2));
    let mut claimed = Vec::new();
    while let Some(job) = next().unwrap() {
        assert_eq!((job.run.as_ref(), job.attempt), (Some(&me), 1));
        assert!(
            book.finish(job.id, FinalStatus::Success, Some(me.as_str()), at(3))
                .unwrap()
        );
        claimed.push(job.id);
    }
    claimed
}

#[test]
fn eight_connections_claim_each_of_500_jobs_once() {
    const JOBS: u64 = 500;
    let test = TestBook::new();
    for _ in 0..JOBS {
        test.add_shared("ann");
    }
    let barrier = Barrier::new(8);
    let claimed: Vec<(usize, JobId)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|worker| {
                let (path, barrier) = (&test.path, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    work(
                        path,
                        &worker.to_string(),
                        (worker % 2 == 0).then_some("ann"),
                    )
                })
            })
            .collect();
        let results = threads.into_iter().map(|it| it.join().unwrap());
        results
            .enumerate()
            .flat_map(|(worker, ids)| ids.into_iter().map(move |id| (worker, id)))
            .collect()
    });
    let by_id: BTreeMap<JobId, usize> = claimed.iter().map(|(worker, id)| (*id, *worker)).collect();
    assert_eq!(claimed.len(), 500);
    assert_eq!(
        by_id.keys().map(|it| it.get()).collect::<Vec<_>>(),
        (1..=JOBS).collect::<Vec<_>>()
    );
    for job in test.book.list(&JobFilter::default()).unwrap() {
        let worker = by_id[&job.id].to_string();
        assert_eq!(
            (job.status, job.run),
            (JobStatus::Success, Some(run(&worker)))
        );
        assert_eq!(job.error, Some(worker));
    }
}

/// Set for the processes that the next test starts: the book, then the process's name.
const CHILD: &str = "TRISCOPE_TEST_JOB_BOOK";

#[test]
fn four_processes_claim_each_job_once() {
    if let Some(path) = env::var_os(CHILD) {
        let me = env::var("TRISCOPE_TEST_RUN").unwrap();
        let book = JobBook::open(Path::new(&path)).unwrap();
        for _ in 0..25 {
            book.add_shared(&task_of("ann"), &run("home"), at(1))
                .unwrap();
        }
        work(Path::new(&path), &me, None);
        return;
    }
    // The book does not exist yet: they also race to make it.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.sqlite");
    let children: Vec<_> = (0..4)
        .map(|it| {
            Command::new(env::current_exe().unwrap())
                .args([
                    "--exact",
                    "jobs::book::race_tests::four_processes_claim_each_job_once",
                ])
                .env(CHILD, &path)
                .env("TRISCOPE_TEST_RUN", it.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let jobs = JobBook::open(&path)
        .unwrap()
        .list(&JobFilter::default())
        .unwrap();
    assert_eq!(jobs.len(), 100);
    for job in jobs {
        assert_eq!((job.status, job.attempt), (JobStatus::Success, 1));
        assert_eq!(
            job.error,
            job.run.map(|it| it.to_string()),
            "ended by who claimed it"
        );
    }
}

#[test]
fn threads_that_make_a_new_book_at_once_share_one() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.sqlite");
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let book = JobBook::open(&path).unwrap();
                    book.add(&task_of("ann"), &run("home"), at(1)).unwrap();
                });
            }
        });
        let jobs = JobBook::open(&path)
            .unwrap()
            .list(&JobFilter::default())
            .unwrap();
        assert_eq!(
            jobs.iter().map(|it| it.id.get()).collect::<Vec<_>>(),
            [8, 7, 6, 5, 4, 3, 2, 1]
        );
    }
}

#[test]
fn a_cancel_in_the_moment_of_success_leaves_one_end() {
    let test = TestBook::new();
    let other = JobBook::open(&test.path).unwrap();
    let mut wins = [0; 2];
    for round in 0..200 {
        let job_id = test.add("ann");
        test.book.claim(job_id, &run("home"), at(2)).unwrap();
        let barrier = Barrier::new(2);
        let (success, cancel) = thread::scope(|scope| {
            let success = scope.spawn(|| {
                barrier.wait();
                test.book
                    .finish(job_id, FinalStatus::Success, None, at(3))
                    .unwrap()
            });
            barrier.wait();
            other.request_cancel(job_id).unwrap();
            let cancel = other
                .finish(job_id, FinalStatus::Cancelled, Some("cancelled"), at(4))
                .unwrap();
            (success.join().unwrap(), cancel)
        });
        assert!(success ^ cancel, "round {round}: {success} {cancel}");
        wins[usize::from(cancel)] += 1;
        let job = test.book.get(job_id, None).unwrap().unwrap();
        let expected = if success {
            (JobStatus::Success, Some(at(3)), None)
        } else {
            (JobStatus::Cancelled, Some(at(4)), Some("cancelled"))
        };
        assert_eq!(
            (job.status, job.finished_at, job.error.as_deref()),
            expected,
            "{wins:?}"
        );
    }
}

#[test]
fn a_cancel_in_the_moment_of_a_claim_stops_it_or_reaches_it() {
    let test = TestBook::new();
    let other = JobBook::open(&test.path).unwrap();
    for round in 0..200 {
        let job_id = test.add("ann");
        let barrier = Barrier::new(2);
        let (claimed, cancelled, requested) = thread::scope(|scope| {
            let claimed = scope.spawn(|| {
                barrier.wait();
                test.book.claim(job_id, &run("home"), at(2)).unwrap()
            });
            barrier.wait();
            let cancelled = other.cancel_queued(job_id, at(3)).unwrap();
            let requested = !cancelled && other.request_cancel(job_id).unwrap();
            (claimed.join().unwrap(), cancelled, requested)
        });
        assert!(claimed ^ cancelled, "round {round}");
        assert_eq!(claimed, requested, "round {round}");
        let job = test.book.get(job_id, None).unwrap().unwrap();
        let expected = if claimed {
            JobStatus::Running
        } else {
            JobStatus::Cancelled
        };
        assert_eq!((job.status, job.cancel_requested), (expected, true));
    }
}

#[test]
fn a_reader_goes_on_while_another_connection_writes() {
    let test = TestBook::new();
    test.add("ann");
    let other = JobBook::open(&test.path).unwrap();
    let writer = other.lock();
    writer
        .execute_batch("BEGIN IMMEDIATE; UPDATE jobs SET task = 'changed'")
        .unwrap();
    let job = test.book.get(id(1), None).unwrap().unwrap();
    assert_eq!(job.task, "calculate 7*6");
    writer.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_book_that_stays_locked_is_said_to_be_busy() {
    let test = TestBook::new();
    test.book
        .lock()
        .busy_timeout(std::time::Duration::from_millis(20))
        .unwrap();
    let other = JobBook::open(&test.path).unwrap();
    other.lock().execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = test
        .book
        .add(&task_of("ann"), &run("home"), at(1))
        .unwrap_err();
    assert!(
        matches!(error, crate::JobBookError::Busy { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("jobs.sqlite"), "{error}");
    other.lock().execute_batch("ROLLBACK").unwrap();
    test.add("ann");
}
