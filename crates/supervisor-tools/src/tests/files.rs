//! `read_worker_file`.

use std::{fs, os::unix::fs::symlink};

use insta::assert_snapshot;
use serde_json::json;

use super::support::Office;

const WORKER: &str = "2025-12-15T04-08-08_make-big-files";

#[tokio::test]
async fn a_file_is_shown_under_its_name() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let arguments = json!({"job_id": id, "file_path": "metrics.jsonl"});
    assert_snapshot!(office.call("read_worker_file", arguments).await, @r#"
    Contents of metrics.jsonl from worker job 1 (worker 2025-12-15T04-08-08_make-calls):

    {"event":"llm_call","phase":"initial","model":"test-model","start_ts":"2025-12-15T04:08:08.000000Z","end_ts":"2025-12-15T04:08:08.100000Z","duration_ms":100,"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200}
    {"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.100000Z","end_ts":"2025-12-15T04:08:08.120000Z","duration_ms":20,"success":true}
    {"event":"tool_call","tool":"http_request","start_ts":"2025-12-15T04:08:08.120000Z","end_ts":"2025-12-15T04:08:08.125000Z","duration_ms":5,"success":false,"error":"connection\nrefused"}
    "#);
    let arguments =
        json!({"job_id": "2025-12-15T04-08-08_make-calls", "file_path": "./result.txt"});
    let text = office.call("read_worker_file", arguments).await;
    assert!(
        text.ends_with(":\n\ncalled") || text.starts_with("Error: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_long_file_is_read_in_parts() {
    let office = Office::new();
    let id = office.done("make big files").await;
    let read = async |file: &str, offset: u64| {
        let arguments = json!({"job_id": id, "file_path": file, "offset": offset});
        office.call("read_worker_file", arguments).await
    };
    let first = read("tool_calls/001_lines.txt", 0).await;
    let head = "Contents of tool_calls/001_lines.txt from worker job 1 (worker 2025-12-15T04-08-08_make-big-files):\n\n123456789\n";
    assert!(first.starts_with(head));
    let end = "\n123456789\n[1048570 of 3000000 bytes; go on with offset=1048570]";
    assert!(first.ends_with(end), "{}", &first[first.len() - 100..]);
    let second = read("tool_calls/001_lines.txt", 1_048_570).await;
    assert!(second.ends_with("[1048570 of 3000000 bytes; go on with offset=2097140]"));
    let last = read("tool_calls/001_lines.txt", 2_097_140).await;
    assert!(last.ends_with("\n123456789\n"));

    // A line that is longer is cut at a character.
    let line = read("tool_calls/002_one_line.txt", 0).await;
    assert!(line.ends_with("éé\n[1048575 of 2000001 bytes; go on with offset=1048575]"));
    let rest = read("tool_calls/002_one_line.txt", 1_048_575).await;
    assert!(rest.ends_with(":\n\néé") || rest.ends_with("éé"));
    assert!(!rest.contains('\u{fffd}'));

    assert_snapshot!(read("result.txt", 4).await, @"Error: `result.txt` has 4 bytes, none at offset 4. Read it from a smaller offset.");
    assert_snapshot!(read("result.txt", u64::MAX).await, @"Error: `result.txt` has 4 bytes, none at offset 18446744073709551615. Read it from a smaller offset.");
    assert_snapshot!(read("result.txt", 2).await, @"
    Contents of result.txt from worker job 1 (worker 2025-12-15T04-08-08_make-big-files):

    de
    ");
}

#[tokio::test]
async fn no_path_leads_out() {
    let office = Office::new();
    let id = office.done("make big files").await;
    fs::write(
        office.supervisor.store().data_dir().join("secret"),
        "SECRET",
    )
    .unwrap();
    symlink("../secret", office.path(WORKER, "link")).unwrap();
    symlink("..", office.path(WORKER, "up")).unwrap();
    fs::hard_link(
        office.supervisor.store().data_dir().join("secret"),
        office.path(WORKER, "hard"),
    )
    .unwrap();
    let long = "x/".repeat(3000);
    for path in [
        "../secret",
        "..",
        ".",
        "/etc/passwd",
        "tool_calls/../../secret",
        "tool_calls",
        "link",
        "up/secret",
        "hard",
        "",
        "a\0b",
        "metrics.jsonl/",
        "/proc/self/environ",
        "../.triscope/jobs.sqlite",
        &long,
        "no\nsuch\u{1b}[31m",
    ] {
        let arguments = json!({"job_id": id, "file_path": path});
        let text = office.call("read_worker_file", arguments).await;
        assert!(text.starts_with("Error: "), "{path:?}: {text}");
        assert!(
            !text.contains("SECRET") && text.lines().count() == 1,
            "{text}"
        );
        assert!(text.len() < 2000, "{}", text.len());
    }
    let refused = json!({"job_id": id, "file_path": "../secret"});
    assert_snapshot!(office.call("read_worker_file", refused).await, @"Error: `../secret` holds `.` or `..`; use the relative path of a file in the worker's directory, such as `metrics.jsonl`.");
    let missing = json!({"job_id": id, "file_path": "report.txt"});
    assert_snapshot!(office.call("read_worker_file", missing).await, @"Error: worker `2025-12-15T04-08-08_make-big-files` has no file `report.txt`; its files: hard, link, metadata.json, metrics.jsonl, result.txt, thread.jsonl, tool_calls/001_lines.txt, tool_calls/002_one_line.txt, up.");
}

#[tokio::test]
async fn a_job_without_a_worker_has_no_files() {
    let office = Office::with_room_for(1);
    office.spawn("wait").await;
    office.somebody_waits().await;
    let queued = office.spawn("x").await;
    for (tool, arguments) in [
        (
            "read_worker_file",
            json!({"job_id": queued, "file_path": "result.txt"}),
        ),
        ("get_worker_metadata", json!({"job_id": queued})),
        ("worker_metrics", json!({"job_id": queued})),
    ] {
        assert_eq!(
            office.call(tool, arguments).await,
            "Error: job 2 is queued (1st in line). Call read_worker_result again later."
        );
    }
    office.go_on();
    office.supervisor.idle().await;
}

#[tokio::test]
async fn the_files_of_a_running_worker_can_be_read() {
    let office = Office::new();
    let id = office.spawn("wait").await;
    office.somebody_waits().await;
    let worker = json!({"job_id": "2025-12-15T04-08-08_wait", "file_path": "metrics.jsonl"});
    let text = office.call("read_worker_file", worker).await;
    assert_snapshot!(text, @"Contents of metrics.jsonl from worker job 1 (worker 2025-12-15T04-08-08_wait):");
    office.go_on();
    office.supervisor.idle().await;
    let job = json!({"job_id": id, "file_path": "metrics.jsonl"});
    let text = office.call("read_worker_file", job).await;
    assert!(text.contains(r#""tool":"ssh_exec""#), "{text}");
}
