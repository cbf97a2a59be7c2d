//! `triscope trace`: one trace across processes, from the files alone.

use std::fs;

use serde_json::Value;

use crate::{
    cli::Place,
    support::{finish, program_path},
};

/// A worker whose command starts two others, one of which fails.
fn family(place: &Place) {
    let triscope = format!(
        "'{}' --data-dir '{}'",
        program_path().display(),
        place.data_dir().display()
    );
    let script = place.folder().join("start-others");
    let commands =
        format!("{triscope} run 'calculate 7*6'\n{triscope} exec -- sh -c 'exit 3'\ntrue\n");
    fs::write(script, commands).unwrap();
    place.run(&["run", "run `sh ./start-others`"]).expect(0);
}

fn children(span: &Value) -> &Vec<Value> {
    span["children"].as_array().unwrap()
}

/// The children that are of this kind.
fn of_kind<'a>(span: &'a Value, kind: &str) -> Vec<&'a Value> {
    let children = children(span).iter();
    children.filter(|it| it["kind"] == kind).collect()
}

#[test]
fn a_worker_that_a_command_starts_is_below_the_call_that_ran_the_command() {
    let place = Place::new();
    family(&place);
    let trace = place.run(&["trace", "1", "--json"]).json();
    assert_eq!(trace["workers"], 3);
    let roots = trace["roots"].as_array().unwrap();
    assert_eq!(roots.len(), 1, "{trace}");
    let shell = of_kind(&roots[0], "tool_call");
    assert_eq!(shell.len(), 1, "{trace}");
    assert_eq!(shell[0]["tool"], "shell_exec");
    assert!(shell[0]["span_id"].is_string());
    let workers = of_kind(shell[0], "worker");
    assert_eq!(workers.len(), 2, "{trace}");
    for worker in &workers {
        assert_eq!(worker["parent_span_id"], shell[0]["span_id"]);
    }
    assert_eq!(workers[0]["job_id"], 2);
    assert_eq!(of_kind(workers[0], "tool_call")[0]["tool"], "calculate");
    assert_eq!(workers[1]["status"], "failed");
    assert_eq!(workers[1]["error"], "exit code 3");
    // The worker that each was started for is in its metadata, too.
    for metadata in ["2", workers[1]["worker_id"].as_str().unwrap()] {
        let metadata = place.run(&["meta", metadata, "--json"]).json();
        assert_eq!(metadata["parent_worker_id"], roots[0]["worker_id"]);
        assert_eq!(metadata["trace_id"], trace["trace_id"]);
    }
}

#[test]
fn the_tree_is_the_same_whoever_of_the_family_is_asked_for() {
    let place = Place::new();
    family(&place);
    let first = place.run(&["trace", "1"]).answer();
    assert_eq!(place.run(&["trace", "2"]).answer(), first);
    let mut lines = first.lines();
    let head = lines.next().unwrap();
    assert!(
        head.starts_with("Trace ") && head.contains(": 3 workers, "),
        "{first}"
    );
    let below = |it: &&str| it.starts_with("│  ├─ +") || it.starts_with("│  └─ +");
    let workers: Vec<_> = first
        .lines()
        .filter(below)
        .filter(|it| it.contains(" worker "))
        .collect();
    assert_eq!(workers.len(), 2, "{first}");
    assert!(workers[0].contains("worker job 2 (worker 2"), "{first}");
    assert!(
        workers[1].contains(": failed, ") && workers[1].ends_with(" — error: exit code 3"),
        "{first}"
    );
}

#[test]
fn what_a_program_outside_began_is_named_as_the_parent() {
    const SPAN: &str = "b7ad6b7169203331";
    let place = Place::new();
    let traceparent = format!("00-0af7651916cd43dd8448eb211c80319c-{SPAN}-01");
    let mut run = place.command(&["run", "calculate 7*6"]);
    finish(run.env("TRACEPARENT", traceparent)).answer();
    let text = place.run(&["trace", "1"]).answer();
    assert!(
        text.starts_with("Trace 0af7651916cd43dd8448eb211c80319c: 1 worker, "),
        "{text}"
    );
    let parent = format!("\n(below span {SPAN}, which is not in these files)\n+0ms worker job 1 ");
    assert!(text.contains(&parent), "{text}");
}

#[test]
fn a_job_that_is_not_there_has_no_trace() {
    let place = Place::new();
    place.run(&["run", "calculate 7*6"]).expect(0);
    let refused = place.run(&["trace", "7"]).expect(1);
    assert_eq!(
        refused.stderr,
        "Error: job 7 not found. Use list_workers to see job ids.\n"
    );
}
