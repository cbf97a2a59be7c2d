//! A job that hands work to others: a runner of its own, the tools in its agent's hands.

use std::{sync::Arc, time::Duration};

use insta::assert_snapshot;
use serde_json::json;
use worker_runner::{Tool, ToolError, WorkerRunner, agent_fn};

use super::support::Office;
use crate::{JobId, JobStatus, NewJob, SpawnRequest, ToolFailure};

/// Begins a job whose agent calls `spawn_worker` with its task, waits, and says what it was answered.
async fn spawn_supervisor(office: &Office, task: &str) -> JobId {
    let spawn = tool(office, "spawn_worker");
    let agent = agent_fn(move |task: String| {
        let spawn = Arc::clone(&spawn);
        async move {
            spawn
                .call(json!({"task": task, "wait": true, "wait_seconds": 604_800}))
                .await
        }
    });
    let runner = WorkerRunner::new(office.supervisor.store().clone(), Arc::new(agent));
    let spawned = office
        .supervisor
        .spawn_with(NewJob::new("local", task), runner);
    spawned.await.unwrap()
}

fn tool(office: &Office, name: &str) -> Arc<dyn Tool> {
    let mut tools = office.tools("local").for_agent().into_iter();
    tools.find(|it| it.definition().name == name).unwrap()
}

#[tokio::test]
async fn supervisors_never_wait_for_places_that_supervisors_have() {
    let office = Office::with_room_for(1);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(spawn_supervisor(&office, "calculate 7*6").await);
    }
    office.supervisor.idle().await;
    for id in ids {
        let text = office.read(id).await;
        assert!(text.ends_with("\n\nThe result is 42."), "{text}");
        assert!(text.contains("\nResult from worker job "), "{text}");
    }
}

#[tokio::test]
async fn what_a_supervisor_spawns_is_its_child_in_one_trace() {
    let office = Office::new();
    let id = spawn_supervisor(&office, "calculate 7*6").await;
    office.supervisor.idle().await;
    let jobs = [id, 2_u64.try_into().unwrap()].map(|it| office.supervisor.book().get(it, None));
    let [parent, child] = jobs.map(|it| it.unwrap().unwrap());
    assert_eq!(parent.status, JobStatus::Success);
    assert_eq!(child.parent_worker_id, parent.worker_id);
    let [parent, child] = [parent, child].map(|it| office.metadata(it.worker_id.unwrap().as_str()));
    assert_eq!(child.trace_id, parent.trace_id);
    // Below the call that spawned it; the agent here makes none, so below the worker itself.
    assert_eq!(child.parent_span_id, parent.span_id);
}

#[tokio::test]
async fn all_but_one_are_cancelled() {
    let office = Office::with_room_for(1);
    let supervisor = spawn_supervisor(&office, "wait").await;
    office.somebody_waits().await;
    office.is_noted(supervisor).await;
    office.is_noted(2_u64.try_into().unwrap()).await;
    let queued = office.spawn("calculate 7*6").await;
    let working = office.supervisor.activities();
    let working: Vec<_> = working.iter().map(|(id, _)| id.get()).collect();
    assert_eq!(working, [1, 2]);
    office.supervisor.cancel_all_but(supervisor).await;
    office.supervisor.idle().await;
    assert!(office.supervisor.activities().is_empty());
    let text = office.read(supervisor).await;
    assert!(text.contains("\n\nResult from worker job 2 "), "{text}");
    assert!(text.contains("\nStatus: cancelled\n"), "{text}");
    let text = office.read(queued).await;
    assert!(text.contains("cancelled before it started"), "{text}");
}

#[tokio::test]
async fn a_supervisor_whose_process_dies_is_not_begun_again_by_another() {
    let office = Office::new();
    let agent = agent_fn(|_| std::future::pending::<Result<String, ToolError>>());
    let runner = WorkerRunner::new(office.supervisor.store().clone(), Arc::new(agent));
    let request = SpawnRequest {
        max_attempts: 3,
        ..SpawnRequest::new("a goal")
    };
    let tools = office.tools("local");
    let id = tools.spawn_with(&request, runner).await.unwrap();
    // What whoever finds its process dead would try.
    let requeued = office
        .supervisor
        .unblock(move |it| Ok(it.book.requeue(id, it.run)?));
    assert!(!requeued.await.unwrap());
    office.supervisor.shut_down().await;
}

#[tokio::test]
async fn a_job_that_has_not_ended_is_an_answer_and_a_wrong_argument_is_not() {
    let office = Office::new();
    let id = office.spawn("wait").await;
    office.somebody_waits().await;
    office.is_noted(id).await;
    let read = tool(&office, "read_worker_result");
    let text = read.call(json!({"job_id": id})).await.unwrap();
    assert_snapshot!(text, @"Error: job 1 is still running (0ms; tool ssh_exec for 0ms). Call read_worker_result again later.");
    let refused = read.call(json!({"job_id": 7})).await;
    let text = "job 7 not found. Use list_workers to see job ids.".to_owned();
    assert_eq!(refused, Err(ToolError::Failed(text)));
    office.go_on();
    office.supervisor.idle().await;
    let names: Vec<_> = office.tools("local").for_agent();
    assert_eq!(names.len(), 8);
}

#[tokio::test]
async fn a_supervisor_without_a_goal_or_after_the_end_is_refused() {
    let office = Office::new();
    let runner = || WorkerRunner::new(office.supervisor.store().clone(), Arc::new(agent_fn(say)));
    let tools = office.tools("local");
    let empty = tools.spawn_with(&SpawnRequest::new(" "), runner()).await;
    assert!(matches!(empty, Err(ToolFailure::Refused(_))), "{empty:?}");
    let no_time = SpawnRequest {
        timeout: Duration::ZERO,
        ..SpawnRequest::new("x")
    };
    let no_time = tools.spawn_with(&no_time, runner()).await;
    assert!(matches!(no_time, Err(ToolFailure::Refused(_))));
    office.supervisor.shut_down().await;
    let late = tools.spawn_with(&SpawnRequest::new("x"), runner()).await;
    let late = late.unwrap_err().to_string();
    assert!(late.contains("the supervisor is shutting down"), "{late}");
    assert!(office.supervisor.book().is_unused().unwrap());
}

async fn say(task: String) -> Result<String, ToolError> {
    Ok(task)
}
