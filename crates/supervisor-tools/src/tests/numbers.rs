//! Job numbers are never given twice, even if the book is lost.

use std::{fs, sync::Arc};

use artifact_store::{ArtifactStore, NewWorker};
use async_trait::async_trait;
use serde_json::json;
use worker_runner::{
    ChatModel, ChatReply, ChatRequest, ErrorClass, ModelError, ReactAgent, WorkerRunner,
};

use super::support::Office;
use crate::{JobBook, NewJob, RunnerSource, Supervisor, UnknownModel};

struct NoRunner;

impl RunnerSource for NoRunner {
    fn runner(&self, model: Option<&str>) -> Result<WorkerRunner, UnknownModel> {
        Err(UnknownModel {
            model: model.unwrap_or_default().to_owned(),
            known: vec![],
        })
    }
}

/// A model that refuses whatever it is asked.
struct Closed;

#[async_trait]
impl ChatModel for Closed {
    fn name(&self) -> &'static str {
        "none"
    }

    async fn chat(&self, _: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        Err(ModelError::new(ErrorClass::Refused, "closed"))
    }
}

fn worker_of_job(store: &ArtifactStore, number: u64) {
    let mut new = NewWorker::new("x");
    new.job_id = Some(number);
    store.create_worker(new).unwrap();
}

fn next_number(store: &ArtifactStore) -> u64 {
    let book = JobBook::open(&store.own_dir().join("jobs.sqlite")).unwrap();
    let job = NewJob::new("local", "x");
    let id = book.add(&job, &store.run_id().into(), store.clock().timestamp());
    id.unwrap().get()
}

#[test]
fn a_new_book_goes_on_above_the_highest_number_in_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(dir.path()).unwrap();
    for number in [7, 123, 9] {
        worker_of_job(&store, number);
    }
    // Numbers that no job can have are not ours, and do not hide ours.
    worker_of_job(&store, u64::MAX);
    worker_of_job(&store, 0);
    Supervisor::open(store.clone(), NoRunner, 1).unwrap();
    assert_eq!(next_number(&store), 124);
}

/// As where a process died between making the file and asking the metadata.
#[test]
fn a_book_that_was_made_and_never_used_goes_on_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(dir.path()).unwrap();
    JobBook::open(&store.own_dir().join("jobs.sqlite")).unwrap();
    worker_of_job(&store, 41);
    Supervisor::open(store.clone(), NoRunner, 1).unwrap();
    assert_eq!(next_number(&store), 42);
    worker_of_job(&store, 100);
    Supervisor::open(store.clone(), NoRunner, 1).unwrap();
    assert_eq!(next_number(&store), 43, "a book in use needs no metadata");
}

#[tokio::test]
async fn numbers_go_on_when_the_book_is_opened_again() {
    let office = Office::new();
    let first = office.done("calculate 7*6").await;
    let tools = office.another().tools(Some("local"));
    let second = tools.spawn(&crate::SpawnRequest::new("x")).await.unwrap();
    assert_eq!((first.get(), second.get()), (1, 2));
}

#[test]
fn a_book_that_cannot_be_opened_is_an_error_that_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(dir.path()).unwrap();
    let path = store.own_dir().join("jobs.sqlite");
    fs::create_dir(&path).unwrap();
    let error = Supervisor::open(store, NoRunner, 1).unwrap_err();
    assert!(error.to_string().contains("jobs.sqlite"), "{error}");
    assert!(path.is_dir());
}

#[tokio::test]
async fn one_runner_serves_without_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(dir.path()).unwrap();
    let runner = WorkerRunner::new(
        store.clone(),
        Arc::new(ReactAgent::new(Arc::new(Closed), vec![])),
    );
    let supervisor = Supervisor::open(store, runner, 1).unwrap();
    let tools = supervisor.tools(Some("local"));
    let arguments = json!({"task": "x", "model": "gpt-5-mini"});
    assert_eq!(
        tools.call("spawn_worker", &arguments).await,
        "Error: model `gpt-5-mini` is not known; known models: none: leave `model` out."
    );
    let text = tools
        .call("spawn_worker", &json!({"task": "x", "wait": true}))
        .await;
    assert!(text.contains("\nError: refused: closed\n"), "{text}");
}
