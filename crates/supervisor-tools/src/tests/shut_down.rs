//! The end of a supervisor.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use super::support::Office;

#[tokio::test]
async fn nothing_is_left_running_or_waiting() {
    let office = Office::with_room_for(1);
    let running = office.spawn("wait").await;
    office.somebody_waits().await;
    let queued = [
        office.spawn("calculate 7*6").await,
        office.spawn("fail").await,
    ];
    let other = office.another();
    let waiting = other.wait(queued[1], Duration::from_mins(10));
    let (ended, ()) = tokio::join!(waiting, office.supervisor.shut_down());
    assert!(ended.unwrap());
    assert_snapshot!(office.read(running).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_wait):

    Execution time: 0.01ms
    Usage: 1 tool call (1 failed)
    Status: cancelled
    Error: cancelled

    (No result generated)
    ");
    for id in queued {
        let text = office.read(id).await;
        assert!(text.contains("was cancelled before it started"), "{text}");
    }
    let workers = office
        .supervisor
        .store()
        .list(&artifact_store::WorkerFilter::default())
        .unwrap();
    assert_eq!(workers.workers.len(), 1, "what was queued has no worker");
}

#[tokio::test]
async fn jobs_of_other_processes_stay_in_line() {
    let office = Office::with_room_for(1);
    office.spawn("wait").await;
    office.somebody_waits().await;
    let queued = office.spawn("calculate 7*6").await;
    office.another().shut_down().await;
    assert!(
        office
            .read(queued)
            .await
            .contains("is queued (1st in line)")
    );
    office.go_on();
    office.supervisor.idle().await;
}

#[tokio::test]
async fn what_is_spawned_later_is_refused() {
    let office = Office::new();
    office.supervisor.shut_down().await;
    office.supervisor.shut_down().await;
    let text = office.call("spawn_worker", json!({"task": "x"})).await;
    assert_snapshot!(text, @"Error: the supervisor is shutting down; spawn the worker in another process");
    assert_snapshot!(office.call("list_workers", json!({})).await, @"No workers. Start one with spawn_worker.");
}

/// However a spawn and the end meet, no job stays queued.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_spawned_in_the_moment_of_the_end_does_not_wait_for_ever() {
    for _ in 0..30 {
        let office = Office::new();
        let tools = office.tools("local");
        let spawning = tokio::spawn(async move {
            for _ in 0..10 {
                tools.call("spawn_worker", &json!({"task": "hang"})).await;
            }
        });
        tokio::task::yield_now().await;
        office.supervisor.shut_down().await;
        spawning.await.unwrap();
        let rows = office.supervisor.rows(crate::RowFilter::default()).await;
        for row in rows.unwrap().rows {
            assert_eq!(row.status, "cancelled", "{row:?}");
        }
    }
}
