//! The loop of model turns and tool calls.

use std::{sync::Arc, time::Duration};

use artifact_store::Status;
use serde_json::json;
use tokio::sync::{Barrier, Notify};

use super::support::{Home, ScriptedModel, Turn, answers, call, hangs, reply, say, tool};
use crate::{Message, NO_RESULT, ReactAgent, Role, RunOptions, Tool, ToolError};

#[tokio::test]
async fn each_turn_has_its_phase() {
    let home = Home::new();
    let turns = [call([("a", "{}")]), call([("a", "{}")]), say("42")];
    let runner = home
        .react(turns, vec![answers("a", Ok("1"))])
        .summary_model(Arc::new(ScriptedModel::new([say("Forty-two.")])));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!(report.result, "42");
    assert_eq!(
        home.outline(&report.worker_id),
        [
            "llm_call initial ok",
            "tool_call a ok",
            "llm_call tool_decision ok",
            "tool_call a ok",
            "llm_call synthesis ok",
            "llm_call summary ok",
        ]
    );
    assert_eq!(home.metadata(&report.worker_id).events, Some(6));
    assert_eq!(report.totals.usage.total_tokens, Some(48));
}

#[tokio::test]
async fn an_answer_at_once_is_the_initial_phase() {
    let home = Home::new();
    let report = home
        .react([say("42")], vec![])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(home.outline(&report.worker_id), ["llm_call initial ok"]);
}

#[tokio::test]
async fn what_a_provider_reports_is_in_the_event() {
    let home = Home::new();
    let mut reply = reply(Message::text(Role::Assistant, "42"));
    reply.ttft = Some(Duration::from_micros(12_900));
    reply.provider = Some("openai".to_owned());
    let report = home
        .react([Turn::Reply(Box::new(reply))], vec![])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    let event = &home.events(&report.worker_id)[0];
    let reported = [
        "model",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
    ];
    assert_eq!(
        reported.map(|it| event[it].clone()),
        [json!("scripted"), json!(10), json!(2), json!(12)]
    );
    assert_eq!(
        (&event["ttft_ms"], &event["provider"]),
        (&json!(12), &json!("openai"))
    );
}

#[tokio::test]
async fn a_failed_model_call_is_an_event_and_the_end() {
    let home = Home::new();
    let turns = [call([("a", "")]), Turn::Fail("connection reset")];
    let report = home
        .react(turns, vec![answers("a", Ok("1"))])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    let error = "refused: connection reset";
    assert_eq!(
        (report.status, report.error.as_deref()),
        (Status::Failed, Some(error))
    );
    assert_eq!(
        home.outline(&report.worker_id)[2],
        format!("llm_call tool_decision: {error}")
    );
    assert_eq!(report.totals.llm_failures, 1);
}

/// Both tools meet at the barrier: one after the other they would wait for ever.
#[tokio::test]
async fn the_calls_of_a_turn_run_side_by_side_and_answer_in_order() {
    let home = Home::new();
    let (barrier, first_may_end) = (Arc::new(Barrier::new(2)), Arc::new(Notify::new()));
    let (for_second, second_ended) = (Arc::clone(&barrier), Arc::clone(&first_may_end));
    let first = tool("first", move |_| {
        let (barrier, may_end) = (Arc::clone(&barrier), Arc::clone(&first_may_end));
        async move {
            barrier.wait().await;
            may_end.notified().await;
            Ok("one".to_owned())
        }
    });
    let second = tool("second", move |_| {
        let (barrier, ended) = (Arc::clone(&for_second), Arc::clone(&second_ended));
        async move {
            barrier.wait().await;
            ended.notify_one();
            Ok("two".to_owned())
        }
    });
    let turns = [call([("first", ""), ("second", "")]), say("done")];
    let report = home
        .react(turns, vec![first, second])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    let thread = home.lines(&report.worker_id, "thread.jsonl");
    let outputs: Vec<_> = thread.iter().filter(|it| it["role"] == "tool").collect();
    assert_eq!(
        outputs,
        [
            &json!({"role": "tool", "content": "one", "tool_call_id": "call-1"}),
            &json!({"role": "tool", "content": "two", "tool_call_id": "call-2"}),
        ]
    );
    // Events stand in the order of their ends.
    let events = home.outline(&report.worker_id);
    assert_eq!(events[1..3], ["tool_call second ok", "tool_call first ok"]);
}

#[tokio::test]
async fn an_empty_answer_is_no_result() {
    let home = Home::new();
    let report = home
        .react([say(" \n")], vec![])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(
        (report.status, &*report.result),
        (Status::Success, NO_RESULT)
    );
    assert_eq!(home.file(&report.worker_id, "result.txt"), NO_RESULT);
}

#[tokio::test]
async fn the_model_sees_the_prompt_the_task_and_what_was_said_since() {
    let home = Home::new();
    let model = ScriptedModel::new([call([("a", r#"{"x":1}"#)]), say("done")]);
    let asked = Arc::clone(&model.asked);
    let tool = tool("a", |arguments| async move { Ok(arguments.to_string()) });
    let tools: Vec<Arc<dyn Tool>> = vec![Arc::new(tool)];
    let agent = ReactAgent::new(Arc::new(model), tools).system_prompt("Be brief.");
    home.runner(agent)
        .run_worker("the task", RunOptions::default())
        .await
        .unwrap();
    let asked = asked.lock().unwrap();
    let last: Vec<_> = asked[1].iter().map(|it| (it.role, &*it.content)).collect();
    assert_eq!(
        last,
        [
            (Role::System, "Be brief."),
            (Role::User, "the task"),
            (Role::Assistant, ""),
            (Role::Tool, r#"{"x":1}"#),
        ]
    );
}

#[tokio::test]
async fn a_critical_failure_does_not_wait_for_the_calls_beside_it() {
    let home = Home::new();
    let (slow, _) = hangs("slow");
    let broken = answers(
        "broken",
        Err(ToolError::Permission("not allowed".to_owned())),
    );
    let turns = [call([("slow", ""), ("broken", "")])];
    let report = home
        .react(turns, vec![slow, broken])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(
        home.outline(&report.worker_id)[1..],
        [
            "tool_call broken: permission: not allowed",
            "tool_call slow: cancelled"
        ]
    );
    let thread = home.lines(&report.worker_id, "thread.jsonl");
    let outputs: Vec<_> = thread[2..].iter().map(|it| &it["content"]).collect();
    assert_eq!(
        outputs,
        [
            "Error: cancelled",
            "Error: tool `broken` cannot be used: permission: not allowed"
        ]
    );
}
