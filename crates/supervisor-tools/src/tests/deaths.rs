//! Jobs whose process died, as the tools show them and as the book has them afterwards.

use std::time::Duration;

use artifact_store::{NewWorker, Status, WorkerWriter};
use metrics_core::WorkerId;
use serde_json::{Value, json};

use super::support::Office;
use crate::{Cancelled, FinalStatus, Job, JobId, JobStatus, NewJob, RunId, WorkOptions};

/// A run that never was, and so is dead.
const DEAD: &str = "0b5c9a52-1f4e-4d3a-9a3e-6f1f9d6f3b11";
const LONG: Duration = Duration::from_hours(1);

impl Office {
    /// A job that another process queued and, with a `run`, claimed.
    async fn job_of_another(&self, run: Option<&'static str>) -> JobId {
        self.job_with_attempts(run, 1).await
    }

    async fn job_with_attempts(&self, run: Option<&'static str>, max_attempts: u32) -> JobId {
        let added = self.supervisor.unblock(move |it| {
            let now = it.store.clock().timestamp();
            let job = NewJob {
                timeout: LONG,
                max_attempts,
                ..NewJob::new("local", "calculate 7*6")
            };
            let id = it.book.add(&job, &RunId::from(DEAD), now)?;
            if let Some(run) = run {
                assert!(it.book.claim(id, &RunId::from(run), now)?);
            }
            Ok(id)
        });
        added.await.unwrap()
    }

    /// The worker of a job of a dead process, of which the book knows if it was `noted`.
    async fn worker_of(&self, id: JobId, noted: bool) -> WorkerId {
        self.advance(Duration::from_secs(1));
        let made = self.supervisor.unblock(move |it| {
            let worker = it.store.create_worker(NewWorker {
                job_id: Some(id.get()),
                ..NewWorker::new("a task")
            })?;
            let clock = it.store.clock();
            worker.update(|it| {
                it.status = Status::Running;
                it.started_at = Some(clock.timestamp());
                it.run = Some(DEAD.to_owned());
            })?;
            if noted {
                it.book.started(id, &worker.id())?;
            }
            Ok(WorkerWriter::id(&worker))
        });
        made.await.unwrap()
    }

    async fn in_the_book(&self, id: JobId) -> Job {
        let job = self
            .supervisor
            .unblock(move |it| Ok(it.book.get(id, None)?));
        job.await.unwrap().unwrap()
    }

    async fn list(&self, arguments: Value) -> String {
        self.call("list_workers", arguments).await
    }
}

#[tokio::test]
async fn a_job_whose_process_died_before_it_had_a_worker_has_failed() {
    let office = Office::new();
    let id = office.job_of_another(Some(DEAD)).await;
    let text = "Error: job 1 failed before its worker started: worker process died. Spawn it again once that is mended.";
    assert_eq!(office.read(id).await, text);
    assert_eq!(
        office.list(json!({})).await,
        "- job 1: failed: worker process died"
    );
    let job = office.in_the_book(id).await;
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.error.as_deref(), Some("worker process died"));
    assert!(job.finished_at.is_some());
}

#[tokio::test]
async fn a_list_is_the_first_to_notice_too() {
    let office = Office::new();
    office.job_of_another(Some(DEAD)).await;
    let none = "No workers. Start one with spawn_worker.";
    assert_eq!(office.list(json!({"status": "running"})).await, none);
    assert_eq!(
        office.list(json!({"status": "failed"})).await,
        "- job 1: failed: worker process died"
    );
}

#[tokio::test]
async fn what_a_dead_process_had_only_queued_waits_for_another_one() {
    let office = Office::new();
    let id = office.job_of_another(None).await;
    assert!(office.read(id).await.starts_with("Error: job 1 is queued"));
    assert_eq!(office.in_the_book(id).await.status, JobStatus::Queued);
}

#[tokio::test]
async fn nobody_waits_for_the_dead() {
    let office = Office::new();
    let id = office.job_of_another(Some(DEAD)).await;
    assert!(office.supervisor.wait(id, LONG).await.unwrap());
    let id = office.job_of_another(Some(DEAD)).await;
    let cancelled = office.supervisor.cancel(id).await.unwrap();
    assert_eq!(cancelled, Cancelled::AlreadyEnded);
}

#[tokio::test]
async fn a_dead_worker_has_the_head_of_a_failed_one() {
    for noted in [true, false] {
        let office = Office::new();
        let id = office.job_of_another(Some(DEAD)).await;
        let worker_id = office.worker_of(id, noted).await;
        // The files' own times are the last sign of life; the office's clock has never seen them.
        let text = office.read(id).await;
        let (name, head) = text.split_once("\n\n").unwrap();
        assert_eq!(
            name,
            format!("Result from worker job 1 (worker {worker_id}):")
        );
        let mut lines = head.lines();
        assert!(lines.next().unwrap().starts_with("Execution time: "));
        let rest = "Status: failed\nError: worker process died\n\n(No result generated)";
        assert_eq!(lines.collect::<Vec<_>>().join("\n"), rest);

        let row = office.list(json!({})).await;
        assert!(row.starts_with(&format!("- job 1 (worker {worker_id}): failed, ")));
        let job = office.in_the_book(id).await;
        assert_eq!(job.status, JobStatus::Failed, "{noted}");
        assert_eq!(job.error.as_deref(), Some("worker process died"));
        assert_eq!(job.worker_id.as_ref(), Some(&worker_id));
        let metadata = office.metadata(worker_id.as_str());
        assert_eq!(job.finished_at, metadata.finished_at);
        assert_eq!(
            office
                .call("read_worker_result", json!({"job_id": worker_id}))
                .await,
            text
        );
    }
}

#[tokio::test]
async fn a_worker_of_a_dead_process_is_found_by_its_own_id_first() {
    for noted in [true, false] {
        let office = Office::new();
        let id = office.job_of_another(Some(DEAD)).await;
        let worker_id = office.worker_of(id, noted).await;
        let by_worker = json!({"job_id": worker_id});
        let text = office.call("read_worker_result", by_worker).await;
        assert!(text.contains("Error: worker process died"), "{text}");
        assert_eq!(office.in_the_book(id).await.status, JobStatus::Failed);
        assert_eq!(office.read(id).await, text);
    }
}

#[tokio::test]
async fn a_result_that_the_process_did_not_live_to_note_is_not_lost() {
    let office = Office::new();
    let id = office.job_of_another(Some(DEAD)).await;
    let worker_id = office.worker_of(id, true).await;
    std::fs::write(office.path(worker_id.as_str(), "result.txt"), "42").unwrap();
    office.edit_metadata(worker_id.as_str(), |it| {
        it["status"] = json!("success");
        it["finished_at"] = json!("2025-12-15T04:08:10.000000Z");
        it["duration_ms"] = json!(1000);
    });
    let text = office.read(id).await;
    assert!(
        text.ends_with(":\n\nExecution time: 1000ms (1.0s)\n\n42"),
        "{text}"
    );
    let job = office.in_the_book(id).await;
    assert_eq!((job.status, job.error), (JobStatus::Success, None));
    assert_eq!(job.finished_at, "2025-12-15T04:08:10Z".parse().ok());
}

#[tokio::test]
async fn the_book_knows_better_than_metadata_that_got_no_end() {
    // Its disk was full when the worker ended; then its process ended.
    let office = Office::new();
    let id = office.job_of_another(Some(DEAD)).await;
    let worker_id = office.worker_of(id, true).await;
    let finished = office.supervisor.unblock(move |it| {
        let now = it.store.clock().timestamp();
        Ok(it.book.finish(id, FinalStatus::Success, None, now)?)
    });
    assert!(finished.await.unwrap());
    let row = office.list(json!({})).await;
    assert!(
        row.starts_with(&format!("- job 1 (worker {worker_id}): success, ")),
        "{row}"
    );
    let text = office.read(id).await;
    assert!(
        text.contains("Execution time: 1000ms (1.0s)\n\n(result.txt is missing"),
        "{text}"
    );
}

#[tokio::test]
async fn a_job_that_another_process_claimed_meanwhile_is_its_own() {
    let office = Office::new();
    let id = office.job_of_another(Some("another run")).await;
    let ended = office.supervisor.unblock(move |it| {
        let now = it.store.clock().timestamp();
        let (dead, failed) = (RunId::from(DEAD), FinalStatus::Failed);
        Ok(it
            .book
            .finish_for_dead(id, &dead, None, failed, None, now)?)
    });
    assert!(!ended.await.unwrap());
    // Whose run it is cannot be told: its name is none of ours.
    assert!(office.read(id).await.contains("still running"));
    assert_eq!(office.in_the_book(id).await.status, JobStatus::Running);
}

#[tokio::test]
async fn a_worker_of_another_machine_is_unknown_and_not_failed() {
    let office = Office::new();
    let id = office.job_of_another(Some("another run")).await;
    let worker_id = office.worker_of(id, true).await;
    office.edit_metadata(worker_id.as_str(), |it| {
        it["host"] = json!("far\naway");
        it["boot_id"] = json!("another boot");
    });
    assert_eq!(
        office.read(id).await,
        "Error: job 1 was started on the host `far away`, and whether it still runs is not known here. Look there, or call read_worker_file for what it has written."
    );
    let row = office.list(json!({})).await;
    assert_eq!(
        row,
        format!("- job 1 (worker {worker_id}): unknown: task: a task")
    );
    assert_eq!(office.metadata(worker_id.as_str()).status, Status::Running);
    office.edit_metadata(worker_id.as_str(), |it| it["host"] = Value::Null);
    assert!(
        office
            .read(id)
            .await
            .starts_with("Error: job 1 was started elsewhere, ")
    );
}

#[tokio::test]
async fn a_damaged_worker_of_a_dead_process_has_failed_in_the_book() {
    let office = Office::new();
    let id = office.job_of_another(Some(DEAD)).await;
    let worker_id = office.worker_of(id, true).await;
    std::fs::write(office.path(worker_id.as_str(), "metadata.json"), "{").unwrap();
    assert!(office.read(id).await.contains("failed in the job book"));
    assert_eq!(office.in_the_book(id).await.status, JobStatus::Failed);
}

#[tokio::test]
async fn a_job_with_attempts_left_goes_back_into_the_line_and_shows_its_last_attempt() {
    for noted in [true, false] {
        let office = Office::new();
        let id = office.job_with_attempts(Some(DEAD), 2).await;
        let first = office.worker_of(id, noted).await;
        assert_eq!(
            office.read(id).await,
            "Error: job 1 is queued (1st in line). Call read_worker_result again later."
        );
        let queued = "- job 1: queued: task: calculate 7*6";
        assert_eq!(office.list(json!({})).await, queued);
        assert_eq!(
            office.list(json!({"status": "failed"})).await,
            "No workers. Start one with spawn_worker."
        );
        // What there is of the first attempt is there under its worker's id.
        let by_worker = json!({"job_id": first});
        let text = office.call("read_worker_result", by_worker.clone()).await;
        assert!(text.contains("Error: worker process died"), "{text}");

        let drain = WorkOptions {
            drain: true,
            ..WorkOptions::default()
        };
        office.supervisor.work(drain).await.unwrap();
        let job = office.in_the_book(id).await;
        assert_eq!((job.status, job.attempt), (JobStatus::Success, 2));
        let second = job.worker_id.unwrap();
        assert_ne!(second, first);
        assert_eq!(office.metadata(second.as_str()).attempt, Some(2));
        let list = office.list(json!({"limit": 1})).await;
        assert!(
            list.starts_with(&format!("- job 1 (worker {second}): success, ")),
            "{list}"
        );
        assert_eq!(list.lines().count(), 1);
        assert!(office.read(id).await.ends_with("The result is 42."));
        let text = office.call("read_worker_result", by_worker).await;
        assert!(text.contains("Error: worker process died"), "{text}");
    }
}

#[tokio::test]
async fn the_last_attempt_of_a_dead_process_fails() {
    let office = Office::new();
    let id = office.job_with_attempts(Some(DEAD), 2).await;
    let again = office.supervisor.unblock(move |it| {
        assert_eq!(it.job(id, None)?.unwrap().status, JobStatus::Queued);
        let now = it.store.clock().timestamp();
        Ok(it.book.claim_next(None, &RunId::from(DEAD), now)?)
    });
    assert_eq!(again.await.unwrap().unwrap().attempt, 2);
    let job = office.supervisor.unblock(move |it| it.job(id, None));
    let job = job.await.unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.error.as_deref(), Some("worker process died"));
}

#[tokio::test]
async fn a_worker_that_had_ended_before_its_process_died_is_not_begun_again() {
    let office = Office::new();
    let id = office.job_with_attempts(Some(DEAD), 2).await;
    let worker_id = office.worker_of(id, false).await;
    office.edit_metadata(worker_id.as_str(), |it| it["status"] = json!("success"));
    let job = office.supervisor.unblock(move |it| it.job(id, None));
    let job = job.await.unwrap().unwrap();
    assert_eq!(
        (job.status, job.worker_id),
        (JobStatus::Success, Some(worker_id))
    );
}
