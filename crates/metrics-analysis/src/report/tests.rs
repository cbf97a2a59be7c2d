//! What a report says.

use std::{fs, path::Path};

use super::{ReportOptions, Sort, report};
use crate::{Filter, Format, Groups, Input, Key, Seen, Table, scan};

const SEED: &str = include_str!("../../testdata/seed-metrics.jsonl");
const PYTHON: &str = include_str!("../../testdata/original-python-metrics.jsonl");

fn of(path: &Path, by: &[Key], sort: Option<&str>, limit: Option<usize>) -> (Table, Seen) {
    let (groups, seen) = scan(&[Input::Path(path.into())], &Filter::default(), || {
        Groups::by(by)
    });
    let sort = sort.map(|it| Sort::by(it, by).unwrap());
    let options = ReportOptions {
        by: by.to_vec(),
        sort,
        limit,
    };
    (report(groups.into_groups(), &options), seen)
}

#[test]
fn a_report_says_where_time_and_tokens_went() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    fs::write(
        &path,
        format!("{SEED}{PYTHON}nonsense\n{{\"event\":\"later\"}}\n"),
    )
    .unwrap();
    let (table, seen) = of(&path, &[Key::Model, Key::Tool], None, None);
    insta::assert_snapshot!(table.render(Format::Table), @r"
    MODEL       TOOL          CALLS  FAILED  TOTAL MS      MEAN     P50     P95     P99     MAX  PROMPT  COMPLETION  TOKENS  TOK/S
    -           http_request      1       1    30,000  30,000.0  30,000  30,000  30,000  30,000       -           -       -      -
    -           ssh_exec          2       0    20,611  10,305.5   1,111  19,500  19,500  19,500       -           -       -      -
    gpt-5-mini  -                 5       0     6,156   1,231.2     700   4,000   4,000   4,000   5,380         411   5,791   75.3
    ");
    assert_eq!(
        seen.summary(true),
        "8 calls in 1 file; percentiles are exact."
    );
    let complaints = seen.complaints();
    assert_eq!(complaints.len(), 2);
    assert_eq!(complaints[0], "not used: 1 line");
    assert!(
        complaints[1].ends_with("a.jsonl:9: expected ident at column 2"),
        "{complaints:?}"
    );
    insta::assert_snapshot!(of(&path, &[Key::Phase], Some("phase"), Some(1)).0.render(Format::Json), @r#"
    [
      {"phase":"initial","count":1,"failures":0,"total_ms":111,"mean_ms":111.0,"p50_ms":111,"p95_ms":111,"p99_ms":111,"max_ms":111,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"cached_tokens":null,"cache_write_tokens":null,"reasoning_tokens":null,"cost_usd":null,"cost_unknown_calls":null,"tokens_per_second":801.802,"mean_ttft_ms":null,"p50_ttft_ms":null,"p95_ttft_ms":null,"percentiles":"exact"}
    ]
    "#);
}

#[test]
fn columns_to_sort_by_are_checked() {
    assert!(Sort::by("count", &[]).is_ok());
    assert!(Sort::by("tool", &[Key::Tool]).is_ok());
    assert_eq!(
        Sort::by("tool", &[]).unwrap_err().split(';').next(),
        Some("no column `tool`")
    );
    assert_eq!(
        Sort::by("latency", &[]).unwrap_err(),
        "no column `latency`; there are count, failures, total_ms, mean_ms, p50_ms, p95_ms, p99_ms, max_ms, prompt_tokens, completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost_usd, cost_unknown_calls, tokens_per_second, mean_ttft_ms, p50_ttft_ms, p95_ttft_ms, percentiles"
    );
    assert_eq!(
        Sort::by("p95", &[]).unwrap_err(),
        "no column `p95`; did you mean `p95_ms`?"
    );
}

#[test]
fn rows_come_in_the_order_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    fs::write(&path, format!("{SEED}{PYTHON}")).unwrap();
    let first = |by: &[Key], sort| {
        let (table, _) = of(&path, by, sort, None);
        let csv = table.render(Format::Csv);
        let rows = csv
            .lines()
            .skip(1)
            .map(|it| it.split(',').next().unwrap().to_owned());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(
        first(&[Key::Phase], None),
        ["synthesis", "tool_decision", "summary", "initial"]
    );
    assert_eq!(
        first(&[Key::Phase], Some("phase")),
        ["initial", "summary", "synthesis", "tool_decision"]
    );
    assert_eq!(
        first(&[Key::Phase], Some("count")),
        ["summary", "initial", "synthesis", "tool_decision"]
    );
    assert_eq!(first(&[Key::Hour], None), ["2025-12-15T04:00Z"]);
}
