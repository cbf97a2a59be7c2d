//! Files that were damaged or taken away: it is said, and what is left can be read.

use std::fs;

use artifact_store::PruneOptions;
use insta::assert_snapshot;
use serde_json::json;

use super::support::Office;

const WORKER: &str = "2025-12-15T04-08-08_calculate-7-6";

#[tokio::test]
async fn damaged_metadata_leaves_the_files() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    fs::write(office.path(WORKER, "metadata.json"), "{").unwrap();
    let dir = office.supervisor.store().data_dir().display().to_string();
    let text = office.read(id).await.replace(&dir, "<data>");
    assert_snapshot!(text, @"Error: the metadata of worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6), success in the job book, cannot be read: `<data>/2025-12-15T04-08-08_calculate-7-6/metadata.json` is damaged: EOF while parsing an object at line 1 column 1. Its other files may be whole: call read_worker_file with file_path=result.txt.");
    for tool in ["get_worker_metadata", "worker_metrics"] {
        let same = office.call(tool, json!({"job_id": id})).await;
        assert_eq!(same.replace(&dir, "<data>"), text);
    }
    for job_id in [json!(id), json!(WORKER)] {
        let arguments = json!({"job_id": job_id, "file_path": "result.txt"});
        assert_eq!(
            office.call("read_worker_file", arguments.clone()).await,
            format!(
                "Contents of result.txt from worker job 1 (worker {WORKER}):\n\nThe result is 42."
            )
        );
        let other = office
            .tools("bob")
            .call("read_worker_file", &arguments)
            .await;
        assert!(other.contains("not found"), "{other}");
    }
    let cancel = office.call("cancel_worker", json!({"job_id": id})).await;
    assert!(cancel.contains("has ended already"), "{cancel}");
}

#[tokio::test]
async fn an_end_that_did_not_reach_the_metadata_is_known_from_the_book() {
    let office = Office::new();
    let id = office.done("fail").await;
    office.edit_metadata("2025-12-15T04-08-08_fail", |it| {
        it["status"] = json!("running");
        for key in ["duration_ms", "duration_us", "error", "finished_at"] {
            it[key] = json!(null);
        }
    });
    assert_snapshot!(office.read(id).await, @"
    Result from worker job 1 (worker 2025-12-15T04-08-08_fail):

    Execution time: 1234ms (1.2s)
    Status: failed
    Error: no route to host

    half of it
    ");
}

#[tokio::test]
async fn a_worker_that_was_removed_is_told_from_one_that_never_was() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    let all = PruneOptions {
        keep: Some(0),
        ..PruneOptions::default()
    };
    assert_eq!(office.supervisor.store().prune(&all).unwrap().kept, 0);
    let text = office.read(id).await;
    assert_snapshot!(text, @"Error: the worker of job 1 (2025-12-15T04-08-08_calculate-7-6, success) was removed, and its result with it. Spawn the task again if it is needed.");
    for job_id in [json!(id), json!(WORKER)] {
        for tool in [
            "read_worker_result",
            "get_worker_metadata",
            "worker_metrics",
        ] {
            let same = office.call(tool, json!({"job_id": job_id})).await;
            assert_eq!(same, text, "{tool}");
        }
        let arguments = json!({"job_id": job_id, "file_path": "result.txt"});
        assert_eq!(office.call("read_worker_file", arguments).await, text);
        let cancel = office.call("cancel_worker", json!({"job_id": job_id}));
        assert!(cancel.await.contains("has ended already"));
        let bob = office.tools("bob");
        let arguments = json!({"job_id": job_id});
        let other = bob.call("read_worker_result", &arguments).await;
        assert!(other.contains("not found"), "{other}");
    }
    assert_eq!(
        office.call("list_workers", json!({})).await,
        "No workers. Start one with spawn_worker."
    );
    // The number is not given again.
    assert_eq!(office.done("calculate 7*6").await.get(), 2);
}

#[tokio::test]
async fn a_book_that_is_gone_is_said() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    let path = office.supervisor.store().own_dir().join("jobs.sqlite");
    fs::write(&path, vec![b'x'; 100_000]).unwrap();
    let _ = fs::remove_file(path.with_extension("sqlite-wal"));
    let text = office.read(id).await;
    // SQLite may still know the page by heart.
    assert!(
        text.starts_with("Error: ") || text.ends_with("The result is 42."),
        "{text}"
    );
    assert_eq!(text.starts_with("Error: "), text.lines().count() == 1);
}
