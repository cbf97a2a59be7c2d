//! What a listener hears, and in which order.

use std::sync::Arc;

use metrics_core::WorkerId;
use tokio::sync::mpsc;

use super::support::{Home, ScriptedModel, answers, call, hangs, say};
use crate::{RunOptions, ToolError, WorkerEvent};

fn outline(event: WorkerEvent) -> String {
    match event {
        WorkerEvent::Started { .. } => "started".to_owned(),
        WorkerEvent::ToolStarted { tool, tool_call_id } => {
            format!("{tool} {tool_call_id} started")
        }
        WorkerEvent::ToolCompleted { tool, .. } => format!("{tool} completed"),
        WorkerEvent::ToolFailed { tool, error, .. } => format!("{tool} failed: {error}"),
        WorkerEvent::Completed { status, error, .. } => format!("{status} {error:?}"),
        WorkerEvent::SummaryReady { summary } => format!("summary: {summary}"),
    }
}

#[tokio::test]
async fn a_listener_hears_of_everything_in_order() {
    let home = Home::new();
    let turns = [call([("a", "")]), call([("b", "")]), say("done")];
    let tools = vec![
        answers("a", Ok("1")),
        answers("b", Err(ToolError::Failed("exit code 1".to_owned()))),
    ];
    let runner = home
        .react(turns, tools)
        .summary_model(Arc::new(ScriptedModel::new([say("Summed up.")])));
    let (events, mut received) = mpsc::unbounded_channel();
    let options = RunOptions {
        events: Some(events),
        ..RunOptions::default()
    };
    runner.run_worker("x", options).await.unwrap();
    let mut heard = Vec::new();
    while let Some(event) = received.recv().await {
        heard.push(outline(event));
    }
    assert_eq!(
        heard,
        [
            "started",
            "a call-1 started",
            "a completed",
            "b call-1 started",
            "b failed: exit code 1",
            "success None",
            "summary: Summed up.",
        ]
    );
}

#[tokio::test]
async fn what_an_event_speaks_of_is_on_disk() {
    let home = Home::new();
    let runner = home.react([say("done")], vec![]);
    let (events, mut received) = mpsc::unbounded_channel();
    let options = RunOptions {
        events: Some(events),
        ..RunOptions::default()
    };
    let listen = async {
        let mut seen = Vec::new();
        let mut worker: Option<WorkerId> = None;
        while let Some(event) = received.recv().await {
            if let WorkerEvent::Started { worker_id, .. } = &event {
                worker = Some(worker_id.clone());
            }
            let metadata = home.metadata(worker.as_ref().unwrap());
            seen.push((outline(event), metadata.status.is_final(), metadata.summary));
        }
        seen
    };
    let (report, seen) = tokio::join!(runner.run_worker("x", options), listen);
    let worker_id = report.unwrap().worker_id;
    // By the time the listener gets to hear of the start, the worker may be further on, but never the other way round.
    let completed = seen.iter().find(|it| it.0 == "success None").unwrap();
    assert!(completed.1);
    let summed_up = seen.last().unwrap();
    assert_eq!(summed_up.2.as_deref(), Some("done"));
    assert_eq!(home.file(&worker_id, "result.txt"), "done");
}

#[tokio::test]
async fn the_start_gives_a_look_at_what_is_in_flight() {
    let home = Home::new();
    let (tool, called) = hangs("ssh_exec");
    let runner = home.react([call([("ssh_exec", "")])], vec![tool]);
    let (events, mut received) = mpsc::unbounded_channel();
    let options = RunOptions {
        events: Some(events),
        ..RunOptions::default()
    };
    let cancel = options.cancel.clone();
    let look = async {
        called.notified().await;
        let Some(WorkerEvent::Started { collector, .. }) = received.recv().await else {
            panic!("the start comes first");
        };
        let in_flight = collector.in_flight();
        cancel.cancel();
        (in_flight, collector)
    };
    let (report, (in_flight, collector)) = tokio::join!(runner.run_worker("x", options), look);
    report.unwrap();
    assert_eq!(in_flight.len(), 1);
    assert_eq!(in_flight[0].name, "ssh_exec");
    assert_eq!(collector.in_flight(), []);
}

#[tokio::test]
async fn a_listener_that_went_away_costs_nothing() {
    let home = Home::new();
    let (events, received) = mpsc::unbounded_channel();
    drop(received);
    let options = RunOptions {
        events: Some(events),
        ..RunOptions::default()
    };
    let runner = home.react([say("done")], vec![]);
    assert_eq!(
        runner.run_worker("x", options).await.unwrap().result,
        "done"
    );
}
