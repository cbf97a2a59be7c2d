//! `spawn_worker`, and what becomes of a job.

use std::{sync::Arc, time::Duration};

use insta::assert_snapshot;
use metrics_collector::MetricsCollector;
use metrics_core::MemorySink;
use serde_json::json;

use super::support::Office;
use crate::JobStatus;

#[tokio::test]
async fn a_worker_is_spawned_at_once() {
    let office = Office::new();
    let text = office
        .call("spawn_worker", json!({"task": "calculate 7*6"}))
        .await;
    assert_snapshot!(text, @"Worker job 1 is queued. Call read_worker_result with job_id 1 for its result.");
    office.supervisor.idle().await;
}

#[tokio::test]
async fn waiting_gives_the_result() {
    let office = Office::new();
    let arguments = json!({"task": "calculate 7*6", "wait": true, "model": "test-agent"});
    assert_snapshot!(office.call("spawn_worker", arguments).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6):

    Execution time: 98ms

    The result is 42.
    ");
}

#[tokio::test]
async fn a_wait_that_is_over_says_what_the_worker_is_doing() {
    let office = Office::new();
    let arguments = json!({"task": "wait", "wait": true, "wait_seconds": 0.3});
    let text = office.call("spawn_worker", arguments).await;
    assert_snapshot!(text, @"Error: job 1 is still running (0ms; tool ssh_exec for 0ms). Call read_worker_result again later. Only the wait of 300ms is over, not the job.");
    office.go_on(); // The worker goes on all the same.
    office.supervisor.idle().await;
    let result = office.read(1_u64.try_into().unwrap()).await;
    assert!(result.ends_with("\n\nwaited"), "{result}");
}

#[tokio::test]
async fn a_wait_ends_as_soon_as_the_worker_fails() {
    let office = Office::new();
    let arguments = json!({"task": "fail", "wait": true, "wait_seconds": 604_800});
    let text = office.call("spawn_worker", arguments).await;
    assert!(
        text.contains("\nStatus: failed\nError: no route to host\n"),
        "{text}"
    );
}

#[tokio::test]
async fn waiting_ends_with_the_job_and_not_later() {
    let office = Office::with_room_for(1);
    let (first, second) = (office.spawn("wait").await, office.spawn("wait").await);
    office.somebody_waits().await;
    let wait = |id| office.supervisor.wait(id, Duration::from_mins(10));
    let (ended, ()) = tokio::join!(wait(first), async { office.go_on() });
    assert!(ended.unwrap());
    let not_yet = office.supervisor.wait(second, Duration::ZERO).await;
    assert!(!not_yet.unwrap());
    // A job that is cancelled before it starts has ended too.
    office.somebody_waits().await;
    let third = office.spawn("wait").await;
    let cancel = office.supervisor.cancel(third);
    let (ended, _) = tokio::join!(wait(third), cancel);
    assert!(ended.unwrap());
    office.go_on();
    assert!(wait(second).await.unwrap());
    assert!(wait(999_u64.try_into().unwrap()).await.unwrap());
}

#[tokio::test]
async fn the_end_of_a_job_in_another_process_is_noticed() {
    let office = Office::new();
    let id = office.spawn("wait").await;
    office.somebody_waits().await;
    let other = office.another();
    let wait = other.wait(id, Duration::from_mins(10));
    let (ended, ()) = tokio::join!(wait, async { office.go_on() });
    assert!(ended.unwrap());
}

#[tokio::test]
async fn no_more_workers_run_than_there_is_room_for() {
    let office = Office::with_room_for(2);
    for _ in 0..3 {
        office.spawn("wait").await;
    }
    office.somebody_waits().await;
    office.somebody_waits().await;
    let third = office.read(3_u64.try_into().unwrap()).await;
    assert_snapshot!(third, @"Error: job 3 is queued (1st in line). Call read_worker_result again later.");
    for _ in 0..3 {
        office.go_on();
    }
    office.supervisor.idle().await;
}

#[tokio::test]
async fn any_concurrency_will_do() {
    for concurrency in [0, 1, usize::MAX] {
        let office = Office::with_room_for(concurrency);
        let id = office.done("calculate 7*6").await;
        assert!(office.read(id).await.ends_with("The result is 42."));
    }
}

#[tokio::test]
async fn a_runner_that_panics_ends_its_job_and_nothing_else() {
    let office = Office::with_room_for(1);
    let arguments = json!({"task": "x", "model": "breaks", "wait": true});
    let text = office.call("spawn_worker", arguments).await;
    // The task's number has as many digits as it happens to have.
    let mut text = text.replace(|it: char| it.is_ascii_digit(), "#");
    while text.contains("##") {
        text = text.replace("##", "#");
    }
    assert_snapshot!(text, @r#"Error: job # failed before its worker started: the work was broken off: task # panicked with message "no runner today". Spawn it again once that is mended."#);
    let id = office.done("calculate 7*6").await;
    assert!(office.read(id).await.ends_with("The result is 42."));
    assert!(office.supervisor.activity(id).is_none());
}

#[tokio::test]
async fn a_model_that_vanishes_ends_its_job() {
    let office = Office::new();
    let arguments = json!({"task": "x", "model": "vanishes", "wait": true});
    assert_snapshot!(office.call("spawn_worker", arguments).await, @"Error: job 1 failed before its worker started: model `vanishes` is not known; known models: test-agent, other-agent. Spawn it again once that is mended.");
}

#[tokio::test]
async fn a_job_whose_spawner_goes_away_is_run_all_the_same() {
    let office = Office::new();
    let tools = office.tools("local");
    let arguments = json!({"task": "calculate 7*6"});
    let mut spawn = Box::pin(tools.call("spawn_worker", &arguments));
    tokio::select! {
        biased;
        _ = &mut spawn => {}
        () = std::future::ready(()) => {}
    }
    drop(spawn);
    office.supervisor.idle().await;
    let result = office.read(1_u64.try_into().unwrap()).await;
    assert!(result.ends_with("The result is 42."), "{result}");
}

/// A job in line is not run in the place of another that went away: it has a trace, and maybe an owner, of its own.
#[tokio::test]
async fn a_job_is_the_child_of_the_worker_that_spawned_it() {
    let office = Office::with_room_for(1);
    office.spawn("wait").await;
    office.somebody_waits().await;
    let parent = |name: &str| MetricsCollector::new(name, Arc::new(MemorySink::default()));
    let (ann, bob) = (parent("of-ann"), parent("of-bob"));
    let gone = ann.scope(office.spawn_as("ann", "gone")).await;
    bob.scope(office.spawn_as("bob", "calculate 7*6")).await;
    office.supervisor.cancel(gone).await.unwrap();
    office.go_on();
    office.supervisor.idle().await;
    let metadata = office.metadata("2025-12-15T04-08-08_calculate-7-6");
    assert_eq!(metadata.parent_worker_id.unwrap().as_str(), "of-bob");
    assert_eq!(metadata.trace_id, Some(bob.trace().trace_id));
    assert_eq!(metadata.parent_span_id, Some(bob.trace().span_id));
}

#[tokio::test]
async fn a_worker_knows_its_job() {
    let office = Office::new();
    office.done_as("ann", "calculate 7*6").await;
    let metadata = office.metadata("2025-12-15T04-08-08_calculate-7-6");
    assert_eq!((metadata.job_id, metadata.attempt), (Some(1), Some(1)));
    assert_eq!(metadata.owner, "ann");
    let rows = office.supervisor.rows(crate::RowFilter::default()).await;
    assert_eq!(rows.unwrap().rows[0].status, JobStatus::Success.as_str());
}

/// The book says that a job is over only once its metadata does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_can_be_read() {
    let office = Office::new();
    for n in 0..100 {
        let id = office.spawn(&format!("answer {n}")).await;
        assert!(
            office
                .supervisor
                .wait(id, Duration::from_mins(10))
                .await
                .unwrap()
        );
        let text = office.read(id).await;
        assert!(text.ends_with(&format!("\n\nanswer {n}")), "{text}");
    }
}
