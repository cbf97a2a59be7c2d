//! Each recipe with `jq` or `grep | awk`, and the one command that gives the same numbers, as `docs/analysis.md` has
//! them side by side.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{demo, finish, require, sh, triscope};

const PAGE: &str = include_str!("../../../docs/analysis.md");
const PYTHON: &str = include_str!("../../samples/original-python-metrics.jsonl");
const SEED: &str = include_str!("../../samples/seed-metrics.jsonl");
const LOG: &str = include_str!("../../samples/seed-backend.log");

/// A directory with `metrics.jsonl` and `backend.log`: those of the demo's workers and the samples.
fn files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let workers = demo().workers();
    let files = workers
        .iter()
        .map(|it| fs::read_to_string(it.join("metrics.jsonl")).unwrap());
    let metrics = files.collect::<String>() + SEED + PYTHON;
    fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
    fs::write(
        dir.path().join("backend.log"),
        demo().log().text.clone() + LOG,
    )
    .unwrap();
    dir
}

/// What a recipe prints, and the rows that our command prints with `--format json`. Both stand on the page.
#[track_caller]
fn both(recipe: &str, ours: &str) -> (String, Vec<Value>) {
    assert!(PAGE.contains(recipe), "not on the page: {recipe}");
    assert!(PAGE.contains(ours), "not on the page: {ours}");
    let dir = files();
    let theirs = sh(dir.path(), recipe).answer();
    let quotes: Vec<_> = ours.split('"').collect();
    let mut words = Vec::new();
    for (at, part) in quotes.iter().enumerate() {
        // What stands in quotes is one word.
        if at % 2 == 1 {
            words.push((*part).to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    let arguments = words
        .iter()
        .skip(1)
        .map(String::as_str)
        .chain(["--format", "json"]);
    let rows = finish(triscope(arguments).current_dir(dir.path())).json();
    (theirs, rows.as_array().unwrap().clone())
}

fn numbers(rows: &[Value], key: &str) -> Vec<u64> {
    rows.iter().map(|it| it[key].as_u64().unwrap()).collect()
}

fn lines(text: &str) -> Vec<u64> {
    text.lines().map(|it| it.trim().parse().unwrap()).collect()
}

/// The rows of `uniq -c`: the count, and what was counted.
fn counts(text: &str) -> Vec<(u64, String)> {
    let rows = text.lines().map(|it| it.trim().split_once(' ').unwrap());
    rows.map(|(count, what)| (count.parse().unwrap(), what.to_owned()))
        .collect()
}

#[test]
fn the_slowest_calls_are_those_that_jq_finds() {
    require!("jq");
    let (theirs, ours) = both(
        "jq -s 'sort_by(.duration_ms) | reverse | .[0:5]' metrics.jsonl",
        "triscope slow --limit 5 metrics.jsonl",
    );
    let theirs: Vec<Value> = serde_json::from_str(&theirs).unwrap();
    assert_eq!(ours.len(), 5);
    assert_eq!(
        numbers(&ours, "duration_ms"),
        numbers(&theirs, "duration_ms")
    );
}

#[test]
fn the_total_of_llm_time_is_that_of_jq() {
    require!("jq");
    let (theirs, ours) = both(
        r#"jq -s '[.[] | select(.event=="llm_call") | .duration_ms] | add' metrics.jsonl"#,
        r#"triscope report --by event --where "event = 'llm_call'" metrics.jsonl"#,
    );
    assert_eq!(ours.len(), 1);
    assert_eq!(numbers(&ours, "total_ms"), lines(&theirs));
}

#[test]
fn the_number_of_tool_calls_is_that_of_jq() {
    require!("jq");
    let (theirs, ours) = both(
        r#"jq -s '[.[] | select(.event=="tool_call")] | length' metrics.jsonl"#,
        r#"triscope report --by event --where "event = 'tool_call'" metrics.jsonl"#,
    );
    assert_eq!(numbers(&ours, "count"), lines(&theirs));
}

#[test]
fn the_failed_tools_are_those_that_jq_finds() {
    require!("jq");
    let (theirs, ours) = both(
        r#"jq -s '.[] | select(.event=="tool_call" and .success==false)' metrics.jsonl"#,
        r#"triscope failures --where "event = 'tool_call'" metrics.jsonl"#,
    );
    let theirs = serde_json::Deserializer::from_str(&theirs).into_iter::<Value>();
    let theirs: Vec<_> = theirs.map(Result::unwrap).collect();
    assert!(theirs.len() >= 3);
    assert_eq!(
        numbers(&ours, "count").iter().sum::<u64>(),
        theirs.len() as u64
    );
    for failure in &theirs {
        assert!(
            ours.iter().any(|it| it["tool"] == failure["tool"]),
            "{failure}"
        );
    }
    let total = |it: &[Value], key| numbers(it, key).iter().sum::<u64>();
    assert_eq!(total(&ours, "total_ms"), total(&theirs, "duration_ms"));
}

#[test]
fn the_slow_operations_are_those_of_the_log() {
    require!("grep", "awk", "sort");
    let (theirs, mut ours) = both(
        r#"grep "duration_ms=" backend.log | awk -F'duration_ms=' '{print $2}' | awk '{print $1}' | sort -n | tail -20"#,
        "triscope slow --limit 20 backend.log",
    );
    ours.reverse();
    assert_eq!(numbers(&ours, "duration_ms"), lines(&theirs));
}

#[test]
fn failed_tool_calls_are_those_of_the_log() {
    require!("grep");
    let (theirs, ours) = both(
        r#"grep "tool_call_complete" backend.log | grep "success=False""#,
        r#"triscope failures --where "event = 'tool_call'" backend.log"#,
    );
    assert_eq!(
        numbers(&ours, "count").iter().sum::<u64>(),
        theirs.lines().count() as u64
    );
}

#[test]
fn one_workers_calls_are_those_of_the_log() {
    require!("grep");
    let (theirs, ours) = both(
        r#"grep "worker_id=2025-12-15T03-19-12_backup" backend.log"#,
        "triscope slow --worker 2025-12-15T03-19-12_backup backend.log",
    );
    assert_eq!(ours.len(), theirs.lines().count());
}

#[test]
fn operations_by_model_are_those_of_the_log() {
    require!("grep", "sort", "uniq");
    let (theirs, ours) = both(
        r#"grep "llm_call_complete" backend.log | grep -o "model=[^ ]*" | sort | uniq -c"#,
        "triscope report --by model --sort model backend.log",
    );
    let ours = ours.iter().map(|it| {
        (
            it["count"].as_u64().unwrap(),
            format!("model={}", it["model"].as_str().unwrap()),
        )
    });
    assert_eq!(ours.collect::<Vec<_>>(), counts(&theirs));
}

#[test]
fn the_distribution_is_that_of_the_log() {
    require!("grep", "awk", "sort", "uniq");
    let (theirs, ours) = both(
        r#"grep "duration_ms=" backend.log | awk -F'duration_ms=' '{print $2}' | awk '{print $1}' | sort -n | uniq -c"#,
        "triscope histogram --each backend.log",
    );
    let ours = ours
        .iter()
        .map(|it| (it["count"].as_u64().unwrap(), it["duration_ms"].to_string()));
    assert_eq!(ours.collect::<Vec<_>>(), counts(&theirs));
}
