//! The ways in which a worker ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking_mpsc,
    },
    time::Duration,
};

use artifact_store::Status;
use metrics_collector::tool_call;
use tokio::sync::mpsc;

use super::support::{Home, Turn, agent, answers, call, echo, hangs, say};
use crate::{AgentError, CancellationToken, Message, NO_RESULT, Role, RunOptions, WorkerEvent};

#[tokio::test]
async fn an_agent_that_answers_succeeds() {
    let home = Home::new();
    let report = home
        .runner(echo())
        .run_worker("Hello", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Success);
    assert_eq!((&*report.result, &*report.summary), ("Hello", "Hello"));
    assert_eq!((report.error, report.events_lost), (None, 0));
    assert_eq!(report.problems, [""; 0]);
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.status, Status::Success);
    assert_eq!(
        (metadata.error, metadata.summary),
        (None, Some("Hello".to_owned()))
    );
}

#[tokio::test]
async fn an_agent_that_gives_up_fails_with_what_it_has() {
    let home = Home::new();
    let runner = home.runner(agent(|_, context| async move {
        context.say(Message::text(Role::Assistant, "half of it"));
        Err(AgentError::Other("the other half is missing".to_owned()))
    }));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.result, "half of it");
    assert_eq!(report.error.as_deref(), Some("the other half is missing"));
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(
        (metadata.status, metadata.error),
        (Status::Failed, report.error)
    );
}

#[tokio::test]
async fn a_panic_in_an_agent_is_a_failure_and_its_call_an_event() {
    let home = Home::new();
    let report = home
        .react([Turn::Panic], vec![])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Failed);
    let error = "the agent panicked: the model broke";
    assert_eq!(report.error.as_deref(), Some(error));
    assert_eq!(
        home.outline(&report.worker_id),
        ["llm_call initial: panicked"]
    );
    assert_eq!(report.result, NO_RESULT);
}

/// Of calls that ran side by side, some may have been done for long.
#[tokio::test]
async fn what_a_turn_had_found_when_it_was_cut_off_is_kept() {
    let home = Home::new();
    let (slow, _) = hangs("slow");
    let turns = [call([("slow", ""), ("quick", "")])];
    let runner = home.react(turns, vec![slow, answers("quick", Ok("found"))]);
    let (events, mut received) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let options = RunOptions {
        cancel: cancel.clone(),
        events: Some(events),
        ..RunOptions::default()
    };
    let stop_then = async {
        while let Some(event) = received.recv().await {
            if matches!(event, WorkerEvent::ToolCompleted { .. }) {
                cancel.cancel();
            }
        }
    };
    let (report, ()) = tokio::join!(runner.run_worker("x", options), stop_then);
    let report = report.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(
        report.result,
        "(No answer; the last tool outputs:)\n\nfound"
    );
    // The output stands with its call; the other one has none.
    let thread = home.lines(&report.worker_id, "thread.jsonl");
    assert_eq!(thread.last().unwrap()["tool_call_id"], "call-2");
    assert_eq!(thread.len(), 3);
}

#[tokio::test]
async fn a_call_in_flight_when_time_is_up_is_a_timeout() {
    let home = Home::new();
    let (tool, _) = hangs("sleep");
    let report = home
        .react([call([("sleep", "")])], vec![tool])
        .run_worker(
            "x",
            RunOptions {
                timeout: Duration::from_millis(60),
                ..RunOptions::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(report.status, Status::Timeout);
    assert_eq!(report.error.as_deref(), Some("timed out after 60ms"));
    assert_eq!(
        home.outline(&report.worker_id),
        ["llm_call initial ok", "tool_call sleep: timeout"]
    );
    assert!(report.duration >= Duration::from_millis(60));
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.status, Status::Timeout);
    assert_eq!(
        metadata.duration_us,
        Some(u64::try_from(report.duration.as_micros()).unwrap())
    );
    assert_eq!(
        metadata.duration_ms,
        metadata.duration_us.map(|it| it / 1000)
    );
    assert_eq!((metadata.events, metadata.events_lost), (Some(2), Some(0)));
}

#[tokio::test]
async fn a_worker_cancelled_while_it_runs_keeps_what_it_did() {
    let home = Home::new();
    let (tool, called) = hangs("sleep");
    let runner = home.react([call([("sleep", "")])], vec![tool]);
    let cancel = CancellationToken::new();
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::default()
    };
    let (report, ()) = tokio::join!(runner.run_worker("x", options), async {
        called.notified().await;
        cancel.cancel();
    });
    let report = report.unwrap();
    assert_eq!(
        (report.status, report.error.as_deref()),
        (Status::Cancelled, Some("cancelled"))
    );
    assert_eq!(
        home.outline(&report.worker_id),
        ["llm_call initial ok", "tool_call sleep: cancelled"]
    );
}

/// On many threads, as there an agent could start before anybody looks at the token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_cancelled_before_it_starts_does_nothing() {
    let home = Home::new();
    let touched = Arc::new(AtomicBool::new(false));
    let for_agent = Arc::clone(&touched);
    let runner = home.runner(agent(move |_, _| {
        for_agent.store(true, Ordering::SeqCst);
        async { Ok(()) }
    }));
    for _ in 0..50 {
        let options = RunOptions::default();
        options.cancel.cancel();
        let report = runner.run_worker("x", options).await.unwrap();
        assert_eq!(report.status, Status::Cancelled);
    }
    for _ in 0..50 {
        let options = RunOptions {
            timeout: Duration::ZERO,
            ..RunOptions::default()
        };
        let report = runner.run_worker("x", options).await.unwrap();
        assert_eq!(report.status, Status::Timeout);
        assert_eq!(report.error.as_deref(), Some("timed out after 0ns"));
    }
    assert!(!touched.load(Ordering::SeqCst));
}

#[tokio::test]
async fn no_time_limit_is_too_long() {
    let home = Home::new();
    let options = RunOptions {
        timeout: Duration::MAX,
        flush_timeout: Duration::MAX,
        ..RunOptions::default()
    };
    let report = home.runner(echo()).run_worker("x", options).await.unwrap();
    assert_eq!(report.status, Status::Success);
}

#[tokio::test]
async fn a_worker_whose_caller_goes_away_is_cancelled() {
    let home = Home::new();
    let (tool, called) = hangs("sleep");
    let runner = home.react([call([("sleep", "")])], vec![tool]);
    let task = tokio::spawn(async move { runner.run_worker("x", RunOptions::default()).await });
    called.notified().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let metadata = home.only_worker();
    assert_eq!(metadata.status, Status::Cancelled);
    let error = "cancelled: nobody waits for it any more";
    assert_eq!(metadata.error.as_deref(), Some(error));
    assert_eq!(
        home.outline(&metadata.worker_id),
        ["llm_call initial ok", "tool_call sleep: cancelled"]
    );
    assert_eq!((metadata.events, metadata.events_lost), (Some(2), Some(0)));
    assert_eq!(home.file(&metadata.worker_id, "result.txt"), NO_RESULT);
    assert_eq!(metadata.summary.as_deref(), Some(NO_RESULT));
}

#[tokio::test]
async fn a_runtime_that_shuts_down_cancels_its_workers() {
    let home = Home::new();
    let (tool, called) = hangs("sleep");
    let runner = home.react([call([("sleep", "")])], vec![tool]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move { runner.run_worker("x", RunOptions::default()).await });
    called.notified().await;
    runtime.shutdown_background();
    // The runtime's own threads drop the worker.
    for _ in 0..500 {
        if home.only_worker().status.is_final() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let metadata = home.only_worker();
    assert_eq!(metadata.status, Status::Cancelled);
    assert_eq!(
        home.outline(&metadata.worker_id),
        ["llm_call initial ok", "tool_call sleep: cancelled"]
    );
}

#[tokio::test]
async fn a_success_stands_when_the_caller_goes_away_during_the_end() {
    let home = Home::new();
    let runner = home.react([say("Done.")], vec![]);
    let (events, mut received) = mpsc::unbounded_channel();
    let options = RunOptions {
        events: Some(events),
        ..RunOptions::default()
    };
    let mut run = Box::pin(runner.run_worker("x", options));
    // The worker waits for its events' way to the disk at least once before it is complete.
    loop {
        tokio::select! {
            biased;
            _ = &mut run => break,
            () = tokio::task::yield_now() => {}
        }
        if home.only_worker().status == Status::Running && home_has_answer(&home) {
            break;
        }
    }
    drop(run);
    assert_eq!(home.only_worker().status, Status::Success);
    let metadata = home.only_worker();
    assert_eq!(metadata.summary.as_deref(), Some("Done."));
    assert_eq!(home.file(&metadata.worker_id, "result.txt"), "Done.");
    let mut completed = 0;
    while let Ok(event) = received.try_recv() {
        completed += usize::from(matches!(event, WorkerEvent::Completed { .. }));
    }
    assert_eq!(completed, 1);
}

fn home_has_answer(home: &Home) -> bool {
    let worker = home.only_worker().worker_id;
    let reader = home.store.worker(&worker).unwrap();
    let thread = reader.read_file("thread.jsonl", 0, 1 << 20);
    thread.is_ok_and(|it| it.text.contains("Done."))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_blocks_its_thread_is_left_behind() {
    let home = Home::new();
    let (release, wait) = blocking_mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let runner = home.runner(agent(move |_, _| {
        let wait = Arc::clone(&wait);
        tool_call_that(async move {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        })
    }));
    let options = RunOptions {
        timeout: Duration::from_millis(60),
        ..RunOptions::default()
    };
    let report = runner.run_worker("x", options).await.unwrap();
    assert_eq!(report.status, Status::Timeout);
    assert_eq!(
        home.outline(&report.worker_id),
        ["tool_call blocks: timeout"]
    );
    assert_eq!(home.metadata(&report.worker_id).status, Status::Timeout);
    drop(release);
}

async fn tool_call_that(
    body: impl Future<Output = Result<(), AgentError>>,
) -> Result<(), AgentError> {
    tool_call("blocks", body).await
}
