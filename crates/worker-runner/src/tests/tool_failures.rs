//! Failed tool calls: which end the worker, which go back to the model.

use artifact_store::Status;

use super::support::{FnTool, Home, answers, call, say, tool};
use crate::{RunOptions, ToolError, WorkerReport};

/// Runs a model that calls the tool `t` with `arguments` once and then answers.
async fn run(home: &Home, tools: Vec<FnTool>, arguments: &'static str) -> WorkerReport {
    let turns = [call([("t", arguments)]), say("answer")];
    let runner = home.react(turns, tools);
    runner.run_worker("x", RunOptions::default()).await.unwrap()
}

#[tokio::test]
async fn critical_failures_end_the_worker() {
    for (error, text) in [
        (
            ToolError::Configuration("no key".to_owned()),
            "configuration: no key",
        ),
        (
            ToolError::Permission("not yours".to_owned()),
            "permission: not yours",
        ),
        (
            ToolError::Validation("host not listed".to_owned()),
            "validation: host not listed",
        ),
    ] {
        let home = Home::new();
        let report = run(&home, vec![answers("t", Err(error))], "{}").await;
        assert_eq!(report.status, Status::Failed);
        let expected = format!("tool `t` cannot be used: {text}");
        assert_eq!(report.error.as_ref(), Some(&expected));
        assert_eq!(
            home.outline(&report.worker_id),
            ["llm_call initial ok", &format!("tool_call t: {text}")],
            "the model is not asked again"
        );
        // The conversation and the artifact hold the failure too.
        let thread = home.lines(&report.worker_id, "thread.jsonl");
        assert_eq!(thread[2]["content"], format!("Error: {expected}"));
        assert_eq!(
            home.file(&report.worker_id, "tool_calls/001_t.txt"),
            format!("Error: {text}")
        );
    }
}

#[tokio::test]
async fn other_failures_go_back_to_the_model() {
    let failing = |error| vec![answers("t", Err(error))];
    for (tools, arguments, text) in [
        (
            failing(ToolError::Timeout("after 3s".to_owned())),
            "",
            "timeout: after 3s",
        ),
        (
            failing(ToolError::RateLimit("60 a minute".to_owned())),
            "",
            "rate limit: 60 a minute",
        ),
        (
            failing(ToolError::BadArguments("no `x`".to_owned())),
            "",
            "bad arguments: no `x`",
        ),
        (
            failing(ToolError::Failed("exit code 1".to_owned())),
            "",
            "exit code 1",
        ),
        (
            vec![answers("other", Ok("")), answers("third", Ok(""))],
            "",
            "bad arguments: there is no tool `t`; use one of other, third",
        ),
        (
            vec![],
            "",
            "bad arguments: there is no tool `t`; there are none; answer without one",
        ),
        (
            vec![answers("t", Ok("fine"))],
            r#"{"x":"#,
            "bad arguments: the arguments are not valid JSON: EOF while parsing a value at line 1 column 5",
        ),
    ] {
        let home = Home::new();
        let report = run(&home, tools, arguments).await;
        assert_eq!(report.status, Status::Success, "{text}");
        assert_eq!(report.result, "answer");
        assert_eq!(
            home.outline(&report.worker_id),
            [
                "llm_call initial ok",
                &format!("tool_call t: {text}"),
                "llm_call synthesis ok"
            ]
        );
        let event = &home.events(&report.worker_id)[1];
        assert_eq!(
            (&event["success"], &event["tool_call_id"]),
            (&false.into(), &"call-1".into())
        );
        let thread = home.lines(&report.worker_id, "thread.jsonl");
        assert_eq!(thread[2]["content"], format!("Error: {text}"));
        assert_eq!(report.totals.tool_failures, 1);
    }
}

#[tokio::test]
async fn a_panic_in_a_tool_is_a_failed_call_and_the_worker_goes_on() {
    let home = Home::new();
    let in_future = tool("t", |_| async { panic!("boom {}", 1 + 1) });
    let report = run(&home, vec![in_future], "").await;
    assert_eq!(report.status, Status::Success);
    assert_eq!(home.outline(&report.worker_id)[1], "tool_call t: panicked");
    let thread = home.lines(&report.worker_id, "thread.jsonl");
    assert_eq!(thread[2]["content"], "Error: the tool panicked: boom 2");

    let home = Home::new();
    let before_future = tool("t", |_| {
        assert!(std::env::args().count() > 1_000_000, "boom");
        async { Ok(String::new()) }
    });
    let report = run(&home, vec![before_future], "").await;
    assert_eq!(home.outline(&report.worker_id)[1], "tool_call t: panicked");
}

#[tokio::test]
async fn a_long_error_is_cut_in_the_event_and_whole_in_the_artifact() {
    let home = Home::new();
    let long = "é".repeat(1_000_000);
    let error = ToolError::Failed(long.clone());
    let report = run(&home, vec![answers("t", Err(error))], "").await;
    let event = &home.events(&report.worker_id)[1];
    let error = event["error"].as_str().unwrap();
    assert_eq!((error.chars().count(), error.ends_with('…')), (2000, true));
    assert_eq!(
        home.file(&report.worker_id, "tool_calls/001_t.txt"),
        format!("Error: {long}")
    );
}
