//! `metadata.json`: whole, complete, and honest about what it does not know.

use std::{fs, sync::atomic::AtomicBool, sync::atomic::Ordering, thread};

use metrics_core::{SpanId, TraceContext, TraceId};
use serde_json::{Value, json};

use super::support::{SetOnDrop, TestStore, noon};
use crate::{METADATA_FORMAT, Metadata, NewWorker, Status, StoreError, WorkerFilter, file_names};

#[test]
fn all_fields_stand_in_their_order_and_read_back() {
    let it = TestStore::new();
    let trace_id: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
    let (span_id, parent): (SpanId, SpanId) = (
        "b7ad6b7169203331".parse().unwrap(),
        "00f067aa0ba902b7".parse().unwrap(),
    );
    let new = NewWorker {
        config: json!({"model": "offline-rules", "timeout_seconds": 300}),
        owner: "somebody".to_owned(),
        trace: TraceContext {
            trace_id,
            span_id,
            parent_span_id: Some(parent),
        },
        parent_worker_id: Some("parent".into()),
        job_id: Some(u64::MAX),
        attempt: Some(2),
        ..NewWorker::new("task")
    };
    let worker = it.store.create_worker(new).unwrap();
    worker
        .update(|it| {
            it.status = Status::Timeout;
            it.started_at = Some(noon());
            it.finished_at = Some(noon().plus_micros(1234));
            it.duration_ms = Some(1);
            it.duration_us = Some(1234);
            it.error = Some("took \"too\" long\n".to_owned());
            it.summary = Some("…".to_owned());
            it.summary_meta = json!({"method": "beginning"});
            it.events = Some(3);
            it.events_lost = Some(1);
        })
        .unwrap();
    let read = it.store.worker(&worker.id()).unwrap().metadata().unwrap();
    assert_eq!(read, worker.metadata());
    assert_eq!(read.run.as_deref(), Some(it.store.run_id()));
    assert_eq!((read.job_id, read.format), (Some(u64::MAX), 1));
    let json = fs::read_to_string(worker.dir().join(file_names::METADATA)).unwrap();
    let keys: Vec<_> = json
        .lines()
        .filter_map(|it| it.strip_prefix("  \"")?.split_once('"'))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        keys,
        [
            "worker_id",
            "task",
            "config",
            "status",
            "created_at",
            "started_at",
            "finished_at",
            "duration_ms",
            "duration_us",
            "error",
            "summary",
            "summary_meta",
            "owner",
            "trace_id",
            "span_id",
            "parent_worker_id",
            "parent_span_id",
            "job_id",
            "attempt",
            "run",
            "host",
            "boot_id",
            "events",
            "events_lost",
            "format",
        ]
    );
}

#[test]
fn a_higher_format_is_read_and_left_as_it_is() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let path = writer.dir().join(file_names::METADATA);
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["format"] = json!(2);
    json["colour"] = json!({"of": ["another", "version"]});
    let id = writer.id();
    drop(writer); // Its end writes no metadata by itself.
    let bytes = serde_json::to_vec(&json).unwrap();
    fs::write(&path, &bytes).unwrap();

    let read = reader.metadata().unwrap();
    assert_eq!(read.format, 2);
    assert_eq!(read.extra["colour"], json["colour"]);
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(again, json, "unknown fields are kept");
    // Neither reading, listing, searching nor opening another store touches it.
    it.store.list(&WorkerFilter::default()).unwrap();
    it.store
        .search("x", &crate::SearchOptions::default())
        .unwrap();
    let other = super::support::open(it.temp.path(), &it.clock);
    other.worker(&id).unwrap().metadata().unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_file_of_an_older_writer_needs_only_the_first_fields() {
    let json = json!({
        "worker_id": "w",
        "task": "t",
        "status": "success",
        "created_at": "2025-12-15T04:08:08+00:00",
    });
    let metadata: Metadata = serde_json::from_value(json).unwrap();
    assert_eq!(metadata.owner, "local");
    assert_eq!(metadata.format, METADATA_FORMAT);
    assert_eq!((metadata.run, metadata.job_id), (None, None));
}

#[test]
fn a_reader_always_finds_whole_metadata_while_it_changes() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _over_at_last = SetOnDrop(&is_over);
            for n in 0..500_usize {
                let update = |it: &mut Metadata| it.error = Some("x".repeat(n * 37 % 9000));
                writer.update(update).unwrap();
            }
        });
        while !is_over.load(Ordering::SeqCst) {
            reader.metadata().unwrap();
        }
    });
    let files = reader.files().unwrap();
    assert_eq!(files, ["metadata.json", "metrics.jsonl"]);
    // Besides them only the room for its end.
    assert_eq!(fs::read_dir(writer.dir()).unwrap().count(), 3);
}

#[test]
fn an_update_that_cannot_be_written_is_written_with_the_next_one() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    let away = it.temp.path().join("away");
    fs::rename(writer.dir(), &away).unwrap();
    let error = writer.update(|it| it.events = Some(7)).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }));
    assert!(error.to_string().contains("metadata.json"), "{error}");
    fs::rename(&away, writer.dir()).unwrap();
    writer.update(|it| it.status = Status::Failed).unwrap();
    let read = reader.metadata().unwrap();
    assert_eq!((read.events, read.status), (Some(7), Status::Failed));
}

#[test]
fn an_update_cannot_give_a_worker_another_ones_id() {
    let it = TestStore::new();
    let (writer, reader) = it.pair();
    writer.update(|it| it.worker_id = "other".into()).unwrap();
    assert_eq!(reader.metadata().unwrap().worker_id, writer.id());
}

#[test]
fn the_id_is_known_while_metadata_is_being_written() {
    let it = TestStore::new();
    let worker = it.worker("task");
    worker
        .update(|metadata| assert_eq!(worker.id(), metadata.worker_id))
        .unwrap();
}

#[test]
fn a_word_that_is_no_status_is_told_the_words_that_are() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(json!(status), status.as_str());
    }
    let error = "done".parse::<Status>().unwrap_err().to_string();
    assert_eq!(
        error,
        "`done` is not a status; use created, running, success, failed, timeout or cancelled"
    );
}

#[test]
fn a_usage_of_another_kind_makes_no_worker_unreadable() {
    let read = |usage: &str| {
        let text = format!(
            r#"{{"worker_id":"w","task":"t","status":"success","created_at":"2025-12-15T04:08:08Z","usage":{usage}}}"#
        );
        serde_json::from_str::<Metadata>(&text).unwrap().usage
    };
    for usage in ["null", "5", r#"{"cost_usd":"0.1"}"#, r#"{"llm_calls":-1}"#] {
        assert_eq!(read(usage), None, "{usage}");
    }
    let usage = read(r#"{"llm_calls":2,"cost_usd":0.10}"#).unwrap();
    assert_eq!(usage.llm_calls, 2);
    assert_eq!(usage.cost_usd.unwrap().to_string(), "0.10");
}
