//! `read_worker_result`: Tier 1.

use std::{fs, time::Duration};

use artifact_store::NewWorker;
use insta::assert_snapshot;
use serde_json::json;

use super::support::Office;

#[tokio::test]
async fn a_result_has_its_time_above_it() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    assert_snapshot!(office.read(id).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6):

    Execution time: 98ms

    The result is 42.
    ");
}

#[tokio::test]
async fn a_worker_without_a_job_is_read_by_its_id() {
    let office = Office::new();
    let store = office.supervisor.store();
    let worker = store.create_worker(NewWorker::new("backup")).unwrap();
    worker.write_result("Backed up.").unwrap();
    worker
        .update(|it| {
            it.status = artifact_store::Status::Success;
            it.duration_ms = Some(135_000);
        })
        .unwrap();
    let read = office
        .call(
            "read_worker_result",
            json!({"job_id": worker.id().as_str()}),
        )
        .await;
    assert_snapshot!(read, @"
    Result from worker 2025-12-15T04-08-08_backup:

    Execution time: 135000ms (2m 15s)

    Backed up.
    ");
}

#[tokio::test]
async fn a_worker_is_read_by_its_id_as_by_its_job() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    let by_worker = json!({"job_id": "2025-12-15T04-08-08_calculate-7-6"});
    let by_worker = office.call("read_worker_result", by_worker).await;
    let by_text = office
        .call("read_worker_result", json!({"job_id": id.to_string()}))
        .await;
    assert_eq!(by_worker, office.read(id).await);
    assert_eq!(by_text, office.read(id).await);
}

#[tokio::test]
async fn queued_and_running_jobs_say_where_they_stand() {
    let office = Office::with_room_for(1);
    let first = office.spawn("wait").await;
    office.somebody_waits().await;
    let mut last = first;
    for _ in 0..3 {
        last = office.spawn("calculate 7*6").await;
    }
    office.advance(Duration::from_secs(12));
    assert_snapshot!(office.read(last).await, @"Error: job 4 is queued (3rd in line). Call read_worker_result again later.");
    assert_snapshot!(office.read(first).await, @"Error: job 1 is still running (12s; tool ssh_exec for 12s). Call read_worker_result again later.");
    office.go_on();
    office.supervisor.idle().await;
    assert_snapshot!(office.read(first).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_wait):

    Execution time: 12000ms (12.0s)
    Usage: 1 tool call

    waited
    ");
    assert!(office.read(last).await.ends_with("The result is 42."));
}

#[tokio::test]
async fn a_worker_between_calls_says_only_its_time() {
    let office = Office::new();
    let id = office.spawn("hang").await;
    office.somebody_waits().await;
    office.advance(Duration::from_millis(98));
    // Its worker is known by now, as the agent only starts after that; the book follows.
    let mut text = office.read(id).await;
    while !text.contains("98ms") {
        text = office.read(id).await;
    }
    assert_snapshot!(text, @"Error: job 1 is still running (98ms). Call read_worker_result again later.");
    office.supervisor.shut_down().await;
}

#[tokio::test]
async fn a_running_worker_of_another_process_says_its_time_and_what_it_is_doing() {
    let office = Office::new();
    let id = office.spawn("wait").await;
    office.somebody_waits().await;
    office.advance(Duration::from_millis(10));
    let tools = office.another().tools(Some("local"));
    let job = json!({"job_id": id});
    let text = tools.call("read_worker_result", &job).await;
    assert_snapshot!(text, @"Error: job 1 is still running (10ms). Call read_worker_result again later.");

    office.advance(Duration::from_secs(3723));
    // Its call is written down a moment after it has become a long one.
    let mut text = String::new();
    for _ in 0..6000 {
        text = tools.call("read_worker_result", &job).await;
        if text.contains("tool") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_snapshot!(text, @"Error: job 1 is still running (1h 2m 3s; tool ssh_exec for 1h 2m 3s). Call read_worker_result again later.");
    office.go_on();
    office.supervisor.idle().await;
}

#[tokio::test]
async fn a_failed_worker_has_the_same_head_and_what_result_there_is() {
    let office = Office::new();
    let failed = office.done("fail").await;
    assert_snapshot!(office.read(failed).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_fail):

    Execution time: 1234ms (1.2s)
    Status: failed
    Error: no route to host

    half of it
    ");
    let panicked = office.done("panic").await;
    assert_snapshot!(office.read(panicked).await, @"
    Result from worker job 2 (worker 2025-12-15T04-08-09_panic):

    Execution time: 0.01ms
    Status: failed
    Error: the agent panicked: the agent broke

    (No result generated)
    ");
}

#[tokio::test]
async fn a_worker_out_of_time_says_so() {
    let office = Office::new();
    let arguments = json!({"task": "hang", "timeout_seconds": 0.05, "wait": true});
    let text = office.call("spawn_worker", arguments).await;
    assert_snapshot!(text, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_hang):

    Execution time: 0.01ms
    Status: timeout
    Error: timed out after 50ms

    so far
    ");
}

#[tokio::test]
async fn a_cancelled_worker_says_so() {
    let office = Office::new();
    let id = office.spawn("hang").await;
    office.somebody_waits().await;
    office.call("cancel_worker", json!({"job_id": id})).await;
    office.supervisor.idle().await;
    assert_snapshot!(office.read(id).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_hang):

    Execution time: 0.01ms
    Status: cancelled
    Error: cancelled

    so far
    ");
}

#[tokio::test]
async fn lost_events_are_a_warning() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    office.edit_metadata("2025-12-15T04-08-08_calculate-7-6", |it| {
        it["events_lost"] = json!(12);
        it["events_lost_reason"] = json!("disk full");
    });
    assert_snapshot!(office.read(id).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6):

    Execution time: 98ms
    Warning: 12 events lost (disk full)

    The result is 42.
    ");
    office.edit_metadata("2025-12-15T04-08-08_calculate-7-6", |it| {
        it["events_lost"] = json!(1);
        it["events_lost_reason"] = json!(null);
        it["status"] = json!("timeout");
        it["error"] = json!("timed out after 1s");
    });
    assert_snapshot!(office.read(id).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6):

    Execution time: 98ms
    Warning: 1 event lost
    Status: timeout
    Error: timed out after 1s

    The result is 42.
    ");
}

#[tokio::test]
async fn a_long_error_is_cut() {
    let office = Office::new();
    let id = office.done("fail at length").await;
    let text = office.read(id).await;
    let error = text.lines().find(|it| it.starts_with("Error: ")).unwrap();
    assert_eq!(error.chars().count(), "Error: ".len() + 2000);
    assert!(error.ends_with('…'));
    let listed = office.call("list_workers", json!({})).await;
    assert!(listed.len() < 300, "{listed}");
}

#[tokio::test]
async fn a_long_result_is_cut_and_says_how_to_go_on() {
    let office = Office::new();
    let id = office.done(&"a line\n".repeat(300_000)).await;
    let text = office.read(id).await;
    let last = text.lines().last().unwrap();
    assert_snapshot!(last, @"[the result goes on; read_worker_file with file_path=result.txt and offset=1048572]");
    let rest = json!({"job_id": id, "file_path": "result.txt", "offset": 1_048_572});
    let rest = office.call("read_worker_file", rest).await;
    assert!(rest.contains("\n\na line\n"), "{}", &rest[..200]);
}

#[tokio::test]
async fn a_result_file_that_is_gone_is_said_to_be() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    fs::remove_file(office.path("2025-12-15T04-08-08_calculate-7-6", "result.txt")).unwrap();
    assert_snapshot!(office.read(id).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6):

    Execution time: 98ms

    (result.txt is missing: it could not be written, or was removed)
    ");
}
