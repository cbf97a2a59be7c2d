//! What agents say beside the conversation, and how they are told to stop.

use std::{io::Write as _, sync::Arc, time::Duration};

use artifact_store::{MAX_READ_BYTES, Status, StoreError};
use async_trait::async_trait;
use metrics_core::{TraceContext, WorkerId};
use serde_json::json;

use super::support::{Home, agent, echo};
use crate::{Agent, AgentContext, AgentError, CancellationToken, Message, Role, RunOptions};

#[tokio::test]
async fn a_result_that_the_agent_wrote_stays_whole_and_its_beginning_is_told() {
    let home = Home::new();
    let line = "0123456789abcde\n";
    let lines = 2 * MAX_READ_BYTES / line.len();
    let runner = home.runner(agent(move |_, context| async move {
        context.say(Message::text(Role::Assistant, "not this"));
        let mut file = context.create_result().unwrap();
        for _ in 0..lines {
            file.write_all(line.as_bytes()).unwrap();
        }
        Ok(())
    }));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!(report.status, Status::Success);
    assert_eq!(report.result.len(), MAX_READ_BYTES);
    assert!(report.summary.starts_with("0123456789abcde 0123"));
    assert_eq!(report.problems, [""; 0]);
    let whole = home.file(&report.worker_id, "result.txt");
    assert_eq!(whole.len(), lines * line.len());
}

#[tokio::test]
async fn where_the_agent_wrote_nothing_the_conversation_is_the_result() {
    let home = Home::new();
    let runner = home.runner(agent(|_, context| async move {
        let _file = context.create_result().unwrap();
        context.say(Message::text(Role::Assistant, "said"));
        Ok(())
    }));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!(report.result, "said");
    assert_eq!(home.file(&report.worker_id, "result.txt"), "said");
}

#[tokio::test]
async fn only_new_files_in_the_workers_own_directory_are_made() {
    let home = Home::new();
    let runner = home.runner(agent(|_, context| async move {
        for name in ["", "..", ".hidden", "a/b", "/etc/passwd", "nul\0"] {
            let refused = context.create_artifact(name).unwrap_err();
            assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
        }
        let taken = context.create_artifact("metrics.jsonl").unwrap_err();
        assert!(taken.to_string().contains("metrics.jsonl"), "{taken}");
        context.create_artifact("stderr.txt").unwrap();
        Ok(())
    }));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!(report.error, None);
    assert_eq!(home.file(&report.worker_id, "stderr.txt"), "");
}

#[tokio::test]
async fn facts_and_warnings_stand_in_the_metadata() {
    let home = Home::new();
    let runner = home.runner(agent(|_, context| async move {
        context.describe("program", json!({"exit_code": 3}));
        context.describe("status", json!("success"));
        for n in 0..20 {
            context.warn(format!("warning {n}"));
        }
        Err(AgentError::Other("exit code 3".to_owned()))
    }));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.status, Status::Failed);
    assert_eq!(metadata.extra["program"], json!({"exit_code": 3}));
    let warnings = metadata.extra[crate::WARNINGS].as_array().unwrap();
    assert_eq!((warnings.len(), &warnings[0]), (10, &json!("warning 0")));
}

#[tokio::test]
async fn a_worker_can_go_on_with_the_trace_of_another_process() {
    let home = Home::new();
    let parent = TraceContext::root();
    let options = RunOptions {
        trace: TraceContext::from_traceparent(&parent.traceparent()),
        parent_worker_id: Some(WorkerId::from("outer")),
        ..RunOptions::default()
    };
    let report = home.runner(echo()).run_worker("x", options).await.unwrap();
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.trace_id, Some(parent.trace_id));
    assert_eq!(metadata.parent_span_id, Some(parent.span_id));
    assert_eq!(metadata.parent_worker_id, Some(WorkerId::from("outer")));
}

/// Winds up when it is told to stop, and then says so; deaf, it never ends.
struct WindsUp {
    deaf: bool,
    grace: Duration,
    dropped: Arc<()>,
}

#[async_trait]
impl Agent for WindsUp {
    fn stop_grace(&self) -> Duration {
        self.grace
    }

    async fn run(&self, _: &str, context: &AgentContext) -> Result<(), AgentError> {
        let _held_while_it_runs = Arc::clone(&self.dropped);
        context.stopping().cancelled().await;
        if self.deaf {
            std::future::pending::<()>().await;
        }
        context.say(Message::text(Role::Assistant, "wound up"));
        context.describe("wound_up", json!(true));
        Ok(())
    }
}

#[tokio::test]
async fn an_agent_that_is_to_stop_may_wind_up() {
    let home = Home::new();
    let runner = home.runner(WindsUp {
        deaf: false,
        grace: Duration::from_mins(1),
        dropped: Arc::default(),
    });
    let options = RunOptions {
        timeout: Duration::from_millis(1),
        ..RunOptions::default()
    };
    let report = runner.run_worker("x", options).await.unwrap();
    assert_eq!(report.status, Status::Timeout);
    assert_eq!(report.error.as_deref(), Some("timed out after 1ms"));
    assert_eq!(report.result, "wound up");
    assert_eq!(home.metadata(&report.worker_id).extra["wound_up"], true);
}

#[tokio::test]
async fn an_agent_that_does_not_stop_is_dropped_after_its_grace() {
    let home = Home::new();
    let dropped = Arc::new(());
    let runner = home.runner(WindsUp {
        deaf: true,
        grace: Duration::from_millis(20),
        dropped: Arc::clone(&dropped),
    });
    let cancel = CancellationToken::new();
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::default()
    };
    let stop = async {
        while Arc::strong_count(&dropped) < 3 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(runner.run_worker("x", options), stop);
    let report = report.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(Arc::strong_count(&dropped), 2);
}

#[tokio::test]
async fn an_agent_without_time_never_begins_and_its_grace_is_not_waited_for() {
    let home = Home::new();
    let runner = home.runner(WindsUp {
        deaf: true,
        grace: Duration::from_hours(1),
        dropped: Arc::default(),
    });
    let options = RunOptions {
        timeout: Duration::ZERO,
        ..RunOptions::default()
    };
    let run = runner.run_worker("x", options);
    let report = tokio::time::timeout(Duration::from_mins(1), run).await;
    assert_eq!(report.unwrap().unwrap().status, Status::Timeout);
}
