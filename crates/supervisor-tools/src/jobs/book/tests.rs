//! Every method of the book, from one connection.

use std::time::Duration;

use metrics_core::{Timestamp, WorkerId};
use rusqlite::StatementStatus;

use super::{
    CLAIM, CLAIM_NEXT_ANY, CLAIM_NEXT_OF, SELECT_BY_WORKER, SELECT_OWN, SELECT_OWN_BY_WORKER,
};
use crate::jobs::{
    FinalStatus, Job, JobBook, JobBookError, JobFilter, JobId, JobStatus, NewJob,
    test_support::{HOSTILE, TestBook, at, id, run, task_of},
};

#[test]
fn a_new_job_is_read_back_by_every_connection() {
    let test = TestBook::new();
    let new = NewJob {
        owner: "ann".to_owned(),
        task: "back up".to_owned(),
        model: Some("offline-rules".to_owned()),
        timeout: Duration::from_millis(1_500),
    };
    let job_id = test.book.add(&new, &run("home"), at(7)).unwrap();
    let expected = Job {
        id: job_id,
        owner: "ann".to_owned(),
        task: "back up".to_owned(),
        model: Some("offline-rules".to_owned()),
        timeout: Duration::from_millis(1_500),
        status: JobStatus::Queued,
        worker_id: None,
        spawned_by: run("home"),
        run: None,
        attempt: 0,
        created_at: at(7),
        started_at: None,
        finished_at: None,
        error: None,
        cancel_requested: false,
    };
    assert_eq!(job_id, id(1));
    let other = JobBook::open(&test.path).unwrap();
    assert_eq!(other.path(), test.path);
    assert_eq!(other.get(job_id, Some("ann")).unwrap(), Some(expected));
}

#[test]
fn a_job_goes_from_the_line_to_its_end() {
    let test = TestBook::new();
    let job_id = test.add("ann");
    let worker = WorkerId::from("2025-12-15T04-08-08_backup");

    assert!(
        !test.book.started(job_id, &worker).unwrap(),
        "not claimed yet"
    );
    assert!(test.book.claim(job_id, &run("one"), at(2)).unwrap());
    assert!(!test.book.claim(job_id, &run("two"), at(3)).unwrap());
    assert!(test.book.started(job_id, &worker).unwrap());
    assert!(
        test.book
            .finish(job_id, FinalStatus::Failed, Some("no room"), at(4))
            .unwrap()
    );

    // The first end stands, and nothing begins again.
    assert!(
        !test
            .book
            .finish(job_id, FinalStatus::Success, None, at(5))
            .unwrap()
    );
    assert!(!test.book.claim(job_id, &run("two"), at(5)).unwrap());
    assert!(!test.book.started(job_id, &"other".into()).unwrap());
    assert!(!test.book.cancel_queued(job_id, at(5)).unwrap());
    assert!(!test.book.request_cancel(job_id).unwrap());

    let job = test.book.get(job_id, None).unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.worker_id, Some(worker));
    assert_eq!((job.run, job.attempt), (Some(run("one")), 1));
    assert_eq!(
        (job.started_at, job.finished_at),
        (Some(at(2)), Some(at(4)))
    );
    assert_eq!(job.error.as_deref(), Some("no room"));
    assert!(!job.cancel_requested);
}

#[test]
fn a_queued_job_can_end_without_running() {
    let test = TestBook::new();
    for (status, text) in [
        (FinalStatus::Success, "success"),
        (FinalStatus::Failed, "failed"),
        (FinalStatus::Timeout, "timeout"),
        (FinalStatus::Cancelled, "cancelled"),
    ] {
        let job_id = test.add("ann");
        assert!(test.book.finish(job_id, status, None, at(2)).unwrap());
        let job = test.book.get(job_id, None).unwrap().unwrap();
        assert_eq!((job.status.as_str(), job.attempt), (text, 0));
    }
    assert_eq!(test.book.claim_next_any(&run("one"), at(3)).unwrap(), None);
}

#[test]
fn a_book_is_unused_until_its_first_job() {
    let test = TestBook::new();
    assert!(test.book.is_unused().unwrap());
    test.add("ann");
    assert!(!test.book.is_unused().unwrap());
    // A number counts even if its job is not the first.
    let test = TestBook::new();
    test.book.continue_above(id(7)).unwrap();
    assert!(!test.book.is_unused().unwrap());
    assert_eq!(test.add("ann"), id(8));
}

#[test]
fn a_process_cancels_what_waits_in_its_own_line() {
    let test = TestBook::new();
    let (running, waiting, other) = (test.add("ann"), test.add("bob"), {
        let job = task_of("ann");
        test.book.add(&job, &run("elsewhere"), at(1)).unwrap()
    });
    test.book.claim(running, &run("home"), at(2)).unwrap();
    let home = run("home");
    assert_eq!(test.book.cancel_all_queued_of(&home, at(3)).unwrap(), 1);
    assert_eq!(test.book.cancel_all_queued_of(&home, at(4)).unwrap(), 0);
    let status = |id| test.book.get(id, None).unwrap().unwrap().status;
    assert_eq!(
        [running, waiting, other].map(status),
        [JobStatus::Running, JobStatus::Cancelled, JobStatus::Queued]
    );
    let job = test.book.get(waiting, None).unwrap().unwrap();
    assert_eq!(job.finished_at, Some(at(3)));
}

#[test]
fn a_job_of_another_owner_is_not_there() {
    let test = TestBook::new();
    let job_id = test.add("ann");
    test.book.claim(job_id, &run("home"), at(2)).unwrap();
    test.book.started(job_id, &"w".into()).unwrap();

    for (owner, expected) in [
        (Some("ann"), true),
        (None, true),
        (Some("bob"), false),
        (Some("Ann"), false),
    ] {
        assert_eq!(
            test.book.get(job_id, owner).unwrap().is_some(),
            expected,
            "{owner:?}"
        );
        assert_eq!(
            test.book.by_worker(&"w".into(), owner).unwrap().is_some(),
            expected,
            "{owner:?}"
        );
    }
    assert_eq!(test.book.get(id(2), None).unwrap(), None);
    assert_eq!(test.book.get(JobId::MAX, Some("ann")).unwrap(), None);
    assert_eq!(test.book.by_worker(&"W".into(), None).unwrap(), None);
}

#[test]
fn unknown_jobs_are_refused_in_words_not_faults() {
    let test = TestBook::new();
    let unknown = id(99);
    assert!(!test.book.claim(unknown, &run("one"), at(1)).unwrap());
    assert!(!test.book.started(unknown, &"w".into()).unwrap());
    assert!(
        !test
            .book
            .finish(unknown, FinalStatus::Success, None, at(1))
            .unwrap()
    );
    assert!(!test.book.cancel_queued(unknown, at(1)).unwrap());
    assert!(!test.book.request_cancel(unknown).unwrap());
    assert!(!test.book.cancel_requested(unknown).unwrap());
    assert_eq!(test.book.queue_position(unknown).unwrap(), None);
}

#[test]
fn jobs_are_listed_newest_first_through_every_filter() {
    let test = TestBook::new();
    for (owner, second) in [("ann", 1), ("bob", 2), ("ann", 3), ("ann", 4), ("bob", 5)] {
        test.book
            .add(&task_of(owner), &run("home"), at(second))
            .unwrap();
    }
    test.book.claim(id(3), &run("home"), at(6)).unwrap();
    let list = |filter: JobFilter<'_>| -> Vec<u64> {
        let jobs = test.book.list(&filter).unwrap();
        jobs.iter().map(|it| it.id.get()).collect()
    };
    let all = JobFilter::default();
    let ann = JobFilter {
        owner: Some("ann"),
        ..all
    };
    let queued = Some(JobStatus::Queued);
    assert_eq!(list(all), [5, 4, 3, 2, 1]);
    assert_eq!(list(ann), [4, 3, 1]);
    assert_eq!(
        list(JobFilter {
            status: queued,
            ..all
        }),
        [5, 4, 2, 1]
    );
    assert_eq!(
        list(JobFilter {
            status: queued,
            ..ann
        }),
        [4, 1]
    );
    assert_eq!(
        list(JobFilter {
            since: Some(at(3)),
            ..all
        }),
        [5, 4, 3]
    );
    assert_eq!(
        list(JobFilter {
            since: Some(at(3)),
            status: queued,
            ..ann
        }),
        [4]
    );
    assert_eq!(
        list(JobFilter {
            limit: Some(2),
            ..all
        }),
        [5, 4]
    );
    assert_eq!(
        list(JobFilter {
            limit: Some(1),
            since: Some(at(2)),
            ..ann
        }),
        [4]
    );
    assert_eq!(
        list(JobFilter {
            limit: Some(0),
            ..all
        }),
        [0; 0]
    );
    assert_eq!(
        list(JobFilter {
            limit: Some(usize::MAX),
            ..all
        })
        .len(),
        5
    );
    assert_eq!(
        list(JobFilter {
            owner: Some("' OR 1=1 --"),
            ..all
        }),
        [0; 0]
    );
}

#[test]
fn a_process_takes_its_own_jobs_in_order_and_a_helper_takes_any() {
    let test = TestBook::new();
    for spawner in ["one", "two", "one", "two"] {
        test.book
            .add(&task_of("ann"), &run(spawner), at(1))
            .unwrap();
    }
    let next_of = |spawner: &str| {
        let job = test
            .book
            .claim_next_of(&run(spawner), &run("me"), at(2))
            .unwrap();
        job.map(|it| {
            assert_eq!(
                (it.status, it.run, it.attempt),
                (JobStatus::Running, Some(run("me")), 1)
            );
            assert_eq!((it.spawned_by, it.started_at), (run(spawner), Some(at(2))));
            it.id.get()
        })
    };
    assert_eq!(next_of("nobody"), None);
    assert_eq!(next_of("two"), Some(2));
    let any = test
        .book
        .claim_next_any(&run("helper"), at(3))
        .unwrap()
        .unwrap();
    assert_eq!(
        (any.id, any.spawned_by, any.run),
        (id(1), run("one"), Some(run("helper")))
    );
    assert_eq!(next_of("two"), Some(4));
    assert_eq!(next_of("two"), None);
    assert_eq!(next_of("one"), Some(3));
    assert_eq!(
        test.book.claim_next_any(&run("helper"), at(4)).unwrap(),
        None
    );
}

#[test]
fn the_place_in_line_counts_the_queued_jobs_of_one_process() {
    let test = TestBook::new();
    for spawner in ["one", "two", "one", "one"] {
        test.book
            .add(&task_of("ann"), &run(spawner), at(1))
            .unwrap();
    }
    let places = || [1, 2, 3, 4].map(|it| test.book.queue_position(id(it)).unwrap());
    assert_eq!(places(), [Some(1), Some(1), Some(2), Some(3)]);
    test.book.claim(id(1), &run("one"), at(2)).unwrap();
    assert_eq!(places(), [None, Some(1), Some(1), Some(2)]);
    test.book.cancel_queued(id(3), at(2)).unwrap();
    assert_eq!(places(), [None, Some(1), None, Some(1)]);
}

#[test]
fn cancelling_ends_a_queued_job_and_asks_a_running_one() {
    let test = TestBook::new();
    let (queued, running) = (test.add("ann"), test.add("ann"));
    test.book.claim(running, &run("home"), at(2)).unwrap();

    assert!(!test.book.request_cancel(queued).unwrap());
    assert!(test.book.cancel_queued(queued, at(3)).unwrap());
    assert!(!test.book.cancel_queued(queued, at(4)).unwrap());
    let job = test.book.get(queued, None).unwrap().unwrap();
    assert_eq!(
        (job.status, job.finished_at),
        (JobStatus::Cancelled, Some(at(3)))
    );

    assert!(!test.book.cancel_queued(running, at(3)).unwrap());
    assert!(!test.book.cancel_requested(running).unwrap());
    assert!(test.book.request_cancel(running).unwrap());
    assert!(
        test.book.request_cancel(running).unwrap(),
        "asking twice does no harm"
    );
    assert!(
        JobBook::open(&test.path)
            .unwrap()
            .cancel_requested(running)
            .unwrap()
    );
    let job = test.book.get(running, None).unwrap().unwrap();
    assert_eq!(
        (job.status, job.cancel_requested),
        (JobStatus::Running, true)
    );

    // A worker that was done already keeps its success.
    assert!(
        test.book
            .finish(running, FinalStatus::Success, None, at(5))
            .unwrap()
    );
    assert_eq!(
        test.book.get(running, None).unwrap().unwrap().status,
        JobStatus::Success
    );
}

#[test]
fn a_new_book_continues_above_the_workers_that_are_there() {
    let test = TestBook::new();
    test.book.continue_above(id(41)).unwrap();
    test.book.continue_above(id(7)).unwrap(); // Never back.
    assert_eq!(test.add("ann"), id(42));
    JobBook::open(&test.path)
        .unwrap()
        .continue_above(id(100))
        .unwrap();
    assert_eq!(test.add("ann"), id(101));
    assert_eq!(test.book.get(id(100), None).unwrap(), None);
}

#[test]
fn numbers_run_out_without_a_panic_or_a_half_job() {
    let test = TestBook::new();
    test.book.continue_above(id(JobId::MAX.get() - 1)).unwrap();
    assert_eq!(test.add("ann"), JobId::MAX);
    for _ in 0..2 {
        let error = test
            .book
            .add(&task_of("ann"), &run("home"), at(1))
            .unwrap_err();
        assert!(
            matches!(error, JobBookError::NoNumberLeft { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("9007199254740991"), "{error}");
    }
    assert_eq!(test.book.list(&JobFilter::default()).unwrap().len(), 1);
}

#[test]
fn hostile_texts_are_kept_as_they_are_in_every_field() {
    let test = TestBook::new();
    let megabyte = "\u{1f600}\0'".repeat(1 << 18);
    for text in HOSTILE.iter().copied().chain([megabyte.as_str()]) {
        let new = NewJob {
            owner: text.to_owned(),
            task: text.to_owned(),
            model: Some(text.to_owned()),
            timeout: Duration::ZERO,
        };
        let job_id = test.book.add(&new, &run(text), at(1)).unwrap();
        let position = test.book.queue_position(job_id).unwrap();
        assert_eq!(position, Some(1), "{text:?} has a line of its own");
        let claimed = test
            .book
            .claim_next_of(&run(text), &run(text), at(2))
            .unwrap();
        assert_eq!(claimed.unwrap().id, job_id);
        assert!(test.book.started(job_id, &text.into()).unwrap());
        assert!(
            test.book
                .finish(job_id, FinalStatus::Failed, Some(text), at(3))
                .unwrap()
        );

        let job = test.book.get(job_id, Some(text)).unwrap().unwrap();
        assert_eq!([&job.owner, &job.task, job.spawned_by.as_str()], [text; 3]);
        assert_eq!([job.model.unwrap(), job.error.unwrap()], [text; 2]);
        assert_eq!(job.run.unwrap().as_str(), text);
        assert_eq!(job.worker_id.unwrap().as_str(), text);
        assert_eq!(
            test.book
                .by_worker(&text.into(), Some(text))
                .unwrap()
                .unwrap()
                .id,
            job_id
        );
        let own = JobFilter {
            owner: Some(text),
            ..JobFilter::default()
        };
        assert_eq!(test.book.list(&own).unwrap().len(), 1, "{text:?}");
    }
}

#[test]
fn extreme_times_are_kept_in_range() {
    let test = TestBook::new();
    for (now, timeout) in [
        (Timestamp::MIN, Duration::ZERO),
        (Timestamp::MAX, Duration::MAX),
        (at(-1), Duration::from_nanos(1_999)),
    ] {
        let job_id = test
            .book
            .add(
                &NewJob {
                    timeout,
                    ..task_of("ann")
                },
                &run("home"),
                now,
            )
            .unwrap();
        let job = test.book.get(job_id, None).unwrap().unwrap();
        assert_eq!(job.created_at, now);
        let kept = u64::try_from(timeout.as_micros())
            .unwrap_or(u64::MAX)
            .min(i64::MAX as u64);
        assert_eq!(job.timeout, Duration::from_micros(kept));
    }
}

#[test]
fn a_row_that_we_never_wrote_is_damage() {
    for change in [
        "UPDATE jobs SET timeout_us = -1",
        "UPDATE jobs SET attempt = -1",
        "UPDATE jobs SET id = -5",
        "UPDATE jobs SET id = 9007199254740992",
        "PRAGMA ignore_check_constraints = 1; UPDATE jobs SET status = 'odd'",
        "UPDATE jobs SET task = CAST(x'ff' AS TEXT)",
    ] {
        let test = TestBook::new();
        test.add("ann");
        test.book.lock().execute_batch(change).unwrap();
        let error = test.book.list(&JobFilter::default()).unwrap_err();
        assert!(error.is_damaged(), "{change}: {error:?}");
    }
}

#[test]
fn claiming_costs_the_same_at_the_end_of_a_long_line() {
    let test = TestBook::new();
    let off = "PRAGMA synchronous = OFF"; // Steps are counted here, not seconds.
    test.book.lock().execute_batch(off).unwrap();
    for _ in 0..2_000 {
        test.add("ann");
    }
    let cost_of_next = |sql, turn: u64| {
        let me = run("me");
        let job = match sql {
            CLAIM_NEXT_OF => test.book.claim_next_of(&run("home"), &me, at(2)),
            _ => test.book.claim_next_any(&me, at(2)),
        };
        assert_eq!(job.unwrap().unwrap().id, id(turn));
        let connection = test.book.lock();
        let statement = connection.prepare_cached(sql).unwrap();
        statement.reset_status(StatementStatus::VmStep)
    };
    let costs: Vec<_> = [CLAIM_NEXT_OF, CLAIM_NEXT_ANY]
        .into_iter()
        .cycle()
        .zip(1..=2_000)
        .map(|(sql, turn)| cost_of_next(sql, turn))
        .collect();
    // Neither the first two nor the last two have a neighbour on both sides.
    for (early, late) in costs[2..4].iter().zip(&costs[1_994..1_996]) {
        assert!(*early > 0 && late.abs_diff(*early) <= 20, "{early} {late}");
    }
}

#[test]
fn no_claim_or_look_up_reads_more_than_its_own_row() {
    let test = TestBook::new();
    let connection = test.book.lock();
    for (sql, index) in [
        (CLAIM, "INTEGER PRIMARY KEY (rowid=?)"),
        (CLAIM_NEXT_OF, "jobs_in_line (spawned_by=?)"),
        (CLAIM_NEXT_ANY, "jobs_by_status (status=?)"),
        (SELECT_OWN, "jobs_by_owner (owner=? AND rowid=?)"),
        (SELECT_BY_WORKER, "jobs_by_worker (worker_id=?)"),
        (
            SELECT_OWN_BY_WORKER,
            "jobs_by_worker (worker_id=? AND owner=?)",
        ),
    ] {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = statement
            .raw_query()
            .mapped(|row| row.get::<_, String>("detail"));
        let plan = steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n");
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN"), "{sql}\n{plan}");
        // The jobs of one worker are few enough to sort.
        assert!(
            !plan.contains("B-TREE") || index.contains("worker"),
            "{sql}\n{plan}"
        );
    }
}
