//! Nobody sees what is somebody else's.

use artifact_store::NewWorker;
use serde_json::json;

use super::support::Office;

#[tokio::test]
async fn another_owners_jobs_are_not_there() {
    let office = Office::with_room_for(1);
    office.done_as("ann", "calculate 7*6").await;
    office.done_as("bob", "the result of bob").await;
    office.spawn_as("ann", "wait").await;
    office.somebody_waits().await;
    let queued = office.spawn_as("ann", "make calls").await;
    let (ann, bob) = (office.tools("ann"), office.tools("bob"));

    let ids = [
        json!(1),
        json!("1"),
        json!(3),
        json!(queued),
        json!("2025-12-15T04-08-08_calculate-7-6"),
        json!("2025-12-15T04-08-08_wait"),
    ];
    for id in &ids {
        let shown = id.as_str().map_or(id.to_string(), str::to_owned);
        for (tool, arguments) in [
            ("read_worker_result", json!({"job_id": id})),
            (
                "read_worker_file",
                json!({"job_id": id, "file_path": "result.txt"}),
            ),
            (
                "read_worker_file",
                json!({"job_id": id, "file_path": "../x"}),
            ),
            ("get_worker_metadata", json!({"job_id": id})),
            ("worker_metrics", json!({"job_id": id})),
            ("cancel_worker", json!({"job_id": id})),
        ] {
            // As it is for a job that nobody has.
            let not_found =
                format!("Error: job {shown} not found. Use list_workers to see job ids.");
            assert_eq!(bob.call(tool, &arguments).await, not_found);
            assert_ne!(
                ann.call("worker_metrics", &json!({"job_id": id})).await,
                not_found
            );
        }
    }
    assert_eq!(
        bob.call("list_workers", &json!({})).await,
        "- job 2 (worker 2025-12-15T04-08-08_the-result-of-bob): success, 0.01ms: the result of bob"
    );
    let found = bob
        .call("grep_workers", &json!({"pattern": "is 42|calculate|ann"}))
        .await;
    assert_eq!(
        found,
        "0 matches for `is 42|calculate|ann` in 1 worker of the last 24 hours."
    );
    let nobody = office.tools("eve");
    assert_eq!(
        nobody.call("list_workers", &json!({})).await,
        "No workers. Start one with spawn_worker."
    );
    assert_eq!(
        nobody.call("grep_workers", &json!({"pattern": "."})).await,
        "0 matches for `.` in 0 workers of the last 24 hours."
    );
    // Nothing of ann's was cancelled.
    office.go_on();
    office.supervisor.idle().await;
    let listed = ann
        .call("list_workers", &json!({"status": "success"}))
        .await;
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

#[tokio::test]
async fn a_worker_without_a_job_has_an_owner_too() {
    let office = Office::new();
    let mut new = NewWorker::new("backup");
    new.owner = "ann".to_owned();
    let worker = office.supervisor.store().create_worker(new).unwrap();
    let arguments = json!({"job_id": worker.id().as_str()});
    let read = |owner: &str| {
        let tools = office.tools(owner);
        let arguments = arguments.clone();
        async move { tools.call("read_worker_result", &arguments).await }
    };
    assert_eq!(
        read("bob").await,
        "Error: job 2025-12-15T04-08-08_backup not found. Use list_workers to see job ids."
    );
    assert_eq!(
        read("ann").await,
        "Error: worker 2025-12-15T04-08-08_backup is still running. Call read_worker_result again later."
    );
}

#[tokio::test]
async fn who_sees_all_spawns_for_the_default_owner() {
    let office = Office::new();
    let all = office.supervisor.tools(None);
    let arguments = json!({"task": "calculate 7*6", "wait": true});
    all.call("spawn_worker", &arguments).await;
    office.done_as("ann", "x").await;
    assert_eq!(
        office.metadata("2025-12-15T04-08-08_calculate-7-6").owner,
        "local"
    );
    let listed = all.call("list_workers", &json!({})).await;
    assert_eq!(listed.lines().count(), 2);
}

/// Whatever an owner is called, it is only a name.
#[tokio::test]
async fn owners_are_names_to_the_letter() {
    let office = Office::new();
    let names = ["ann", "Ann", "ann ", "", "%", "' OR 1=1 --", "*"];
    for name in names {
        office.done_as(name, "x").await;
    }
    for name in names {
        let listed = office.tools(name).call("list_workers", &json!({})).await;
        assert_eq!(listed.lines().count(), 1, "{name:?}: {listed}");
    }
}
