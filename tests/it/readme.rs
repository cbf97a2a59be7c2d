//! The README's example: it compiles, and stands there as it stands here.

use std::error::Error;

// As in the README, from here...
use std::sync::Arc;

use artifact_store::ArtifactStore;
use metrics_collector::{llm_call, tool_call};
use metrics_core::{Phase, Usage};
use worker_runner::{RunOptions, WorkerRunner, agent_fn};

async fn my_agent(task: String) -> Result<String, MyError> {
    let reply = llm_call("gpt-5-mini", Phase::INITIAL, chat(&task))
        .usage(|reply| Usage::new(reply.prompt_tokens, reply.completion_tokens))
        .await?;
    tool_call("ssh_exec", ssh(&reply.command)).await
}
// ...to here, and in the body of `main`.

type MyError = std::io::Error;

struct Reply {
    command: String,
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[expect(clippy::unused_async, reason = "stands in for a client that waits")]
async fn chat(task: &str) -> Result<Reply, MyError> {
    Ok(Reply {
        command: format!("do: {task}"),
        prompt_tokens: 1234,
        completion_tokens: 89,
    })
}

#[expect(clippy::unused_async, reason = "stands in for a client that waits")]
async fn ssh(command: &str) -> Result<String, MyError> {
    Ok(format!("done: {command}"))
}

/// The rest of the example, in the directory that the program runs in.
#[rustfmt::skip]
async fn main() -> Result<worker_runner::WorkerReport, Box<dyn Error>> {
let _log = log_format::to_file("agents.log").worker_id(metrics_collector::current_worker_id).install()?; // Tier 3
let runner = WorkerRunner::new(ArtifactStore::open("agents")?, Arc::new(agent_fn(my_agent)));
let report = runner.run_worker("back up the database", RunOptions::default()).await?;
    Ok(report)
}

#[test]
fn the_example_runs_and_stands_in_the_readme() {
    const VARIABLE: &str = "TRISCOPE_TEST_README";
    // The example writes where it runs and installs the log of a whole process, so it gets one of its own.
    if std::env::var_os(VARIABLE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let report = runtime.block_on(main()).unwrap();
        assert_eq!(report.result, "done: do: back up the database");
        assert_eq!(report.totals.usage.total_tokens, Some(1323));
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "readme::the_example_runs_and_stands_in_the_readme",
        ])
        .env(VARIABLE, "1")
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
    let log = std::fs::read_to_string(place.path().join("agents.log")).unwrap();
    assert_eq!(log.lines().count(), 2, "a line for each call: {log}");

    let readme = include_str!("../../README.md");
    let (_, example) = readme.split_once("```rust\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let here = include_str!("readme.rs");
    for part in example.split("\n\n") {
        assert!(
            here.contains(part.trim()),
            "not here as in the README:\n{part}"
        );
    }
}
