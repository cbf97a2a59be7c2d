//! `triscope timeline` and `triscope compare`.

use std::fs;

use crate::{
    cli::Place,
    support::{finish, triscope},
};

const PYTHON: &str = include_str!("../../samples/original-python-metrics.jsonl");

#[test]
fn a_timeline_shows_calls_and_the_agents_own_time() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("w1")).unwrap();
    fs::write(dir.path().join("w1/metrics.jsonl"), PYTHON).unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let drawn = finish(&mut triscope(["timeline", "w1", "--data-dir", data_dir])).answer();
    let lines: Vec<_> = drawn.lines().collect();
    assert_eq!(lines.len(), 5 + 4 + 2, "{drawn}");
    assert!(lines[0].starts_with("gpt-5-mini tool_decision"), "{drawn}");
    assert!(lines[4].starts_with("http_request ✗"), "{drawn}");
    assert!(
        drawn.contains("56,800ms from the first call to the last: models 5,934ms, tools 49,500ms"),
        "{drawn}"
    );
    let rows = finish(&mut triscope([
        "timeline",
        "w1",
        "--data-dir",
        data_dir,
        "--format",
        "json",
    ]))
    .json();
    let sum: u64 = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["duration_ms"].as_u64().unwrap())
        .sum();
    // Nothing overlaps here, so calls and gaps make up the whole, each rounded down.
    assert!((56_790..=56_800).contains(&sum), "{sum}");
    finish(&mut triscope(["timeline", "gone", "--data-dir", data_dir])).expect(1);
}

#[test]
fn a_workers_job_number_does_for_its_id() {
    let place = Place::new();
    place.worker("say hello"); // One call fewer: times may be the same.
    let worker = place.worker("calculate 7*6");
    let id = worker.file_name().unwrap().to_str().unwrap();
    let ask = |command: &str, worker: &str| {
        let words = command.split(' ').chain([worker, "--format", "json"]);
        place.run(&words.collect::<Vec<_>>())
    };
    for command in ["timeline", "slow", "report --by worker"] {
        let by_id = ask(command, id).json();
        assert_eq!(ask(command, "2").json(), by_id, "{command}");
        assert_ne!(ask(command, "1").json(), by_id, "{command}");
    }
    let ended = ask("timeline", "99").expect(1);
    assert!(
        ended.stderr.contains("  99: No such file or directory"),
        "{ended:?}"
    );
    // A file of that name goes before.
    fs::copy(worker.join("metrics.jsonl"), place.folder().join("1")).unwrap();
    assert_eq!(ask("timeline", "1").json(), ask("timeline", id).json());
}

#[test]
fn a_comparison_tells_a_difference_from_noise() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, base: u64, day: u64| {
        let lines = (0..100).map(|n| {
            let ms = base + n % 50;
            format!("{{\"event\":\"tool_call\",\"tool\":\"t\",\"start_ts\":\"2025-12-{day}T04:08:08.000000Z\",\"end_ts\":\"2025-12-{day}T04:08:09.000000Z\",\"duration_ms\":{ms},\"success\":true}}\n")
        });
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(
            dir.path().join(name).join("metrics.jsonl"),
            lines.collect::<String>(),
        )
        .unwrap();
    };
    file("a", 100, 15);
    file("b", 101, 16);
    file("c", 140, 17);
    let data_dir = dir.path().to_str().unwrap();
    let verdict = |a: &str, b: &str| {
        let rows = finish(&mut triscope([
            "compare",
            a,
            b,
            "--data-dir",
            data_dir,
            "--format",
            "json",
        ]))
        .json();
        assert_eq!(rows[0]["count_before"], 100);
        rows[0]["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("a", "b"), "no difference");
    assert_eq!(verdict("a", "c"), "slower");
    assert_eq!(verdict("c", "a"), "faster");
    assert_eq!(verdict("2025-12-15..2025-12-16", "2025-12-17.."), "slower");
}
