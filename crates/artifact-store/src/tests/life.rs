//! A worker that its program runs itself, from its beginning to its end.

use std::{fs, io, time::Duration};

use metrics_core::{CallTime, ToolCall};

use super::support::TestStore;
use crate::{Ended, NewWorker, Status};

#[test]
fn an_end_has_its_result_its_times_and_its_events() {
    let it = TestStore::new();
    let worker = it.store.create_worker(NewWorker::new("back up")).unwrap();
    let began = it.store.clock().timestamp();
    worker.start(began).unwrap();
    assert_eq!(worker.metadata().status, Status::Running);
    let time = CallTime::new(began, Duration::from_millis(98));
    let event = ToolCall::new("ssh_exec", time).into();
    worker.sink().record(&worker.id(), &event);
    let result: Result<_, io::Error> = Ok("Done.");
    let ended = Ended::with(&result, Duration::from_micros(120_500));
    assert_eq!(worker.finish(&ended).unwrap().recorded, 1);
    let reader = it.store.worker(&worker.id()).unwrap();
    let metadata = reader.metadata().unwrap();
    assert_eq!((metadata.status, metadata.error), (Status::Success, None));
    assert_eq!(
        (metadata.duration_ms, metadata.duration_us),
        (Some(120), Some(120_500))
    );
    assert_eq!(metadata.finished_at, Some(began.plus_micros(120_500)));
    assert_eq!((metadata.events, metadata.events_lost), (Some(1), Some(0)));
    assert_eq!(
        reader.read_file("result.txt", 0, 100).unwrap().text,
        "Done."
    );
}

#[test]
fn a_failure_has_its_reason_and_a_result_that_cannot_be_written_is_no_reason_to_hide_the_end() {
    let it = TestStore::new();
    let worker = it.store.create_worker(NewWorker::new("back up")).unwrap();
    worker.start(it.store.clock().timestamp()).unwrap();
    fs::create_dir(worker.dir().join("result.txt")).unwrap();
    let result: Result<String, _> = Err(io::Error::other("no route to host"));
    let ended = Ended::with(&result, Duration::from_millis(5));
    assert!(worker.finish(&ended).is_err());
    let metadata = it.store.worker(&worker.id()).unwrap().metadata().unwrap();
    assert_eq!(metadata.status, Status::Failed);
    assert_eq!(metadata.error.as_deref(), Some("no route to host"));
}
