//! `list_workers` and `grep_workers`.

use std::{fs, time::Duration};

use artifact_store::{NewWorker, Status};
use insta::assert_snapshot;
use serde_json::json;

use super::support::Office;
use crate::{JobBook, NewJob};

#[tokio::test]
async fn a_list_has_a_line_for_each_job_the_newest_first() {
    let office = Office::with_room_for(1);
    assert_snapshot!(office.call("list_workers", json!({})).await, @"No workers. Start one with spawn_worker.");
    office.done("calculate 7*6").await;
    office.done("fail").await;
    office.spawn("wait").await;
    office.somebody_waits().await;
    let queued = office.spawn("write\na poem").await;
    let cancelled = office.spawn("x").await;
    office.supervisor.cancel(cancelled).await.unwrap();
    office.advance(Duration::from_secs(12));
    assert_snapshot!(office.call("list_workers", json!({})).await, @"
    - job 5: cancelled: task: x
    - job 4: queued: task: write a poem
    - job 3 (worker 2025-12-15T04-08-09_wait): running for 12s: task: wait
    - job 2 (worker 2025-12-15T04-08-08_fail): failed, 1234ms (1.2s): half of it
    - job 1 (worker 2025-12-15T04-08-08_calculate-7-6): success, 98ms: The result is 42.
    ");
    for (filter, expected) in [
        (json!({"limit": 2}), vec![5, 4]),
        (json!({"limit": "1"}), vec![5]),
        (json!({"status": "queued"}), vec![4]),
        (json!({"status": "running"}), vec![3]),
        (json!({"status": "failed"}), vec![2]),
        (json!({"status": "success"}), vec![1]),
        (json!({"status": "cancelled"}), vec![5]),
        (json!({"status": "timeout"}), vec![]),
        (json!({"since_hours": 1}), vec![5, 4, 3, 2, 1]),
        (json!({"since_hours": 0.0001}), vec![]),
    ] {
        let text = office.call("list_workers", filter.clone()).await;
        let jobs: Vec<u64> = text
            .lines()
            .filter_map(|it| {
                it.strip_prefix("- job ")?
                    .split([' ', ':'])
                    .next()?
                    .parse()
                    .ok()
            })
            .collect();
        assert_eq!(jobs, expected, "{filter}: {text}");
    }
    office.supervisor.cancel(queued).await.unwrap();
    office.go_on();
    office.supervisor.idle().await;
}

/// As in the moments between a job's claim, its worker's start, and the note of that in the book.
#[tokio::test]
async fn a_job_that_is_just_starting_is_listed_once() {
    let office = Office::new();
    let store = office.supervisor.store();
    let book = JobBook::open(&store.own_dir().join("jobs.sqlite")).unwrap();
    let job = NewJob::new("local", "x");
    let (run, now) = ("another".into(), store.clock().timestamp());
    let id = book.add(&job, &run, now).unwrap();
    book.claim(id, &run, now).unwrap();
    for filter in [json!({}), json!({"status": "running"})] {
        let listed = office.call("list_workers", filter).await;
        assert_eq!(listed, "- job 1: running: task: x");
    }
    assert_eq!(
        office.read(id).await,
        "Error: job 1 is still running (0ms). Call read_worker_result again later."
    );

    let mut new = NewWorker::new("x");
    new.job_id = Some(id.get());
    let worker = store.create_worker(new).unwrap();
    worker.update(|it| it.status = Status::Running).unwrap();
    for filter in [json!({}), json!({"status": "running"})] {
        let listed = office.call("list_workers", filter).await;
        assert_eq!(
            listed,
            "- job 1 (worker 2025-12-15T04-08-08_x): running: task: x"
        );
    }
    // The worker leads to its job, too.
    let arguments = json!({"job_id": "2025-12-15T04-08-08_x"});
    let cancel = office.call("cancel_worker", arguments).await;
    assert!(cancel.starts_with("Job 1 is being cancelled."), "{cancel}");
}

/// A job that starts while the list is made stands in it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_listed_once_at_any_time() {
    let office = Office::with_room_for(1);
    let (id, done) = (
        office.spawn("wait").await,
        std::sync::atomic::AtomicBool::new(false),
    );
    let look = async {
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            let text = office.call("list_workers", json!({"limit": 100})).await;
            for n in 1..=id.get() {
                let lines = text.lines();
                let name = [format!("- job {n} "), format!("- job {n}:")];
                let count = lines
                    .filter(|it| name.iter().any(|name| it.starts_with(name)))
                    .count();
                assert_eq!(count, 1, "job {n}: {text}");
            }
        }
    };
    let work = async {
        for _ in 0..30 {
            let next = office.spawn("wait").await;
            office.somebody_waits().await;
            office.go_on();
            let _ = next;
        }
        office.go_on();
        office.supervisor.idle().await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    tokio::join!(look, work);
}

#[tokio::test]
async fn a_search_shows_where_each_match_is() {
    let office = Office::new();
    office.done("calculate 7*6").await;
    office.advance(Duration::from_secs(1));
    office.done("Nothing of the kind").await;
    let grep = |pattern: &'static str| office.call("grep_workers", json!({"pattern": pattern}));
    assert_snapshot!(grep("the RESULT is").await, @r#"
    3 matches for `the RESULT is` in 2 workers of the last 24 hours:

    job 1, 2025-12-15T04-08-08_calculate-7-6, metadata.json:15:   "summary": "The result is 42.",
    job 1, 2025-12-15T04-08-08_calculate-7-6, result.txt:1: The result is 42.
    job 1, 2025-12-15T04-08-08_calculate-7-6, thread.jsonl:1: {"role":"assistant","content":"The result is 42."}
    "#);
    assert_snapshot!(grep("no such thing").await, @"0 matches for `no such thing` in 2 workers of the last 24 hours.");
    assert_snapshot!(grep("(").await, @r"Error: `(` is not a usable regular expression: unclosed group. Write a backslash before a character that is meant as it stands, such as `\(`.");
    office.advance(Duration::from_hours(30));
    assert_snapshot!(grep("result").await, @"0 matches for `result` in 0 workers of the last 24 hours.");
    let older = json!({"pattern": "the result is", "since_hours": 31});
    assert!(
        office
            .call("grep_workers", older)
            .await
            .starts_with("3 matches")
    );
}

#[tokio::test]
async fn a_search_is_bounded() {
    let office = Office::new();
    let line = format!("needle {}\n", "x".repeat(1000));
    office.done(&line.repeat(200)).await;
    let text = office
        .call("grep_workers", json!({"pattern": "^needle"}))
        .await;
    let matches: Vec<_> = text.lines().filter(|it| it.contains(": needle")).collect();
    assert_eq!(matches.len(), 50);
    for it in matches {
        let (_, shown) = it.split_once(": needle").unwrap();
        assert_eq!(shown.chars().count() + "needle".len(), 200);
    }
    assert_snapshot!(text.lines().next().unwrap(), @"50 matches for `^needle` in 1 worker of the last 24 hours:");
    assert_snapshot!(text.lines().last().unwrap(), @"[stopped early: the limit on matches was reached; use a narrower pattern or fewer hours]");
    let long = json!({"pattern": format!("({}", "x".repeat(1_000_000))});
    let text = office.call("grep_workers", long).await;
    assert!(
        text.starts_with("Error: ") && text.len() < 5000,
        "{}",
        text.len()
    );
}

#[tokio::test]
async fn who_sees_all_is_told_what_cannot_be_read() {
    let office = Office::new();
    office.done("calculate 7*6").await;
    let data_dir = office.supervisor.store().data_dir().to_owned();
    for n in 10..30 {
        fs::create_dir(data_dir.join(format!("2025-12-15T04-08-{n}_empty"))).unwrap();
    }
    let mine = office.call("list_workers", json!({})).await;
    assert_eq!(mine.lines().count(), 1, "{mine}");
    let all = office.supervisor.tools(None);
    let listed = all.call("list_workers", &json!({})).await;
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 12, "{listed}");
    assert!(lines[1].starts_with("Warning: "), "{listed}");
    assert_eq!(lines[11], "Warning: and 10 more like these");
    let found = all.call("grep_workers", &json!({"pattern": "42"})).await;
    assert!(found.contains("[not searched: "), "{found}");
    let found = office.call("grep_workers", json!({"pattern": "42"})).await;
    assert!(!found.contains("not searched"), "{found}");
}

#[tokio::test]
async fn hours_of_any_kind_are_taken() {
    let office = Office::new();
    let tools = office.tools("local");
    for hours in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300] {
        tools.grep_workers("x", hours).await.unwrap();
        tools.list_workers(1, None, Some(hours)).await.unwrap();
    }
}
