//! What cannot be used is counted and named, and changes no sum.

use std::{fs, path::Path};

use crate::support::{Finished, finish, triscope};

const SEED: &str = include_str!("../../samples/seed-metrics.jsonl");

fn report(path: &Path, arguments: &[&str]) -> Finished {
    finish(
        triscope(["report", "--by", "event", "--format", "json"])
            .args(arguments)
            .arg(path),
    )
}

#[test]
fn damaged_lines_change_no_sum_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let good = report_of(&path, SEED.as_bytes());
    let line = SEED.lines().next().unwrap();
    let mut text = SEED.as_bytes().to_vec();
    for bad in [
        b"nonsense".to_vec(),
        vec![0; 300],
        b"{\"event\":\"llm_call\"".to_vec(),
        b"\xff\xfe{\x00\"\x00".to_vec(),
        line.replace(":111,", ":18446744073709551616,").into_bytes(),
        line.replace(":111,", ":-1,").into_bytes(),
        line.replace(":111,", ":1e400,").into_bytes(),
        line.replace("\"model\"", "\"phase\"").into_bytes(),
        "[".repeat(100_000).into_bytes(),
        "x".repeat(20 << 20).into_bytes(),
    ] {
        text.extend_from_slice(&bad);
        text.push(b'\n');
    }
    let mixed = report_of(&path, &text);
    assert_eq!(mixed.stdout, good.stdout);
    let said: Vec<_> = mixed.stderr.lines().collect();
    assert_eq!(said[0], "not used: 10 lines");
    assert_eq!(said.len(), 11);
    for (n, line) in (4..).zip(&said[1..]) {
        assert!(line.contains(&format!("metrics.jsonl:{n}: ")), "{line}");
    }
    assert!(
        said[10].ends_with("longer than 4194304 bytes"),
        "{}",
        said[10]
    );
}

fn report_of(path: &Path, text: &[u8]) -> Finished {
    fs::write(path, text).unwrap();
    report(path, &[]).expect(0)
}

#[test]
fn what_is_not_there_ends_with_1_and_the_rest_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, SEED).unwrap();
    let ended = report(&path, &["gone.jsonl"]).expect(1);
    assert!(ended.stdout.contains("\"total_ms\":1111"), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("gone.jsonl: No such file or directory"),
        "{ended:?}"
    );
    let ended = finish(&mut triscope(["report", "--data-dir", "gone"])).expect(3);
    assert_eq!(ended.stderr, "error: no data directory `gone`\n");
}

#[test]
fn a_slip_is_told_with_its_place_and_what_was_meant() {
    for (arguments, told) in [
        (
            ["report", "--where", "success and duraton_ms > 10"],
            "no field `duraton_ms`; did you mean `duration_ms`? at column 13",
        ),
        (
            ["report", "--by", "modle"],
            "nothing to group by is called `modle`; did you mean `model`?",
        ),
        (
            ["report", "--sort", "p95"],
            "no column `p95`; did you mean `p95_ms`?",
        ),
        (
            ["report", "--format", "xml"],
            "give table, json, jsonl, csv or markdown",
        ),
        (["report", "--since", "yesterday"], "give a time such as"),
        (
            ["report", "--by", "event,model,tool,phase,worker"],
            "--by takes at most 4 keys",
        ),
    ] {
        let ended = finish(&mut triscope(arguments)).expect(2);
        assert!(
            ended.stderr.contains(told),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
}
