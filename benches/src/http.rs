//! A thousand workers against a slow HTTP server: what Tier 1 says each took, against the server's own log.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use artifact_store::{ArtifactStore, Status};
use http_models::{HttpModel, HttpModelOptions, Protocol};
use serde_json::json;
use stub_server::{Answer, Received, StubServer, openai};
use worker_runner::{ReactAgent, RunOptions, WorkerReport, WorkerRunner};

const WORKERS: usize = 1000;
/// How long the server thinks about each request.
const SLOW: Duration = Duration::from_secs(10);
/// Workers start one after the other within this time, as a supervisor hands them out; all of them run at once.
const START: Duration = Duration::from_secs(9);

pub(crate) fn run() {
    println!(
        "\n{WORKERS} workers at once against a model server that takes {SLOW:?}, both in this process"
    );
    println!("  target: Tier 1 differs from the server's own log by less than 2 ms (median)");
    println!(
        "  {:<24} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "answers", "median ms", "p90 ms", "p99 ms", "max ms", "events lost"
    );
    for (name, stream) in [("streamed", true), ("whole", false)] {
        measure(name, stream);
    }
}

fn measure(name: &str, stream: bool) {
    let usage = json!({"prompt_tokens": 1234, "completion_tokens": 89, "total_tokens": 1323});
    let reply = openai::text("The result is 42.", usage);
    let server = StubServer::start(move |it| Answer::completion(it, &reply).after(SLOW));
    let server = server.expect("a server on the loopback address");
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    let store = ArtifactStore::open(data_dir.path()).expect("a store");
    let options = HttpModelOptions {
        base_url: Some(server.base_url()),
        stream,
        ..HttpModelOptions::new(Protocol::OpenAi, "slow-model")
    };
    let model = HttpModel::new(options).expect("a model");
    let runner = WorkerRunner::new(store, Arc::new(ReactAgent::new(Arc::new(model), vec![])));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let reports = runtime.block_on(workers(&runner));
    let logged: HashMap<String, Duration> =
        server.received().iter().filter_map(time_in_log).collect();
    assert_eq!((reports.len(), logged.len()), (WORKERS, WORKERS));
    let mut differences: Vec<f64> = reports
        .iter()
        .map(|(task, report)| {
            assert_eq!(report.status, Status::Success, "{:?}", report.error);
            let logged = logged.get(task).expect("the server saw every task");
            report.duration.saturating_sub(*logged).as_secs_f64() * 1e3
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    let at = |percent: usize| differences[(WORKERS * percent / 100).min(WORKERS - 1)];
    let lost: u64 = reports.iter().map(|(_, it)| it.events_lost).sum();
    println!(
        "  {name:<24} {:>10.2} {:>10.2} {:>10.2} {:>10.2} {lost:>12}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

/// Runs all workers at once; each gives its task and its report.
async fn workers(runner: &WorkerRunner) -> Vec<(String, WorkerReport)> {
    let started = Instant::now();
    let tasks = (0..WORKERS).map(|n| {
        let runner = runner.clone();
        tokio::spawn(async move {
            let share = u32::try_from(n).unwrap_or_default() * START;
            let at = started + share / u32::try_from(WORKERS).unwrap_or(1);
            tokio::time::sleep_until(at.into()).await;
            let task = format!("task {n}");
            let report = runner.run_worker(&task, RunOptions::default()).await;
            (task, report.expect("a worker's directory"))
        })
    });
    let mut reports = Vec::with_capacity(WORKERS);
    for task in tasks.collect::<Vec<_>>() {
        reports.push(task.await.expect("a worker that does not panic"));
    }
    reports
}

/// A request's task and how long the server had it.
fn time_in_log(request: &Received) -> Option<(String, Duration)> {
    let body = request.json();
    let task = body["messages"][0]["content"].as_str()?;
    Some((task.to_owned(), request.ended? - request.began))
}
