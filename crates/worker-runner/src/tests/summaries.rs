//! Summaries: derived, after completion, without consequence for how the worker ended.

use std::sync::Arc;

use artifact_store::Status;
use serde_json::json;
use tokio::sync::mpsc;

use super::support::{Home, ScriptedModel, Turn, echo, say};
use crate::{RunOptions, WorkerEvent, WorkerReport};

/// Runs a worker whose result is `result` and whose summary model does `turn`.
async fn summed_up(home: &Home, result: &str, turn: Turn) -> WorkerReport {
    let runner = home
        .runner(echo())
        .summary_model(Arc::new(ScriptedModel::new([turn])));
    let report = runner
        .run_worker(result, RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Success);
    assert_eq!(home.file(&report.worker_id, "result.txt"), result);
    report
}

#[tokio::test]
async fn a_model_sums_up_in_one_short_line() {
    let home = Home::new();
    let long = format!("First\n  line. {}", "word ".repeat(100));
    let report = summed_up(&home, "the result", say(long)).await;
    assert!(report.summary.starts_with("First line. word word"));
    assert_eq!(report.summary.chars().count(), 150);
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.summary.as_ref(), Some(&report.summary));
    assert_eq!(
        metadata.summary_meta,
        json!({"source": "model", "model": "scripted"})
    );
    assert_eq!(home.outline(&report.worker_id), ["llm_call summary ok"]);
    assert_eq!((metadata.events, report.totals.llm_calls), (Some(1), 1));
}

#[tokio::test]
async fn without_a_summary_the_beginning_of_the_result_stands_in() {
    let unreachable = "refused: no route";
    for (turn, why, event) in [
        (
            Turn::Fail("no route"),
            unreachable,
            format!("llm_call summary: {unreachable}"),
        ),
        (
            say(" \n "),
            "the model said nothing",
            "llm_call summary ok".to_owned(),
        ),
        (
            Turn::Panic,
            "the model panicked: the model broke",
            "llm_call summary: panicked".to_owned(),
        ),
        (
            Turn::HangForLong,
            "timeout",
            "llm_call summary: timeout".to_owned(),
        ),
    ] {
        let home = Home::new();
        let report = summed_up(&home, "the\nresult", turn).await;
        assert_eq!(report.summary, "the result");
        let metadata = home.metadata(&report.worker_id);
        assert_eq!(
            metadata.summary_meta,
            json!({"source": "beginning", "model": "scripted", "error": why})
        );
        assert_eq!(home.outline(&report.worker_id), [event]);
        assert_eq!(
            (metadata.status, metadata.error),
            (Status::Success, None),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_model_is_shown_the_beginning_of_a_long_result() {
    let home = Home::new();
    let model = ScriptedModel::new([say("Long.")]);
    let asked = Arc::clone(&model.asked);
    let runner = home.runner(echo()).summary_model(Arc::new(model));
    runner
        .run_worker(&"x".repeat(1_000_000), RunOptions::default())
        .await
        .unwrap();
    let asked = &asked.lock().unwrap()[0][0].content;
    assert!(asked.starts_with("Summarize this result in at most 150 characters.\n\nxxx"));
    assert!(asked.len() < 21_000, "{}", asked.len());
}

#[tokio::test]
async fn a_failed_worker_is_not_summed_up_by_a_model() {
    let home = Home::new();
    let runner = home
        .react([Turn::Fail("no route")], vec![])
        .summary_model(Arc::new(ScriptedModel::new([])));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!(report.status, Status::Failed);
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.summary_meta, json!({"source": "beginning"}));
}

/// Runs a worker up to its summary, which hangs.
async fn until_summed_up(home: &Home, options: RunOptions) -> impl Future<Output = ()> + use<'_> {
    let runner = home
        .runner(echo())
        .summary_model(Arc::new(ScriptedModel::new([Turn::Hang])));
    let (events, mut received) = mpsc::unbounded_channel();
    let options = RunOptions {
        events: Some(events),
        ..options
    };
    let mut run = Box::pin(async move {
        runner.run_worker("result", options).await.unwrap();
    });
    tokio::select! {
        () = &mut run => panic!("the summary hangs"),
        () = async {
            while let Some(event) = received.recv().await {
                if matches!(event, WorkerEvent::Completed { .. }) {
                    break;
                }
            }
        } => {}
    }
    run
}

#[tokio::test]
async fn cancelling_ends_the_wait_for_a_summary_and_not_the_success() {
    let home = Home::new();
    let options = RunOptions::default();
    let cancel = options.cancel.clone();
    let run = until_summed_up(&home, options).await;
    cancel.cancel();
    run.await;
    let metadata = home.only_worker();
    assert_eq!(metadata.status, Status::Success);
    assert_eq!(metadata.summary.as_deref(), Some("result"));
    assert_eq!(metadata.summary_meta["error"], "cancelled");
}

#[tokio::test]
async fn a_caller_that_goes_away_during_the_summary_leaves_the_beginning() {
    let home = Home::new();
    let run = until_summed_up(&home, RunOptions::default()).await;
    drop(run);
    let metadata = home.only_worker();
    assert_eq!(metadata.status, Status::Success);
    assert_eq!(metadata.summary.as_deref(), Some("result"));
    assert_eq!(
        metadata.events,
        Some(home.events(&metadata.worker_id).len() as u64)
    );
}
