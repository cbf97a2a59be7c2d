//! `worker_metrics` and `triscope report` say the same of one worker.

use std::{fmt::Write as _, fs, time::Duration};

use metrics_core::{CallTime, DurationText, Event, LlmCall, Outcome, Timestamp, ToolCall, Usage};
use serde_json::{Value, json};

use crate::support::{Lab, finish, triscope};

/// Calls of two models and three tools, some of which fail, and lines that are none.
fn events() -> String {
    let start: Timestamp = "2025-12-15T04:08:08Z".parse().unwrap();
    let mut file = String::new();
    for n in 0..300_u32 {
        let millis = Duration::from_millis(u64::from(n * 7919 % 1900 + 1));
        let time = CallTime::new(start.plus_micros(i64::from(n) * 2_000_000), millis);
        let outcome = match n % 11 {
            0 => Outcome::failure(format!("HTTP 50{} after {n} bytes", n % 3)),
            _ => Outcome::Success,
        };
        let model = |phase, model| {
            let mut call = LlmCall::new(phase, model, time);
            call.usage = Usage::new(u64::from(n) * 13, u64::from(n));
            call.outcome = outcome.clone();
            Event::from(call)
        };
        let tool = |name| {
            let mut call = ToolCall::new(name, time);
            call.outcome = outcome.clone();
            Event::from(call)
        };
        let event = match n % 5 {
            0 => model("initial", "gpt-5-mini"),
            1 if n % 3 == 0 => model("synthesis", "qwen3"),
            1 => model("synthesis", "gpt-5-mini"),
            2 => tool("ssh_exec"),
            3 => tool("read_file"),
            _ => tool("http_request"),
        };
        let _ = writeln!(file, "{}", event.to_line());
    }
    file + "{\"event\":\"party\"}\nnot json\n"
}

fn millis(row: &Value, column: &str) -> DurationText {
    DurationText(Duration::from_millis(row[column].as_u64().unwrap()))
}

fn name(row: &Value) -> &str {
    row["model"].as_str().or(row["tool"].as_str()).unwrap()
}

/// A row of a report as a line of a digest.
fn told(row: &Value) -> String {
    let mut text = row["count"].to_string();
    if row["failures"] != 0 {
        let _ = write!(text, " ({} failed)", row["failures"]);
    }
    let (total, max) = (millis(row, "total_ms"), millis(row, "max_ms"));
    let _ = write!(text, ", {total} in all, slowest {max}");
    if row["count"].as_u64().unwrap() >= 20 {
        let _ = write!(text, ", p95 {}", millis(row, "p95_ms"));
    }
    text
}

#[tokio::test]
async fn the_digest_says_what_the_reports_say() {
    let lab = Lab::new();
    let job = lab.run_job("say hello").await;
    let worker = lab.worker_dir(&lab.metadata(job).await.worker_id);
    fs::write(worker.join("metrics.jsonl"), events()).unwrap();
    let arguments = json!({"job_id": job, "max_tokens": 5000});
    let digest = lab.tools().call("worker_metrics", &arguments).await;

    let ask = |arguments: &[&str]| finish(triscope(arguments).arg(&worker));
    let rows = |arguments: &[&str]| -> Vec<Value> {
        let rows = ask(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&rows.stdout).unwrap()
    };
    let mut expected = Vec::new();
    let groups = |head: &str, event: &str, key: &str| {
        let wanted = format!("event = '{event}'");
        let all = rows(&["report", "--by", "event", "--where", &wanted]).remove(0);
        let groups = rows(&["report", "--by", key, "--where", &wanted]);
        let groups = groups.iter().map(|it| {
            let name = it[key].as_str().unwrap();
            format!("- {name}: {}", told(it))
        });
        let mut lines = vec![format!("{head}: {}", told(&all))];
        lines.extend(groups);
        (lines, all)
    };
    let (lines, llm) = groups("LLM calls", "llm_call", "phase");
    assert_eq!(lines.len(), 3);
    expected.extend(lines);
    expected.push(format!(
        "Tokens: {} (prompt {}, completion {})",
        llm["total_tokens"], llm["prompt_tokens"], llm["completion_tokens"]
    ));
    let people = ask(&["report"]);
    let cost = people.stdout.lines().find(|it| it.starts_with("Cost: "));
    let cost = cost.unwrap().trim_end_matches('.');
    assert!(cost.contains("$0.") && cost.contains("qwen3"), "{cost}");
    expected.push(cost.to_owned());
    expected.extend(groups("Tool calls", "tool_call", "tool").0);
    expected.push("Slowest calls:".to_owned());
    for row in rows(&["slow", "--limit", "5"]) {
        let took = millis(&row, "duration_ms");
        expected.push(format!("- line {}: {} {took}", row["line"], name(&row)));
    }
    let failures = rows(&["failures"]);
    let failed = failures.iter().map(|it| it["count"].as_u64().unwrap());
    expected.push(format!("Failures: {}", failed.sum::<u64>()));
    for row in &failures {
        let (name, took) = (name(row), millis(row, "total_ms"));
        expected.push(match row["count"].as_u64().unwrap() {
            1 => format!("- {name} after {took}: HTTP 50"),
            n => format!("- {name}, {n} times, {took} in all, last: HTTP 50"),
        });
    }
    expected.push("Events of other kinds: 1".to_owned());
    assert!(people.stderr.contains("not used: 1 line"), "{people:?}");
    expected.push("Lines that could not be used: 1".to_owned());
    expected.push("- line 302: ".to_owned());

    // In this order and nothing else; what a line says beyond that only the digest tells.
    let of_the_worker = ["Metrics of ", "Execution time: ", "Time outside of calls: "];
    let told = digest.lines().filter(|line| {
        let is_of_it = of_the_worker.iter().any(|it| line.starts_with(it));
        !line.is_empty() && !is_of_it
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), expected.len(), "{digest}");
    for (told, expected) in told.iter().zip(&expected) {
        assert!(
            told.starts_with(expected.as_str()),
            "no `{expected}` in its place in {digest}"
        );
    }
}
