//! Artifacts that cannot be written: the worker goes on, and it is said.

use std::{fs, path::Path, time::Duration};

use artifact_store::{EVENTS_LOST_REASON, Status, WorkerFilter};

use super::support::{Home, agent, call, say, tool};
use crate::{Message, Role, RunOptions, WorkerReport};

/// Runs a worker whose tool does `harm` to its directory and whose second turn answers.
async fn harmed(home: &Home, harm: impl Fn(&Path) + Copy + Send + Sync + 'static) -> WorkerReport {
    let store = home.store.clone();
    let tool = tool("harm", move |_| {
        let workers = store.list(&WorkerFilter::default()).unwrap().workers;
        harm(&store.data_dir().join(workers[0].worker_id.as_str()));
        async { Ok(String::new()) }
    });
    let options = RunOptions {
        flush_timeout: Duration::from_millis(100),
        ..RunOptions::default()
    };
    let runner = home.react([call([("harm", "")]), say("done")], vec![tool]);
    let report = runner.run_worker("x", options).await.unwrap();
    assert_eq!((report.status, &*report.result), (Status::Success, "done"));
    report
}

#[tokio::test]
async fn a_metrics_file_that_cannot_be_written_is_a_loss_with_a_reason() {
    let home = Home::new();
    let report = harmed(&home, |dir| {
        let path = dir.join("metrics.jsonl");
        fs::remove_file(&path).unwrap();
        while fs::create_dir(&path).is_err() {
            let _ = fs::remove_file(&path); // The writer's thread made it again.
        }
    })
    .await;
    // The first call may have reached the file before it went away.
    assert!(matches!(report.events_lost, 2 | 3), "{report:?}");
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.events, Some(3));
    assert_eq!(metadata.events_lost, Some(report.events_lost));
    let reason = metadata.extra[EVENTS_LOST_REASON].as_str().unwrap();
    assert!(!reason.is_empty() && reason.len() < 100, "{reason}");
    assert_eq!(metadata.status, Status::Success);
    assert_eq!(home.file(&report.worker_id, "result.txt"), "done");
    assert_eq!(report.problems, [""; 0]);
}

#[tokio::test]
async fn a_directory_that_is_gone_costs_the_worker_nothing_but_its_files() {
    let home = Home::new();
    let report = harmed(&home, |dir| {
        // Renamed, as the writer's thread may be making a file in it just now.
        fs::rename(dir, dir.with_file_name(".gone")).unwrap();
        fs::write(dir, "a file").unwrap();
    })
    .await;
    assert!(report.events_lost >= 2, "{report:?}");
    assert!(!report.problems.is_empty());
    for problem in &report.problems {
        assert!(problem.contains(report.worker_id.as_str()), "{problem}");
    }
    assert_eq!(report.summary, "done");
}

#[tokio::test]
async fn problems_are_told_and_not_without_end() {
    let home = Home::new();
    let store = home.store.clone();
    let runner = home.runner(agent(move |_, context| {
        let workers = store.list(&WorkerFilter::default()).unwrap().workers;
        let dir = store.data_dir().join(workers[0].worker_id.as_str());
        fs::create_dir(dir.join("thread.jsonl")).unwrap();
        async move {
            for n in 0..100 {
                context.say(Message::text(Role::Assistant, n.to_string()));
            }
            Ok(())
        }
    }));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!((report.problems.len(), &*report.result), (10, "99"));
}
