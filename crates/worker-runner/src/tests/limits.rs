//! What ends a worker before its model has answered.

use std::{
    future::pending,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use artifact_store::Status;
use metrics_core::Usage;

use super::support::{FnTool, Home, Paused, Turn, answers, call, react, reply, say, tool};
use crate::{
    ChatReply, Message, NO_RESULT, ReactLimits, Role, RunOptions, ToolRequest, WorkerReport,
};

async fn limited(
    home: &Home,
    limits: ReactLimits,
    turns: impl IntoIterator<Item = Turn>,
    tools: Vec<FnTool>,
) -> WorkerReport {
    let agent = react(turns, tools).limits(limits);
    let runner = home.runner(agent);
    runner.run_worker("x", RunOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_model_that_never_answers_is_stopped() {
    let home = Home::new();
    let limits = ReactLimits {
        steps: 2,
        ..ReactLimits::default()
    };
    let turns = [call([("a", "")]), call([("a", "")]), call([("a", "")])];
    let report = limited(&home, limits, turns, vec![answers("a", Ok("the output"))]).await;
    let error = "stopped: the limit of 2 steps was reached; raise it or make the task smaller";
    assert_eq!(
        (report.status, report.error.as_deref()),
        (Status::Failed, Some(error))
    );
    let result = "(No answer; the last tool outputs:)\n\nthe output\n\nthe output\n\n\
        Stopped: the limit of 2 steps was reached.";
    assert_eq!(report.result, result);
    assert_eq!(home.file(&report.worker_id, "result.txt"), result);
    assert_eq!(report.totals.llm_calls, 2);
}

#[tokio::test]
async fn a_worker_that_may_do_nothing_says_so() {
    let home = Home::new();
    let limits = ReactLimits {
        steps: 0,
        ..ReactLimits::default()
    };
    let report = limited(&home, limits, [], vec![]).await;
    let result = format!("{NO_RESULT}\n\nStopped: the limit of 0 steps was reached.");
    assert_eq!((report.status, report.result), (Status::Failed, result));
}

/// A reply asks for a tool and says what it does; 12 tokens each.
fn thinks_aloud() -> Turn {
    let mut message = Message::text(Role::Assistant, "I shall look.");
    message.tool_calls.push(ToolRequest {
        id: "call-1".to_owned(),
        name: "a".to_owned(),
        arguments: String::new(),
    });
    Turn::Reply(Box::new(reply(message)))
}

#[tokio::test]
async fn tokens_of_all_turns_count_and_what_was_found_is_the_result() {
    let home = Home::new();
    let limits = ReactLimits {
        tokens: Some(24),
        ..ReactLimits::default()
    };
    let turns = [thinks_aloud(), thinks_aloud(), say("never asked for")];
    let report = limited(&home, limits, turns, vec![answers("a", Ok("the output"))]).await;
    let result = "I shall look.\n\n(No answer; the last tool outputs:)\n\nthe output\n\n\
        Stopped: the limit of 24 tokens was reached.";
    assert_eq!((report.status, &*report.result), (Status::Failed, result));
    assert_eq!(report.totals.usage.total_tokens, Some(24));
}

#[tokio::test]
async fn an_answer_counts_even_if_it_takes_the_last_token() {
    let home = Home::new();
    let limits = ReactLimits {
        steps: 1,
        tokens: Some(1),
        ..ReactLimits::default()
    };
    let report = limited(&home, limits, [say("42")], vec![]).await;
    assert_eq!((report.status, &*report.result), (Status::Success, "42"));
}

/// Tokio's clock runs ahead while the tool hangs, and the limit is the first time that comes.
#[tokio::test]
async fn a_worker_that_works_too_long_ends_with_what_it_has() {
    let home = Home::new();
    let limits = ReactLimits {
        wall_time: Some(Duration::from_secs(7)),
        ..ReactLimits::default()
    };
    let slow = tool("slow", |_| async {
        let _paused = Paused::new();
        pending().await
    });
    let turns = [thinks_aloud(), call([("slow", "")])];
    let tools = vec![answers("a", Ok("the output")), slow];
    let report = limited(&home, limits, turns, tools).await;
    let result = "I shall look.\n\n(No answer; the last tool outputs:)\n\nthe output\n\n\
        Stopped: the limit of 7s was reached.";
    assert_eq!((report.status, &*report.result), (Status::Failed, result));
    assert_eq!(
        home.outline(&report.worker_id).last().unwrap(),
        "tool_call slow: cancelled"
    );
}

/// Each call sees how many others run: with room for two the third waits for an end.
#[tokio::test]
async fn no_more_tools_run_side_by_side_than_may() {
    let home = Home::new();
    let limits = ReactLimits {
        parallel_tool_calls: NonZeroUsize::new(2).unwrap(),
        ..ReactLimits::default()
    };
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let busy = tool("busy", move |_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            // Every other call that may start does so before this one goes on.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok("done".to_owned())
        }
    });
    let turns = [call([("busy", ""); 7]), say("42")];
    let report = limited(&home, limits, turns, vec![busy]).await;
    assert_eq!(
        (report.status, report.totals.tool_calls),
        (Status::Success, 7)
    );
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_was_cut_short_says_so() {
    let home = Home::new();
    let cut_short = ChatReply {
        usage: Usage::default(),
        cut_short: Some("the token limit of one reply".to_owned()),
        ..ChatReply::new(Message::text(Role::Assistant, "Once upon a"))
    };
    let turns = [Turn::Reply(Box::new(cut_short))];
    let report = limited(&home, ReactLimits::default(), turns, vec![]).await;
    assert_eq!(
        (report.status, &*report.result),
        (
            Status::Success,
            "Once upon a\n\nCut short: the token limit of one reply."
        )
    );
}
