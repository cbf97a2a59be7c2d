//! A supervisor with three workers: one slow, one that fails, one that is a supervisor's parent itself. What happened is read
//! from texts.

use std::{fs, sync::Arc, time::Duration};

use artifact_store::ArtifactStore;
use metrics_core::{Clock, Timestamp};
use serde_json::{Value, json};
use supervisor_tools::{Supervisor, SupervisorTools};
use worker_runner::{ToolError, WorkerRunner, agent_fn};

use super::{UNTIL_GO, has_ended, row_of};
use crate::{
    cli::{Place, metadata},
    support::{Background, eventually, normalised, program_path},
};

const FAILING: &str = "fetch http://127.0.0.1:1/";
const STARTS_OTHERS: &str = "run `sh ./start-others`";
/// The goal of the inner supervisor, and what its workers do.
const INNER: &str = "calculate 7*6; calculate 1+1";
/// What is only written down, for whoever takes it.
const SPAWNED: &str = "calculate 2*2";

/// Starts the supervisor and waits until only the slow worker still runs, for longer than any other did.
fn supervisor(place: &Place) -> Background {
    let program = format!(
        "'{}' --data-dir '{}'",
        program_path().display(),
        place.data_dir().display()
    );
    let script = format!("{program} ask '{INNER}'\n{program} spawn '{SPAWNED}'\n");
    fs::write(place.folder().join("start-others"), script).unwrap();
    let goal = format!("{UNTIL_GO}; {FAILING}\n{STARTS_OTHERS}");
    let ask = Background::start(&mut place.command(&["ask", &goal]));
    eventually("the slow worker", || place.has("busy"));
    eventually("the end of the others", || {
        let others = [FAILING, STARTS_OTHERS];
        others.iter().all(|it| has_ended(place, it)).then_some(())
    });
    let duration = |task| row_of(place, task)["duration_ms"].as_u64().unwrap();
    let longest = duration(FAILING).max(duration(STARTS_OTHERS));
    let slow = metadata(&place.dir_of(&row_of(place, UNTIL_GO)));
    let started: Timestamp = slow["started_at"].as_str().unwrap().parse().unwrap();
    eventually("the time for which the slow one is the slowest", || {
        let now = Clock::system().timestamp();
        let longest = Duration::from_millis(longest + 1).as_micros();
        (now.unix_micros() - started.unix_micros() > i64::try_from(longest).unwrap()).then_some(())
    });
    ask
}

/// The tools as another process has them, which runs nothing itself.
fn tools_elsewhere(place: &Place) -> SupervisorTools {
    async fn nothing(task: String) -> Result<String, ToolError> {
        Ok(task)
    }
    let store = ArtifactStore::open(place.data_dir()).unwrap();
    let runner = WorkerRunner::new(store.clone(), Arc::new(agent_fn(nothing)));
    let supervisor = Supervisor::open(store, runner, 1).unwrap();
    supervisor.tools(Some("local"))
}

#[tokio::test]
async fn while_it_works_the_texts_say_who_does_what() {
    let place = Place::new();
    let ask = supervisor(&place);
    let tools = tools_elsewhere(&place);
    let list = tools.call("list_workers", &json!({})).await;
    let line_of = |task: &str| {
        let worker_id = row_of(&place, task)["worker_id"].clone();
        let worker_id = worker_id.as_str().unwrap();
        let found = list.lines().find(|it| it.contains(worker_id));
        found.unwrap_or_else(|| panic!("{task} in {list}"))
    };
    assert!(line_of(UNTIL_GO).contains(": running for "), "{list}");
    assert!(line_of(FAILING).contains(": failed, "), "{list}");
    assert!(line_of("calculate 7*6").contains(": success, "), "{list}");
    assert!(
        list.contains(&format!(": queued: task: {SPAWNED}")),
        "{list}"
    );
    // What takes the time is named: of the supervisor the call that waits, of the slow worker its command.
    let slow = row_of(&place, UNTIL_GO)["job_id"].clone();
    for (job, call) in [(json!(1), "spawn_worker"), (slow, "shell_exec")] {
        let job = json!({ "job_id": job });
        let metrics = tools.call("worker_metrics", &job).await;
        assert!(metrics.contains("\nCalls in flight: 1\n"), "{metrics}");
        assert!(metrics.contains(&format!("tool {call} for ")), "{metrics}");
        let result = tools.call("read_worker_result", &job).await;
        assert!(result.contains("is still running ("), "{result}");
        assert!(result.contains(&format!("; tool {call} for ")), "{result}");
    }
    place.go();
    ask.finish().expect(0);
}

#[test]
fn the_answer_says_what_failed_where_the_time_went_and_what_to_do() {
    let place = Place::new();
    let ask = supervisor(&place);
    place.go();
    let finished = ask.finish().expect(0);
    assert_eq!(finished.stderr, "");
    let answer = &finished.stdout;
    let (head, parts) = answer.split_once("\n\nTask 1: ").unwrap();
    let _normalised = normalised();
    let mut settings = insta::Settings::clone_current();
    // How often it asks depends on which of its workers ends first.
    settings.add_filter(r"Usage: \d+ LLM calls; \d+ tool calls", "Usage: [calls]");
    let _settings = settings.bind_to_scope();
    insta::assert_snapshot!(head, @"
    Result from worker job 1 (worker [second]_run-touch-busy-until-e-go-e-bu):

    Execution time: [duration]
    Usage: [calls]

    2 of 3 tasks succeeded. Not: task 2 (failed).
    ");
    let [slow, failed, another] = &parts.splitn(3, "\n\nTask ").collect::<Vec<_>>()[..] else {
        panic!("{answer}");
    };
    assert!(slow.contains("\n\nExecution time: "), "{slow}");
    for text in [
        "\nStatus: failed\nError: tool `http_request` cannot be used: validation: ",
        "allow it with `--allow-host 127.0.0.1:1`",
    ] {
        assert!(failed.contains(text), "{failed}");
    }
    // The whole answer of the inner supervisor.
    assert!(another.contains("2 of 2 tasks succeeded."), "{another}");
    let (_, metrics) = another
        .rsplit_once("\n\nWhere the slowest worker's time went:\n\n")
        .unwrap();
    let slow_job = row_of(&place, UNTIL_GO)["job_id"].clone();
    let name = metrics.lines().next().unwrap();
    assert!(name.contains(&format!("job {slow_job}")), "{metrics}");
    assert!(metrics.contains("\n- shell_exec: 1, "), "{metrics}");
    // The answer is the supervisor's result, for whoever comes later.
    assert_eq!(&place.run(&["result", "1"]).answer(), answer);
}

#[test]
fn all_of_them_are_one_trace_from_the_supervisor_to_the_program_of_a_program() {
    let place = Place::new();
    let ask = supervisor(&place);
    place.go();
    ask.finish().expect(0);
    place.run(&["work", "--drain"]).expect(0);
    let innermost = row_of(&place, "calculate 7*6")["job_id"].to_string();
    let trace = place.run(&["trace", &innermost, "--json"]).json();
    assert_eq!(trace["workers"], 8, "{trace}");
    let roots = trace["roots"].as_array().unwrap();
    assert_eq!(roots.len(), 1, "{trace}");
    assert_eq!(roots[0]["job_id"], 1);

    let below_root = below(&roots[0], "spawn_worker");
    assert_eq!(below_root.len(), 3, "{trace}");
    let failed = with_task(&place, &below_root, FAILING);
    assert_eq!(failed["status"], "failed");
    let slow = with_task(&place, &below_root, UNTIL_GO);
    assert!(below(slow, "shell_exec").is_empty());
    let starter = with_task(&place, &below_root, STARTS_OTHERS);
    let below_starter = below(starter, "shell_exec");
    assert_eq!(below_starter.len(), 2, "{trace}");
    with_task(&place, &below_starter, SPAWNED);
    let inner = with_task(&place, &below_starter, INNER);
    let below_inner = below(inner, "spawn_worker");
    assert_eq!(below_inner.len(), 2, "{trace}");

    // The files say the same, each for itself.
    for (task, parent) in [
        (UNTIL_GO, &roots[0]),
        (FAILING, &roots[0]),
        (STARTS_OTHERS, &roots[0]),
        (INNER, starter),
        (SPAWNED, starter),
        ("calculate 7*6", inner),
        ("calculate 1+1", inner),
    ] {
        let metadata = metadata(&place.dir_of(&row_of(&place, task)));
        assert_eq!(metadata["parent_worker_id"], parent["worker_id"], "{task}");
        assert_eq!(metadata["trace_id"], trace["trace_id"], "{task}");
    }
    // And the text for people: each stands below the one that started it.
    let text = place.run(&["trace", "1"]).answer();
    let depth = |task: &str| {
        let row = row_of(&place, task);
        let worker_id = format!("(worker {})", row["worker_id"].as_str().unwrap());
        let line = text.lines().find(|it| it.contains(&worker_id)).unwrap();
        line.chars().position(|it| it == '+').unwrap()
    };
    let depths = [UNTIL_GO, FAILING, STARTS_OTHERS].map(depth);
    assert_eq!(depths, [6, 6, 6], "{text}");
    let depths = [INNER, SPAWNED, "calculate 7*6", "calculate 1+1"].map(depth);
    assert_eq!(depths, [12, 12, 18, 18], "{text}");
}

/// The workers that a worker's calls of this tool started.
#[track_caller]
fn below<'a>(worker: &'a Value, tool: &str) -> Vec<&'a Value> {
    let children = |it: &'a Value| it["children"].as_array().into_iter().flatten();
    let calls: Vec<_> = children(worker).filter(|it| it["tool"] == tool).collect();
    assert!(!calls.is_empty(), "no {tool} in {worker}");
    let workers = |call: &'a Value| {
        children(call).inspect(|it| {
            assert_eq!(it["kind"], "worker");
            assert_eq!(it["parent_span_id"], call["span_id"]);
        })
    };
    calls.into_iter().flat_map(workers).collect()
}

/// The one of these workers that has this task.
#[track_caller]
fn with_task<'a>(place: &Place, workers: &[&'a Value], task: &str) -> &'a Value {
    let row = row_of(place, task);
    let mut workers = workers.iter();
    let found = workers.find(|it| it["worker_id"] == row["worker_id"]);
    found.unwrap_or_else(|| panic!("no worker for `{task}` here"))
}
