//! A question about some hour reads only the workers that can have an answer.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::support::{eventually, finish, triscope};

const DAYS: [u32; 4] = [15, 16, 17, 18];

/// A data directory with an ended worker for each day, of one call and one failed one.
fn store() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".triscope")).unwrap();
    for day in DAYS {
        worker(dir.path(), day);
    }
    dir
}

fn worker(data_dir: &Path, day: u32) {
    let id = format!("2025-12-{day}T04-08-08_backup");
    let worker = data_dir.join(&id);
    fs::create_dir(&worker).unwrap();
    let time = format!("2025-12-{day}T04:08:08.000000Z");
    let call = |end: &str| {
        format!(
            "{{\"event\":\"tool_call\",\"tool\":\"t\",\"start_ts\":\"{time}\",\"end_ts\":\"{time}\",\"duration_ms\":0,{end}}}\n"
        )
    };
    let calls = [
        call("\"success\":true"),
        call("\"success\":false,\"error\":\"no\""),
    ];
    fs::write(worker.join("metrics.jsonl"), calls.concat()).unwrap();
    let metadata = format!(
        "{{\"worker_id\":\"{id}\",\"task\":\"back up\",\"status\":\"success\",\"created_at\":\"{time}\",\"events\":2,\"format\":1}}"
    );
    fs::write(worker.join("metadata.json"), metadata).unwrap();
}

/// What a command prints for people about the calls from the 18th on.
#[track_caller]
fn since(data_dir: &Path, command: &str) -> String {
    let arguments = [command, "--since", "2025-12-18", "--data-dir"];
    finish(triscope(arguments).arg(data_dir)).answer()
}

/// Asks until the command says what it has read, as what has just been written is not believed yet.
#[track_caller]
fn wait_for(data_dir: &Path, command: &str, read: &str) -> String {
    eventually(read, || {
        let text = since(data_dir, command);
        text.contains(read).then_some(text)
    })
}

#[test]
fn once_the_index_is_made_only_the_workers_that_matter_are_read() {
    let store = store();
    let first = since(store.path(), "report");
    assert!(first.contains("\n2 of 8 calls in 4 files; "), "{first}");
    let then = wait_for(store.path(), "report", "\n2 calls in 1 file; ");
    // Without the line that counts what was read.
    let rows = |text: &str| text.rsplit_once("\n2 ").unwrap().0.to_owned();
    assert_eq!(rows(&then), rows(&first));
    for (command, counted) in [
        ("slow", "\n2 calls in 1 file."),
        ("failures", "\n2 calls in 1 file."),
        ("histogram", "\n2 calls in 1 file; "),
    ] {
        wait_for(store.path(), command, counted);
    }
    // A worker that came since.
    worker(store.path(), 19);
    wait_for(store.path(), "report", "\n4 calls in 2 files; ");
}

#[test]
fn a_damaged_index_changes_no_answer() {
    let store = store();
    wait_for(store.path(), "report", "\n2 calls in 1 file; ");
    let index = store.path().join(".triscope/index.sqlite");
    fs::write(&index, "garbage").unwrap();
    let all = since(store.path(), "report");
    assert!(all.contains("\n2 of 8 calls in 4 files; "), "{all}");
    wait_for(store.path(), "report", "\n2 calls in 1 file; ");
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    let all = since(store.path(), "report");
    assert!(all.contains("\n2 of 8 calls in 4 files; "), "{all}");
}

#[test]
fn a_directory_that_is_no_store_gets_no_index() {
    let store = store();
    fs::remove_dir(store.path().join(".triscope")).unwrap();
    let all = since(store.path(), "report");
    assert!(all.contains("\n2 of 8 calls in 4 files; "), "{all}");
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), DAYS.len());
}
