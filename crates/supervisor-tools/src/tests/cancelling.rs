//! `cancel_worker`, in every state of a job.

use artifact_store::NewWorker;
use insta::assert_snapshot;
use serde_json::json;

use super::support::Office;
use crate::{Cancelled, JobId};

async fn cancel(office: &Office, id: JobId) -> String {
    office.call("cancel_worker", json!({"job_id": id})).await
}

#[tokio::test]
async fn a_queued_job_never_starts() {
    let office = Office::with_room_for(1);
    office.spawn("wait").await;
    office.somebody_waits().await;
    let queued = office.spawn("calculate 7*6").await;
    assert_snapshot!(cancel(&office, queued).await, @"Job 2 was cancelled before it started.");
    assert_snapshot!(office.read(queued).await, @"Error: job 2 was cancelled before it started. Spawn it again if it is needed.");
    assert_snapshot!(cancel(&office, queued).await, @"Error: job 2 has ended already. Call read_worker_result for its result.");
    office.go_on();
    office.supervisor.idle().await;
    let workers = office
        .supervisor
        .store()
        .list(&artifact_store::WorkerFilter::default());
    assert_eq!(workers.unwrap().workers.len(), 1);
}

#[tokio::test]
async fn a_running_worker_is_stopped() {
    let office = Office::new();
    let id = office.spawn("wait").await;
    office.somebody_waits().await;
    assert_snapshot!(cancel(&office, id).await, @"Job 1 is being cancelled. Call read_worker_result for what there is of its result.");
    office.supervisor.idle().await;
    assert!(office.read(id).await.contains("\nStatus: cancelled\n"));
    assert_snapshot!(cancel(&office, id).await, @"Error: job 1 has ended already. Call read_worker_result for its result.");
}

#[tokio::test]
async fn a_worker_is_stopped_by_its_id() {
    let office = Office::new();
    office.spawn("wait").await;
    office.somebody_waits().await;
    let arguments = json!({"job_id": "2025-12-15T04-08-08_wait"});
    let text = office.call("cancel_worker", arguments).await;
    assert!(text.starts_with("Job 1 is being cancelled."), "{text}");
    office.supervisor.idle().await;
}

#[tokio::test]
async fn a_worker_that_has_ended_stays_as_it_is() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    let before = office.read(id).await;
    assert_snapshot!(cancel(&office, id).await, @"Error: job 1 has ended already. Call read_worker_result for its result.");
    assert_eq!(office.read(id).await, before);
}

#[tokio::test]
async fn a_worker_that_is_being_summed_up_has_ended() {
    let office = Office::new();
    let arguments = json!({"task": "calculate 7*6", "model": "never sums up", "wait": true});
    let text = office.call("spawn_worker", arguments).await;
    assert!(text.ends_with("The result is 42."), "{text}");
    let text = office.call("cancel_worker", json!({"job_id": 1})).await;
    assert!(text.contains("job 1 has ended already"), "{text}");
    // The end of the supervisor does not wait for it either.
    office.supervisor.shut_down().await;
    let metadata = office.metadata("2025-12-15T04-08-08_calculate-7-6");
    assert_eq!(metadata.status, artifact_store::Status::Success);
    assert_eq!(metadata.summary.as_deref(), Some("The result is 42."));
}

#[tokio::test]
async fn a_worker_of_another_process_is_stopped_through_the_book() {
    let office = Office::new();
    let id = office.spawn("hang").await;
    office.somebody_waits().await;
    let tools = office.another().tools(Some("local"));
    let text = tools.call("cancel_worker", &json!({"job_id": id})).await;
    assert_snapshot!(text, @"Job 1 is being cancelled. Call read_worker_result for what there is of its result.");
    // Nobody else ends it.
    office.supervisor.idle().await;
    let text = office.read(id).await;
    assert!(
        text.contains("\nStatus: cancelled\n") && text.ends_with("so far"),
        "{text}"
    );
}

#[tokio::test]
async fn a_queued_job_of_another_process_is_within_reach() {
    let office = Office::with_room_for(1);
    office.spawn("wait").await;
    office.somebody_waits().await;
    let queued = office.spawn("calculate 7*6").await;
    let other = office.another();
    assert_eq!(other.cancel(queued).await.unwrap(), Cancelled::BeforeStart);
    office.go_on();
    office.supervisor.idle().await;
    assert!(
        office
            .read(queued)
            .await
            .contains("cancelled before it started")
    );
}

#[tokio::test]
async fn a_worker_without_a_job_is_not_ours_to_stop() {
    let office = Office::new();
    let worker = office
        .supervisor
        .store()
        .create_worker(NewWorker::new("backup"))
        .unwrap();
    let arguments = json!({"job_id": worker.id().as_str()});
    assert_snapshot!(office.call("cancel_worker", arguments).await, @"Error: worker 2025-12-15T04-08-08_backup belongs to no job and cannot be cancelled from here. Stop the program that runs it.");
}

/// However a cancel and a success meet, there is one end, and a success keeps its result.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_the_moment_of_success_loses_nothing() {
    let office = Office::new();
    for n in 0..200 {
        let id = office.spawn("wait").await;
        office.somebody_waits().await;
        let supervisor = office.supervisor.clone();
        let asking = tokio::spawn(async move { supervisor.cancel(id).await.unwrap() });
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
        office.go_on();
        let answer = asking.await.unwrap();
        office.supervisor.idle().await;
        let text = office.read(id).await;
        let success = text.ends_with("\n\nwaited") && !text.contains("Status:");
        let stopped = text.contains("\nStatus: cancelled\n");
        assert!(success != stopped, "{text}");
        if answer == Cancelled::AlreadyEnded {
            assert!(success, "{text}");
        }
        if stopped {
            // The permit that it did not take.
            office.script.take_back();
        }
        assert!(office.supervisor.activity(id).is_none());
    }
}
