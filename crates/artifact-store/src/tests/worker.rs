//! A worker's directory as its writer leaves it.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, symlink},
    thread,
    time::Duration,
};

use serde_json::json;

use super::support::{LONG, TestStore, event, mkfifo, n_events};
#[cfg(feature = "tokio")]
use crate::NewWorker;
use crate::{ArtifactStore, EventCounts, StoreError};

#[test]
fn metrics_exist_from_the_start_and_grow_while_the_worker_runs() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let path = writer.dir().join("metrics.jsonl");
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert_eq!(n_events(&reader), 0);
    let sink = writer.sink();
    for n in 1..=3 {
        sink.record(&writer.id(), &event("ssh_exec"));
        sink.flush(&writer.id()).wait(LONG).unwrap();
        assert_eq!(n_events(&reader), n);
    }
    let counts = EventCounts {
        recorded: 3,
        lost: 0,
    };
    assert_eq!(writer.event_counts(), counts);
    assert_eq!(writer.finish_metrics(LONG), (counts, None));
}

#[test]
fn dropping_a_worker_writes_its_events() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    for _ in 0..1000 {
        writer.sink().record(&writer.id(), &event("ssh_exec"));
    }
    drop(writer);
    assert_eq!(n_events(&reader), 1000);
}

#[test]
fn events_of_a_worker_whose_directory_is_gone_are_counted_with_the_reason() {
    let it = TestStore::new();
    let (writer, _) = it.pair();
    fs::remove_dir_all(writer.dir()).unwrap();
    writer.sink().record(&writer.id(), &event("ssh_exec"));
    let (counts, reason) = writer.finish_metrics(Duration::from_millis(500));
    assert_eq!((counts.recorded, counts.lost), (1, 1));
    assert_eq!(reason.as_deref(), Some("the worker's directory is gone"));
}

#[test]
fn result_conversation_and_tool_outputs_are_kept_whole() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    writer.write_result("first").unwrap();
    writer.write_result("The result is 42.\r\n\0").unwrap();
    writer.append_message(&json!({"role": "user"})).unwrap();
    writer
        .append_message(&json!({"role": "assistant", "content": "a\nb"}))
        .unwrap();
    let mut paths = Vec::new();
    for (n, tool) in ["ssh_exec", "../../etc/passwd", "", "a b=c"]
        .iter()
        .enumerate()
    {
        paths.push(writer.save_tool_output(n + 1, tool, "output").unwrap());
    }
    paths.push(writer.save_tool_output(1000, &"x".repeat(500), "").unwrap());
    assert_eq!(
        paths[..4],
        [
            "tool_calls/001_ssh_exec.txt",
            "tool_calls/002_______etc_passwd.txt",
            "tool_calls/003_tool.txt",
            "tool_calls/004_a_b_c.txt",
        ]
    );
    assert_eq!(paths[4].len(), "tool_calls/1000_.txt".len() + 60);
    let read = |file: &str| reader.read_file(file, 0, 1 << 20).unwrap().text;
    assert_eq!(read("result.txt"), "The result is 42.\r\n\0");
    assert_eq!(
        read("thread.jsonl"),
        "{\"role\":\"user\"}\n{\"content\":\"a\\nb\",\"role\":\"assistant\"}\n"
    );
    assert_eq!(read(&paths[0]), "output");
    paths.extend(
        [
            "metadata.json",
            "metrics.jsonl",
            "result.txt",
            "thread.jsonl",
        ]
        .map(Into::into),
    );
    paths.sort_unstable();
    assert_eq!(reader.files().unwrap(), paths);
}

#[test]
fn results_written_at_once_are_never_mixed() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    writer.write_result(&"0".repeat(10_000)).unwrap();
    thread::scope(|scope| {
        for n in 1..5 {
            let writer = &writer;
            let result = n.to_string().repeat(10_000);
            scope.spawn(move || {
                for _ in 0..500 {
                    writer.write_result(&result).unwrap();
                }
            });
        }
        for _ in 0..500 {
            let text = reader.read_file("result.txt", 0, 1 << 20).unwrap().text;
            assert_eq!(text, text[..1].repeat(10_000));
        }
    });
}

#[test]
fn messages_appended_at_once_stay_whole_lines() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    thread::scope(|scope| {
        for n in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                for _ in 0..50 {
                    writer.append_message(&n.to_string().repeat(500)).unwrap();
                }
            });
        }
    });
    let text = reader.read_file("thread.jsonl", 0, 1 << 20).unwrap().text;
    assert_eq!(text.lines().count(), 200);
    for line in text.lines() {
        assert_eq!(line.len(), 502);
        assert_eq!(line[1..501], line[1..2].repeat(500));
    }
}

#[test]
fn a_pipe_or_link_in_the_conversations_place_is_an_error_and_no_wait() {
    let it = TestStore::new();
    let (writer, _) = it.pair();
    let path = writer.dir().join("thread.jsonl");
    mkfifo(&path);
    let error = writer.append_message(&"x").unwrap_err().to_string();
    assert!(error.contains("thread.jsonl"), "{error}");
    fs::remove_file(&path).unwrap();
    let secret = it.temp.path().join("secret");
    symlink(&secret, &path).unwrap();
    writer.append_message(&"x").unwrap_err();
    assert!(!secret.exists());
}

#[test]
fn a_worker_that_is_not_there_is_not_found() {
    let it = TestStore::new();
    fs::write(it.temp.path().join("file"), "").unwrap();
    symlink("/etc", it.temp.path().join("link")).unwrap();
    let long = "x".repeat(5000);
    for id in [
        "nobody",
        "",
        ".",
        "..",
        "../..",
        "/etc",
        ".triscope",
        "a/b",
        "a\0b",
        "file",
        "link",
        &long,
    ] {
        let error = it.store.worker(&id.into()).unwrap_err();
        assert!(matches!(error, StoreError::WorkerNotFound { .. }), "{id}");
        let text = error.to_string();
        assert!(text.len() < 500, "{text}");
        assert!(text.contains(&*it.temp.path().to_string_lossy()), "{text}");
    }
}

#[test]
fn one_process_reads_what_another_store_writes() {
    let it = TestStore::new();
    let other = ArtifactStore::open(it.temp.path()).unwrap();
    let (writer, _) = it.pair();
    let reader = other.worker(&writer.id()).unwrap();
    writer.sink().record(&writer.id(), &event("ssh_exec"));
    writer.sink().flush(&writer.id()).wait(LONG).unwrap();
    assert_eq!(n_events(&reader), 1);
    assert_eq!(reader.metadata().unwrap().task, "task");
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn blocking_calls_can_be_awaited() {
    let it = TestStore::new();
    let new = NewWorker::new("task");
    let worker = it.store.unblock(|it| it.create_worker(new)).await.unwrap();
    let id = worker.id();
    let read = it.store.unblock(move |it| it.worker(&id)?.metadata()).await;
    assert_eq!(read.unwrap().task, "task");
    let panicked: Result<(), _> = it.store.unblock(|_| panic!("in the closure")).await;
    assert!(matches!(panicked, Err(StoreError::Io { .. })));
}

#[test]
fn room_is_kept_for_a_workers_end_and_no_longer() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let room = writer.dir().join("room.new");
    assert!(fs::metadata(&room).unwrap().len() >= 8 << 10);
    assert_eq!(reader.files().unwrap(), ["metadata.json", "metrics.jsonl"]);
    writer.finish_metrics(LONG);
    writer.write_result("done").unwrap();
    assert!(room.exists(), "given back though nothing was short");
    drop(writer);
    assert!(!room.exists());
}

#[test]
fn an_output_written_as_it_comes_has_a_file_of_its_own() {
    let it = TestStore::new();
    let (writer, _) = it.pair();
    let (mut file, path) = writer.create_tool_output(7, "../ssh exec").unwrap();
    assert_eq!(path, "tool_calls/007____ssh_exec.whole.txt");
    file.write_all(b"all of it").unwrap();
    writer
        .save_tool_output(7, "../ssh exec", "an end of it")
        .unwrap();
    let whole = writer.dir().join(&path);
    assert_eq!(fs::read_to_string(&whole).unwrap(), "all of it");
    assert_eq!(fs::metadata(&whole).unwrap().mode() & 0o777, 0o600);
    // Nobody's file is written into.
    writer.create_tool_output(7, "../ssh exec").unwrap_err();
    assert_eq!(fs::read_to_string(&whole).unwrap(), "all of it");
}
