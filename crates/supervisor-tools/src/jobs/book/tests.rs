//! Every method of the book, from one connection.

use std::time::Duration;

use metrics_core::{Timestamp, WorkerId};
use rusqlite::StatementStatus;
use serde_json::{Map, json};

use super::{CLAIM, CLAIM_NEXT, CLAIM_NEXT_OF, SELECT_BY_WORKER, SELECT_OWN, SELECT_OWN_BY_WORKER};
use crate::jobs::{
    FinalStatus, Job, JobBook, JobBookError, JobFilter, JobId, JobStatus, NewJob,
    test_support::{HOSTILE, TestBook, at, id, run, task_of},
};

#[test]
fn a_new_job_is_read_back_by_every_connection() {
    let test = TestBook::new();
    let settings = json!({"base_url": "http://localhost:11434/v1", "max_steps": 7});
    let settings = settings.as_object().unwrap().clone();
    let new = NewJob {
        owner: "ann".to_owned(),
        task: "back up".to_owned(),
        model: Some("offline-rules".to_owned()),
        timeout: Duration::from_millis(1_500),
        max_attempts: 3,
        settings: settings.clone(),
        traceparent: Some("00-a-b-01".to_owned()),
        parent_worker_id: Some("2025-12-15T04-08-08_parent".into()),
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
        is_shared: false,
        max_attempts: 3,
        settings,
        traceparent: Some("00-a-b-01".to_owned()),
        parent_worker_id: Some("2025-12-15T04-08-08_parent".into()),
    };
    assert_eq!(job_id, id(1));
    let other = JobBook::open(&test.path).unwrap();
    assert_eq!(other.path(), test.path);
    let shared = test.book.add_shared(&new, &run("home"), at(7)).unwrap();
    let also = Job {
        id: shared,
        is_shared: true,
        ..expected.clone()
    };
    assert_eq!(other.get(job_id, Some("ann")).unwrap(), Some(expected));
    assert_eq!(other.get(shared, Some("ann")).unwrap(), Some(also));
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
fn a_job_that_is_begun_at_once_was_never_in_a_line() {
    let test = TestBook::new();
    let job = test
        .book
        .add_running(&NewJob::new("ann", "x"), &run("home"), at(7));
    let job = job.unwrap();
    assert_eq!((job.id, job.status), (id(1), JobStatus::Running));
    assert_eq!(
        (&job.run, &job.spawned_by),
        (&Some(run("home")), &run("home"))
    );
    assert_eq!(
        (job.created_at, job.started_at, job.attempt),
        (at(7), Some(at(7)), 1)
    );
    assert_eq!(test.book.get(job.id, None).unwrap(), Some(job));
    assert!(!test.book.claim(id(1), &run("two"), at(8)).unwrap());
    assert_eq!(test.book.share_line_of(&run("home")).unwrap(), 0);
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
        let job_id = test.add_shared("ann");
        assert!(test.book.finish(job_id, status, None, at(2)).unwrap());
        let job = test.book.get(job_id, None).unwrap().unwrap();
        assert_eq!((job.status.as_str(), job.attempt), (text, 0));
    }
    assert_eq!(
        test.book.claim_next(None, &run("one"), at(3)).unwrap(),
        None
    );
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

/// Claims until nothing is left; whose the jobs were, in order.
fn claim_all(test: &TestBook) -> Vec<(String, u64)> {
    let next = || test.book.claim_next(None, &run("taker"), at(3)).unwrap();
    let jobs = std::iter::from_fn(next);
    jobs.map(|it| {
        assert_eq!(it.status, JobStatus::Running);
        assert_eq!((it.run, it.started_at), (Some(run("taker")), Some(at(3))));
        assert_eq!((it.attempt, it.is_shared), (1, true));
        (it.owner, it.id.get())
    })
    .collect()
}

#[test]
fn owners_have_turns_and_each_ones_oldest_job_is_first() {
    let test = TestBook::new();
    for owner in ["bob", "bob", "bob", "ann", "bob", "", "ann", "\u{1f600}"] {
        test.add_shared(owner);
    }
    let own = test.add("ann"); // Its own process runs that one.
    let expected = [
        // Nobody had a turn before, and the owner without a name is the first of all.
        ("ann", 4),
        ("bob", 1),
        ("\u{1f600}", 8),
        ("", 6),
        ("ann", 7),
        ("bob", 2),
        ("bob", 3),
        ("bob", 5),
    ];
    let claimed = claim_all(&test);
    let claimed: Vec<_> = claimed.iter().map(|(it, id)| (&**it, *id)).collect();
    assert_eq!(claimed, expected);
    let own = test.book.get(own, None).unwrap().unwrap();
    assert_eq!(own.status, JobStatus::Queued);
}

#[test]
fn an_owner_with_ten_thousand_jobs_does_not_starve_one_with_three() {
    let test = TestBook::new();
    test.without_disk();
    test.add_many_shared("crowd", 10_000);
    for _ in 0..50 {
        test.book.claim_next(None, &run("taker"), at(2)).unwrap();
    }
    let few: Vec<_> = (0..3).map(|_| test.add_shared("few")).collect();
    let places: Vec<_> = few
        .iter()
        .map(|it| test.book.queue_position(*it).unwrap())
        .collect();
    assert_eq!(places, [Some(1), Some(3), Some(5)]);
    let mut turns = Vec::new();
    for _ in 0..6 {
        let job = test.book.claim_next(None, &run("taker"), at(2)).unwrap();
        turns.push(job.unwrap().owner);
    }
    assert_eq!(turns, ["few", "crowd", "few", "crowd", "few", "crowd"]);
}

#[test]
fn the_place_in_the_shared_line_is_when_its_turn_comes() {
    let test = TestBook::new();
    for owner in ["bob", "ann", "bob", "cem", "bob", "cem", "ann", "bob"] {
        test.add_shared(owner);
    }
    test.book.claim_next(None, &run("taker"), at(2)).unwrap(); // The turn is somebody's now.
    let mut places: Vec<(u64, u64)> = Vec::new();
    for job in test.book.list(&JobFilter::default()).unwrap() {
        let place = test.book.queue_position(job.id).unwrap();
        places.extend(place.map(|it| (it, job.id.get())));
    }
    places.sort_unstable();
    let claimed = claim_all(&test).into_iter().map(|(_, id)| id);
    let expected: Vec<_> = (1..).zip(claimed).collect();
    assert_eq!(places, expected);
}

#[test]
fn a_process_may_take_the_jobs_of_one_owner_alone() {
    let test = TestBook::new();
    for owner in ["ann", "bob", "ann"] {
        test.add_shared(owner);
    }
    let next = |owner| {
        let job = test.book.claim_next(Some(owner), &run("taker"), at(2));
        job.unwrap().map(|it| it.id.get())
    };
    assert_eq!(next("cem"), None);
    assert_eq!(
        [next("ann"), next("ann"), next("ann")],
        [Some(1), Some(3), None]
    );
    assert_eq!(next("bob"), Some(2));
}

#[test]
fn a_job_is_put_back_into_the_line_while_it_has_attempts_left() {
    let test = TestBook::new();
    let new = NewJob {
        max_attempts: 2,
        ..task_of("ann")
    };
    let job_id = test.book.add(&new, &run("home"), at(1)).unwrap();
    assert!(
        !test.book.requeue(job_id, &run("home")).unwrap(),
        "it waits"
    );
    test.book.claim(job_id, &run("home"), at(2)).unwrap();
    test.book.started(job_id, &"first".into()).unwrap();
    assert!(
        !test.book.requeue(job_id, &run("other")).unwrap(),
        "not its"
    );
    assert!(test.book.repeated().unwrap().is_empty());

    assert!(test.book.requeue(job_id, &run("home")).unwrap());
    let job = test.book.get(job_id, None).unwrap().unwrap();
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 1));
    assert_eq!((job.run, job.worker_id, job.started_at), (None, None, None));
    assert!(job.is_shared, "whoever takes jobs may run it");
    assert_eq!(test.book.repeated().unwrap(), [(job_id, 2)]);

    let job = test.book.claim_next(None, &run("taker"), at(3)).unwrap();
    assert_eq!(job.unwrap().attempt, 2);
    assert_eq!(test.book.repeated().unwrap(), [(job_id, 2)]);
    assert!(
        !test.book.requeue(job_id, &run("taker")).unwrap(),
        "no more"
    );
}

#[test]
fn a_job_that_somebody_wants_to_end_is_not_begun_again() {
    let test = TestBook::new();
    let new = NewJob {
        max_attempts: 9,
        ..task_of("ann")
    };
    let job_id = test.book.add_shared(&new, &run("home"), at(1)).unwrap();
    let taker = run("taker");
    test.book.claim_next(None, &taker, at(2)).unwrap();
    assert!(test.book.cancel_requests_of(&taker).unwrap().is_empty());
    assert!(test.book.request_cancel(job_id).unwrap());
    assert_eq!(test.book.cancel_requests_of(&taker).unwrap(), [job_id]);
    assert!(
        test.book
            .cancel_requests_of(&run("home"))
            .unwrap()
            .is_empty()
    );
    assert!(!test.book.requeue(job_id, &taker).unwrap());
}

#[test]
fn the_line_of_a_process_moves_into_the_shared_one() {
    let test = TestBook::new();
    let other = run("other");
    let (first, second) = (test.add("ann"), test.add("bob"));
    let kept = test.book.add(&task_of("ann"), &other, at(1)).unwrap();
    assert_eq!(test.book.runs_with_lines().unwrap(), [run("home"), other]);
    assert_eq!(test.book.share_line_of(&run("home")).unwrap(), 2);
    assert_eq!(test.book.share_line_of(&run("home")).unwrap(), 0);
    assert_eq!(test.book.runs_with_lines().unwrap(), [run("other")]);
    let claimed: Vec<_> = claim_all(&test).into_iter().map(|(_, id)| id).collect();
    assert_eq!(claimed, [first.get(), second.get()]);
    assert_eq!(test.book.queue_position(kept).unwrap(), Some(1));
}

#[test]
fn who_runs_and_who_takes_jobs_is_told() {
    let test = TestBook::new();
    let (one, two) = (run("one"), run("two"));
    for taker in [&one, &one, &two] {
        let job_id = test.add_shared("ann");
        test.book.claim(job_id, taker, at(2)).unwrap();
    }
    assert_eq!(
        test.book.runs_with_jobs().unwrap(),
        [one.clone(), two.clone()]
    );
    let running = test.book.running_of(&one).unwrap();
    assert_eq!(
        running.iter().map(|it| it.id).collect::<Vec<_>>(),
        [id(1), id(2)]
    );

    test.book.add_taker(&one, None).unwrap();
    test.book.add_taker(&one, None).unwrap();
    test.book.add_taker(&two, Some("ann")).unwrap();
    assert_eq!(test.book.takers(None).unwrap(), [one.clone(), two.clone()]);
    assert_eq!(test.book.takers(Some("ann")).unwrap(), [one.clone(), two]);
    assert_eq!(test.book.takers(Some("bob")).unwrap(), [run("one")]);
    test.book.remove_taker(&one).unwrap();
    assert!(test.book.takers(Some("bob")).unwrap().is_empty());
}

#[test]
fn the_version_changes_with_what_others_write_and_not_by_itself() {
    let test = TestBook::new();
    let other = JobBook::open(&test.path).unwrap();
    let before = other.version().unwrap();
    other.get(id(1), None).unwrap();
    assert_eq!(other.version().unwrap(), before);
    test.add("ann");
    let after = other.version().unwrap();
    assert_ne!(after, before);
    assert_eq!(other.version().unwrap(), after);
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
            model: Some(text.to_owned()),
            timeout: Duration::ZERO,
            settings: Map::from_iter([(text.to_owned(), json!(text))]),
            traceparent: Some(text.to_owned()),
            parent_worker_id: Some(text.into()),
            ..NewJob::new(text, text)
        };
        let own = test.book.add(&new, &run(text), at(1)).unwrap();
        let position = test.book.queue_position(own).unwrap();
        assert_eq!(position, Some(1), "{text:?} has a line of its own");
        let job_id = test.book.add_shared(&new, &run(text), at(1)).unwrap();
        let claimed = test.book.claim_next(Some(text), &run(text), at(2)).unwrap();
        assert_eq!(claimed.unwrap().id, job_id);
        test.book.cancel_queued(own, at(2)).unwrap();
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
        assert_eq!(test.book.list(&own).unwrap().len(), 2, "{text:?}");
        assert_eq!(job.settings, new.settings);
        assert_eq!(job.traceparent.as_deref(), Some(text));
        assert_eq!(job.parent_worker_id, new.parent_worker_id);
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
    test.without_disk(); // Steps are counted here, not seconds.
    for owner in ["ann", "bob", "cem"] {
        test.add_many_shared(owner, 3_334);
    }
    let cost_of_next = |owner: Option<&str>| {
        let job = test.book.claim_next(owner, &run("me"), at(2)).unwrap();
        assert!(job.is_some());
        let connection = test.book.lock();
        let sql = if owner.is_some() {
            CLAIM_NEXT_OF
        } else {
            CLAIM_NEXT
        };
        let statement = connection.prepare_cached(sql).unwrap();
        statement.reset_status(StatementStatus::VmStep)
    };
    let costs: Vec<_> = (0..6_100)
        .map(|n| cost_of_next((n % 8 == 7).then_some("ann")))
        .collect();
    let (early, late) = (&costs[8..108], &costs[6_000..6_100]);
    assert!(early.iter().all(|it| *it > 0));
    let (early, late) = (early.iter().max(), late.iter().max());
    assert!(
        late <= early.map(|it| it + 20).as_ref(),
        "{early:?} {late:?}"
    );
}

#[test]
fn no_claim_or_look_up_reads_more_than_its_own_row() {
    let test = TestBook::new();
    let connection = test.book.lock();
    for (sql, index) in [
        (CLAIM, "INTEGER PRIMARY KEY (rowid=?)"),
        (CLAIM_NEXT_OF, "jobs_to_take (owner=?)"),
        (CLAIM_NEXT, "jobs_to_take (owner>?)"),
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
        // The first entry of the index of what may be taken, and the one row that says whose turn it is.
        let plan = plan.replace("SCAN jobs USING COVERING INDEX jobs_to_take", "FIRST");
        let plan = plan.replace("SCAN turn", "TURN");
        assert!(!plan.contains("SCAN"), "{sql}\n{plan}");
        // The jobs of one worker are few enough to sort.
        assert!(
            !plan.contains("B-TREE") || index.contains("worker"),
            "{sql}\n{plan}"
        );
    }
}
