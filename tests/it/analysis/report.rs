//! `triscope report` over the workers of a data directory.

use std::{collections::HashMap, fs, io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::support::{Finished, demo, finish, triscope};

const SEED: &str = include_str!("../../samples/seed-metrics.jsonl");

fn report(arguments: &[&str]) -> Finished {
    finish(&mut triscope(["report"].iter().chain(arguments)))
}

#[test]
fn all_workers_of_a_data_directory_are_summed_up() {
    let workers = demo().workers();
    let data_dir = workers[0].parent().unwrap().to_str().unwrap().to_owned();
    let in_files: usize = workers
        .iter()
        .map(|it| {
            fs::read_to_string(it.join("metrics.jsonl"))
                .unwrap()
                .lines()
                .count()
        })
        .sum();
    let calls = |by: &str, named: &[&str]| {
        let arguments = [&["--by", by, "--format", "json"], named].concat();
        let rows: Vec<Value> = serde_json::from_value(report(&arguments).json()).unwrap();
        let calls = rows.iter().map(|it| it["count"].as_u64().unwrap());
        (rows.len(), usize::try_from(calls.sum::<u64>()).unwrap())
    };
    let (n_workers, n_calls) = calls("worker", &["--data-dir", &data_dir]);
    assert_eq!((n_workers, n_calls), (workers.len(), in_files));
    assert_eq!(calls("worker", &[&data_dir]), (workers.len(), in_files));
    assert_eq!(calls("owner", &[&data_dir]), (1, in_files));
    // One by its id, and one by its directory.
    let one = fs::read_to_string(workers[0].join("metrics.jsonl"))
        .unwrap()
        .lines()
        .count();
    let id = workers[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(calls("worker", &["--data-dir", &data_dir, id]), (1, one));
    assert_eq!(calls("worker", &[workers[0].to_str().unwrap()]), (1, one));
    assert_eq!(calls("worker", &["--worker", id, &data_dir]), (1, one));
}

#[test]
fn rows_have_the_promised_keys_in_every_form_for_programs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, SEED).unwrap();
    let path = path.to_str().unwrap();
    let promised = [
        "model",
        "phase",
        "count",
        "failures",
        "total_ms",
        "mean_ms",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "max_ms",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
    ];
    let rows = report(&["--by", "model,phase", "--format", "json", path]).json();
    for key in promised {
        assert!(rows[0].get(key).is_some(), "{key}");
    }
    assert_eq!(rows[0]["model"], "gpt-5-mini");
    let jsonl = report(&["--by", "model,phase", "--format", "jsonl", path]).answer();
    let lines: Vec<Value> = jsonl
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(Value::from(lines), rows);
    let csv = report(&["--by", "model,phase", "--format", "csv", path]).answer();
    assert!(
        csv.starts_with("model,phase,count,failures,total_ms,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 3);
    let markdown = report(&["--format", "markdown", path]).answer();
    assert!(
        markdown.starts_with("| model | tool | calls |"),
        "{markdown}"
    );
}

#[test]
fn conditions_and_options_choose_calls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, SEED).unwrap();
    let path = path.to_str().unwrap();
    for (arguments, count) in [
        (&[][..], 3),
        (&["--where", "duration_ms > 1000 and success"], 1),
        (&["--where", "not success"], 0),
        (&["--model", "gpt-5-mini", "--phase", "summary,other"], 1),
        (&["--tool", "ssh_exec"], 1),
        (&["--since", "2025-12-15T04:08:09Z"], 2),
        (&["--until", "2025-12-15"], 0),
        (&["--since", "1h"], 0),
    ] {
        let rows =
            report(&[arguments, &["--by", "event", "--format", "json", path]].concat()).json();
        let counts = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["count"].as_u64().unwrap());
        assert_eq!(counts.sum::<u64>(), count, "{arguments:?}");
    }
}

#[test]
fn standard_input_is_read() {
    let mut child = triscope(["report", "-", "--by", "tool", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(SEED.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let csv = String::from_utf8(output.stdout).unwrap();
    assert!(csv.contains("\nssh_exec,1,0,1111,1111,"), "{csv}");
}

#[test]
fn costs_stand_beside_tokens_and_what_is_not_known_below() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    // Of the seed's models, one that nobody has a price of, as the last line.
    let stranger = SEED.lines().find(|it| it.contains("llm_call")).unwrap();
    let stranger = stranger.replace("gpt-5-mini", "qwen3");
    fs::write(&path, format!("{SEED}{stranger}\n")).unwrap();
    let path = path.to_str().unwrap();
    let costs = |arguments: &[&str]| {
        let rows = report(&[&["--by", "model", "--format", "json", path], arguments].concat());
        let rows: Vec<Value> = serde_json::from_value(rows.json()).unwrap();
        let cost = |it: &Value| {
            (
                it["model"].as_str().unwrap().to_owned(),
                it["cost_usd"].clone(),
            )
        };
        rows.iter().map(cost).collect::<HashMap<_, _>>()
    };
    let usual = costs(&[]);
    assert!(usual["gpt-5-mini"].as_f64().unwrap() > 0.0, "{usual:?}");
    assert_eq!(usual["qwen3"], Value::Null);
    let table = report(&["--by", "model", path]).answer();
    assert!(
        table.lines().next().unwrap().ends_with("  COST  TOK/S"),
        "{table}"
    );
    let last = table.lines().last().unwrap();
    assert!(
        last.starts_with("Cost: at least $0.00") && last.ends_with(" (price of qwen3 unknown)."),
        "{table}"
    );

    // Prices of one's own, which go before.
    let prices = dir.path().join("prices.json");
    let model = json!({"id": "qwen3", "prices": [{"input": 1000, "output": 1000}]});
    let own = json!({"providers": [{"id": "*", "models": [model]}]});
    fs::write(&prices, own.to_string()).unwrap();
    let prices = ["--prices", prices.to_str().unwrap()];
    let own = costs(&prices);
    assert_eq!(own["gpt-5-mini"], usual["gpt-5-mini"]);
    assert!(own["qwen3"].as_f64().unwrap() > 0.1, "{own:?}");
    let dear = costs(&[&prices[..], &["--where", "cost_usd > 0.01"]].concat());
    assert_eq!(dear.len(), 1);
    assert_eq!(dear["qwen3"], own["qwen3"]);
    let missing = report(&["--prices", "/nowhere.json", path]).expect(2);
    assert!(
        missing.stderr.contains("/nowhere.json"),
        "{}",
        missing.stderr
    );
}
