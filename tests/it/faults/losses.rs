//! What a recorder that lost events must say of them, and where.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::recording::{Recording, Stored};
use crate::{
    cli::metadata,
    support::{LogFile, finish, triscope},
};

/// Checks one worker after its end, fault or no fault: it succeeded, and each of its events is in its file or counted as
/// lost, in the report and the metadata. Gives the loss.
#[track_caller]
pub(super) fn assert_accounted_for(report: &Value, worker: &Path, recorded: u64) -> u64 {
    assert_eq!(report["status"], "success", "{report}");
    assert_eq!(report["result"], "done");
    let stored = Stored::read(worker);
    stored.assert_in_order();
    assert_eq!(stored.torn, b"");
    let lost = recorded - stored.len();
    let metadata = metadata(worker);
    for says in [report, &metadata] {
        assert_eq!(
            (&says["events"], &says["events_lost"]),
            (&recorded.into(), &lost.into()),
            "{says}"
        );
    }
    assert_eq!(metadata["status"], "success");
    assert_eq!(
        metadata["events_lost_reason"].is_string(),
        lost > 0,
        "{metadata}"
    );
    lost
}

/// Checks that the log says that this worker lost so many events, and nothing else of losses.
#[track_caller]
pub(super) fn assert_logged(log: &Path, report: &Value, lost: u64) {
    let log = LogFile::read(log);
    let said = log.lines().into_iter().filter(|it| {
        it.message == "events_lost" && it.get("worker_id") == report["worker_id"].as_str()
    });
    let said: Vec<u64> = said
        .map(|it| it.get("lost").unwrap().parse().unwrap())
        .collect();
    assert_eq!(said.iter().sum::<u64>(), lost, "{said:?}");
}

/// Checks what a supervisor reads of the worker.
#[track_caller]
pub(super) fn assert_told(it: &Recording, report: &Value, lost: u64, reason: &str) {
    let mut result = triscope(["result", "--data-dir"]);
    let worker = report["worker_id"].as_str().unwrap();
    let text = finish(result.arg(it.data_dir()).arg(worker)).answer();
    let warning = format!("\nWarning: {lost} events lost ({reason})\n");
    assert!(text.contains(&warning), "no {warning:?} in {text}");
    assert!(text.ends_with("\n\ndone\n"), "{text}");
}

/// What a worker's directory is called in its store.
#[track_caller]
pub(super) fn dir_of(it: &Recording, report: &Value) -> PathBuf {
    it.data_dir()
        .join(report["worker_id"].as_str().expect("a worker"))
}
