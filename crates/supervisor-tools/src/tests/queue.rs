//! Jobs in the line that several processes share: who runs them, and what they take along.

use std::{sync::Arc, time::Duration};

use metrics_collector::MetricsCollector;
use metrics_core::MemorySink;
use serde_json::{Map, Value, json};
use worker_runner::{CancellationToken, WorkerRunner};

use super::support::Office;
use crate::{
    Job, JobId, JobStatus, NewJob, NoRunner, RowFilter, RunBy, RunnerSource, SpawnRequest,
    Supervisor, UnknownModel, WorkOptions,
};

const LONG: Duration = Duration::from_mins(1);

/// A process that takes jobs, until it is dropped.
struct Taker {
    supervisor: Supervisor,
    stop: CancellationToken,
    working: tokio::task::JoinHandle<()>,
}

impl Taker {
    /// Returns once it is known to be one.
    async fn start(supervisor: Supervisor) -> Self {
        let stop = CancellationToken::new();
        let options = WorkOptions {
            stop: stop.clone(),
            ..WorkOptions::default()
        };
        let before = supervisor.takers("local").await.unwrap();
        let (this, asked) = (supervisor.clone(), supervisor.clone());
        let working = tokio::spawn(async move { this.work(options).await.unwrap() });
        while asked.takers("local").await.unwrap() == before {
            tokio::task::yield_now().await;
        }
        Self {
            supervisor,
            stop,
            working,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.working.await.unwrap();
    }
}

fn drain() -> WorkOptions {
    WorkOptions {
        drain: true,
        ..WorkOptions::default()
    }
}

impl Office {
    async fn submit(&self, task: &str, run_by: RunBy) -> JobId {
        let tools = self.tools("local").run_by(run_by);
        tools.spawn(&SpawnRequest::new(task)).await.unwrap()
    }

    async fn has_ended(&self, id: JobId) -> Job {
        assert!(self.supervisor.wait(id, LONG).await.unwrap());
        self.supervisor.book().get(id, None).unwrap().unwrap()
    }

    fn run_of(supervisor: &Supervisor) -> crate::RunId {
        supervisor.store().run_id().into()
    }
}

#[tokio::test]
async fn a_job_for_whoever_takes_it_waits_for_one() {
    let office = Office::new();
    let id = office.submit("calculate 7*6", RunBy::Takers).await;
    office.supervisor.idle().await;
    let text = office.read(id).await;
    assert_eq!(
        text,
        "Error: job 1 is queued (1st in line). Call read_worker_result again later."
    );
    // Not even the end of the process that wrote it down takes it away.
    office.supervisor.shut_down().await;
    let other = office.another();
    other.work(drain()).await.unwrap();
    let job = office.has_ended(id).await;
    assert_eq!(
        (job.status, job.run),
        (JobStatus::Success, Some(Office::run_of(&other)))
    );
    assert_eq!(other.takers("local").await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_handed_over_runs_here_while_nobody_takes_jobs() {
    let office = Office::new();
    let id = office.submit("calculate 7*6", RunBy::TakersElseHere).await;
    let job = office.has_ended(id).await;
    assert_eq!(
        (job.status, job.run),
        (JobStatus::Success, Some(Office::run_of(&office.supervisor)))
    );
}

#[tokio::test]
async fn what_is_handed_over_is_left_to_who_takes_jobs() {
    let office = Office::new();
    let taker = Taker::start(office.another()).await;
    let id = office.submit("calculate 7*6", RunBy::TakersElseHere).await;
    let job = office.has_ended(id).await;
    assert_eq!(
        (job.status, job.run),
        (JobStatus::Success, Some(Office::run_of(&taker.supervisor)))
    );
    taker.stop().await;
    assert_eq!(office.supervisor.takers("local").await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_handed_over_runs_here_once_the_last_taker_is_gone() {
    let office = Office::new();
    let other = office.another();
    // It says that it takes jobs, and never does.
    let run = other.store().run_id().into();
    other.book().add_taker(&run, None).unwrap();
    let id = office.submit("calculate 7*6", RunBy::TakersElseHere).await;
    drop(other);
    let job = office.has_ended(id).await;
    assert_eq!(
        (job.status, job.run),
        (JobStatus::Success, Some(Office::run_of(&office.supervisor)))
    );
}

#[tokio::test]
async fn who_takes_other_owners_jobs_alone_is_no_taker() {
    let office = Office::new();
    let other = office.another();
    let run = other.store().run_id().into();
    other.book().add_taker(&run, Some("bob")).unwrap();
    assert_eq!(office.supervisor.takers("local").await.unwrap(), 0);
    assert_eq!(office.supervisor.takers("bob").await.unwrap(), 1);
}

#[tokio::test]
async fn a_job_that_is_taken_knows_what_it_was_started_for() {
    let office = Office::new();
    let parent = MetricsCollector::new("parent", Arc::new(MemorySink::default()));
    let id = parent
        .scope(office.submit("calculate 7*6", RunBy::Takers))
        .await;
    office.another().work(drain()).await.unwrap();
    let worker_id = office.has_ended(id).await.worker_id.unwrap();
    let metadata = office.metadata(worker_id.as_str());
    assert_eq!(metadata.parent_worker_id.unwrap().as_str(), "parent");
    assert_eq!(metadata.trace_id, Some(parent.trace().trace_id));
    assert_eq!(metadata.parent_span_id, Some(parent.trace().span_id));
}

#[tokio::test]
async fn an_end_by_force_puts_a_job_back_that_has_attempts_left() {
    let office = Office::new();
    let taker = Taker::start(office.another()).await;
    let mut ids = Vec::new();
    for max_attempts in [2, 1] {
        let job = NewJob {
            max_attempts,
            ..NewJob::new("local", "hang")
        };
        let id = office.supervisor.submit(job, RunBy::Takers).await.unwrap();
        office.somebody_waits().await;
        ids.push(id);
    }
    taker.supervisor.shut_down().await;
    let status = |id: JobId| {
        let job = office.supervisor.book().get(id, None).unwrap().unwrap();
        (job.status, job.attempt)
    };
    assert_eq!(status(ids[0]), (JobStatus::Queued, 1));
    assert_eq!(status(ids[1]), (JobStatus::Cancelled, 1));
    taker.working.await.unwrap();
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_there_is_room_for() {
    let office = Office::with_room_for(2);
    for _ in 0..3 {
        office.submit("wait", RunBy::Takers).await;
    }
    let taker = Taker::start(office.supervisor.clone()).await;
    office.somebody_waits().await;
    office.somebody_waits().await;
    let filter = RowFilter {
        status: Some("queued".parse().unwrap()),
        ..RowFilter::default()
    };
    let rows = office.supervisor.rows(filter.clone()).await.unwrap().rows;
    assert_eq!(rows.len(), 1);
    for _ in 0..3 {
        office.go_on();
    }
    office.somebody_waits().await;
    taker.stop().await;
    assert!(
        office
            .supervisor
            .rows(filter)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

/// Says in its settings whose it is, and runs nothing of anybody else's.
struct Particular {
    runner: WorkerRunner,
    name: &'static str,
}

impl RunnerSource for Particular {
    fn runner(&self, _: Option<&str>) -> Result<WorkerRunner, UnknownModel> {
        Ok(self.runner.clone())
    }

    fn settings(&self) -> Map<String, Value> {
        Map::from_iter([("name".to_owned(), json!(self.name))])
    }

    fn runner_for(
        &self,
        _: Option<&str>,
        settings: &Map<String, Value>,
    ) -> Result<WorkerRunner, NoRunner> {
        match settings["name"].as_str() {
            Some(name) if name == self.name => Ok(self.runner.clone()),
            other => Err(NoRunner::Settings(format!(
                "{other:?} is not {}",
                self.name
            ))),
        }
    }
}

#[tokio::test]
async fn a_job_is_run_by_the_settings_of_the_process_that_wrote_it_down() {
    let office = Office::new();
    let open = |name| {
        let store = office.another().store().clone();
        let agent = worker_runner::agent_fn(|_| async { Ok::<_, String>("done") });
        let runner = WorkerRunner::new(store.clone(), Arc::new(agent));
        Supervisor::open(store, Particular { runner, name }, 1).unwrap()
    };
    let (ann, also_ann, bob) = (open("ann"), open("ann"), open("bob"));
    let mut ends = Vec::new();
    for taker in [&ann, &also_ann, &bob] {
        let job = NewJob::new("local", "x");
        let id = ann.submit(job, RunBy::Takers).await.unwrap();
        taker.work(drain()).await.unwrap();
        let job = office.has_ended(id).await;
        assert_eq!(job.settings["name"], "ann");
        ends.push((job.status, job.error));
    }
    let success = (JobStatus::Success, None);
    assert_eq!(ends[..2], [success.clone(), success]);
    let error = ends[2].1.as_deref().unwrap();
    assert_eq!(
        error,
        "the job's settings do not work in this process: Some(\"ann\") is not bob"
    );
}
