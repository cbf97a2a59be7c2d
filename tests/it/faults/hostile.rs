//! Every hostile string in every place of a worker that takes a text, read back on all three tiers.

use std::sync::Arc;

use artifact_store::Status;
use metrics_collector::MetricsCollector;
use metrics_core::{
    Clock, ErrorText, Event, LlmCall, MemorySink, Outcome, ToolCall, TraceContext, WorkerId,
};
use serde_json::{Map, Value, json};
use supervisor_tools::SpawnRequest;
use tracing_subscriber::layer::SubscriberExt as _;
use worker_runner::{AgentError, RunOptions};

use crate::support::{Lab, agent};

fn strings() -> Vec<String> {
    let strings: Vec<String> =
        serde_json::from_str(include_str!("../../samples/hostile-strings.json")).unwrap();
    assert!(strings.iter().any(|it| it.contains('\0')) && strings.len() > 50);
    strings
}

/// Checks that a text holds nothing that ends a line, colours a terminal or turns a line around.
#[track_caller]
fn assert_harmless(text: &str) {
    let turns = |it| matches!(it, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let harmful = text
        .chars()
        .find(|it| (it.is_control() && *it != '\n') || turns(*it));
    assert_eq!(harmful, None, "{text:?}");
}

/// Checks that moreover all of it can be seen, as in the log.
#[track_caller]
fn assert_visible(text: &str) {
    assert_harmless(text);
    let hidden = text
        .chars()
        .find(|it| matches!(it, '\u{200b}'..='\u{200d}' | '\u{feff}'));
    assert_eq!(hidden, None, "{text:?}");
}

/// Both kinds of calls of a worker that is called as the string is, with the string in each of their texts.
#[test]
fn as_a_worker_id_and_every_text_of_a_call() {
    let log = tempfile::tempdir().unwrap();
    let path = log.path().join("log");
    let log = log_format::to_file(&path)
        .filter("info".to_owned())
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(log.filter)
        .with(log.layer);
    let strings = strings();
    tracing::subscriber::with_default(subscriber, || {
        for text in &strings {
            let sink = Arc::new(MemorySink::default());
            let id = WorkerId::from(text.clone());
            let collector = MetricsCollector::with(
                id.clone(),
                sink.clone(),
                TraceContext::root(),
                Clock::system(),
            );
            let clock = Clock::system();
            let mut call = LlmCall::new(text.as_str(), text.as_str(), clock.finish(&clock.start()));
            call.provider = Some(text.as_str().into());
            call.outcome = Outcome::failure(text.as_str());
            collector.record(call);
            let mut call = ToolCall::new(text.as_str(), clock.finish(&clock.start()));
            call.tool_call_id = Some(text.as_str().into());
            call.outcome = Outcome::failure(text.as_str());
            collector.record(call);
            for event in sink.events(&id) {
                let line = event.to_line();
                assert!(!line.contains('\n'));
                let Ok(metrics_core::Decoded::Event(back)) = metrics_core::decode(line.as_bytes())
                else {
                    panic!("{line}");
                };
                assert_eq!(back, event);
            }
        }
    });
    log.guard.flush(std::time::Duration::from_mins(1)).unwrap();
    let log = crate::support::LogFile::read(&path);
    assert_visible(&log.text);
    let lines = log.lines();
    assert_eq!(lines.len(), 2 * strings.len());
    for (lines, text) in lines.chunks(2).zip(&strings) {
        for key in ["worker_id", "model", "phase", "provider"] {
            assert_eq!(lines[0].get(key), Some(&**text), "{key}");
        }
        for key in ["worker_id", "tool", "tool_call_id"] {
            assert_eq!(lines[1].get(key), Some(&**text), "{key}");
        }
        // A long reason is cut, an empty one is none.
        let error = ErrorText::new(text.as_str());
        let error = Some(error.as_str()).filter(|it| !it.is_empty());
        assert_eq!([lines[0].get("error"), lines[1].get("error")], [error; 2]);
    }
}

/// What a supervisor reads of a worker that fails with the string: its head stays a head.
#[tokio::test]
async fn as_a_task_an_owner_a_setting_and_an_error() {
    let lab = Lab::with_agent(agent(|task, _| async move { Err(AgentError::Other(task)) }));
    for text in strings() {
        let mut config = Map::new();
        config.insert(text.clone(), json!(text));
        config.insert("nested".to_owned(), json!([{ "text": text }]));
        let options = RunOptions {
            owner: text.clone(),
            config,
            ..RunOptions::default()
        };
        let report = lab.runner().run_worker(&text, options).await.unwrap();
        assert_eq!(report.status, Status::Failed, "{text:?}");
        let metadata = lab
            .store()
            .worker(&report.worker_id)
            .unwrap()
            .metadata()
            .unwrap();
        assert_eq!((&metadata.task, &metadata.owner), (&text, &text));
        assert_eq!(metadata.error.as_ref(), Some(&text));
        assert_eq!(metadata.config["nested"][0]["text"], text);
        assert_eq!(metadata.config[&text], text);

        let tools = lab.tools_of(&text);
        let arguments = json!({"job_id": report.worker_id});
        let answer = tools.call("read_worker_result", &arguments).await;
        let (head, result) = answer
            .split_once("\n\n")
            .unwrap()
            .1
            .split_once("\n\n")
            .unwrap();
        let head: Vec<_> = head.lines().collect();
        assert_eq!(head.len(), 3, "{answer}");
        assert!(
            head[0].starts_with("Execution time: ") && head[0].contains("ms"),
            "{answer}"
        );
        assert_eq!(head[1], "Status: failed", "{answer}");
        assert!(head[2].starts_with("Error: "), "{answer}");
        assert_harmless(head[2]);
        assert!(!result.is_empty());
        // Its owner finds it, and it is one line in his list.
        let list = tools.call("list_workers", &json!({})).await;
        let rows = list
            .lines()
            .filter(|it| it.contains(report.worker_id.as_str()));
        assert_eq!(rows.count(), 1, "{list}");
        assert_harmless(&list);
        let stranger = lab.tools_of("somebody else");
        let answer = stranger.call("read_worker_result", &arguments).await;
        assert!(answer.contains("not found"), "{answer}");
    }
}

/// A job with the string as its task and owner, through the book: kept to the letter.
#[tokio::test]
async fn as_a_jobs_task_and_owner() {
    let lab = Lab::with_agent(agent(|_, _| async { Ok(()) }));
    for text in strings() {
        let tools = lab.tools_of(&text);
        let spawned = tools.spawn(&SpawnRequest::new(text.as_str())).await;
        if text.trim().is_empty() {
            assert!(spawned.is_err());
            continue;
        }
        let job = spawned.unwrap();
        lab.supervisor().idle().await;
        let metadata = tools
            .metadata(&supervisor_tools::JobRef::Job(job))
            .await
            .unwrap();
        assert_eq!((&metadata.task, &metadata.owner), (&text, &text));
        let rows = supervisor_tools::RowFilter {
            owner: Some(text.clone()),
            ..Default::default()
        };
        let rows = lab.supervisor().rows(rows).await.unwrap();
        assert_eq!(rows.rows.len(), 1, "{text:?}");
        assert_eq!((&rows.rows[0].task, &rows.rows[0].owner), (&text, &text));
    }
}

/// The string, alone and in lists and objects, as every argument of every tool: an answer, never a panic.
#[tokio::test]
async fn as_every_argument_of_every_tool() {
    const TOOLS: [(&str, &[&str]); 8] = [
        (
            "spawn_worker",
            &["task", "model", "wait", "timeout_seconds", "wait_seconds"],
        ),
        ("list_workers", &["limit", "status", "since_hours"]),
        ("read_worker_result", &["job_id"]),
        ("read_worker_file", &["job_id", "file_path", "offset"]),
        ("grep_workers", &["pattern", "since_hours"]),
        ("get_worker_metadata", &["job_id"]),
        ("worker_metrics", &["job_id", "max_tokens"]),
        ("cancel_worker", &["job_id"]),
    ];
    let lab = Lab::with_agent(agent(|_, _| async { Ok(()) }));
    let job = lab.run_job("say hello").await;
    let tools = lab.tools();
    for text in strings() {
        for (tool, arguments) in TOOLS {
            for given in arguments {
                for value in [json!(text), json!([text]), json!({ &text: text })] {
                    let mut all = json!({});
                    if arguments.contains(&"job_id") {
                        all["job_id"] = json!(job);
                    }
                    match tool {
                        "spawn_worker" => all["task"] = json!("say hello"),
                        "read_worker_file" => all["file_path"] = json!("result.txt"),
                        "grep_workers" => all["pattern"] = json!("hello"),
                        _ => {}
                    }
                    all[*given] = value.clone();
                    let answer = tools.call(tool, &all).await;
                    let takes_any_text = matches!(*given, "task" | "pattern") && value.is_string();
                    if !takes_any_text {
                        assert!(
                            answer.starts_with("Error: "),
                            "{tool} {given} {value}: {answer}"
                        );
                        assert!(
                            answer.len() < 9000,
                            "{tool} {given}: {} bytes",
                            answer.len()
                        );
                    }
                    assert_harmless_but_for_the_file(&answer);
                }
            }
        }
        let unknown = tools.call(&text, &Value::Null).await;
        assert!(unknown.starts_with("Error: "), "{text:?}: {unknown}");
        assert_harmless(&unknown);
    }
    lab.supervisor().idle().await;
}

/// What is found in files comes as it is there; an error does not bring the caller's text back raw.
#[track_caller]
fn assert_harmless_but_for_the_file(answer: &str) {
    if answer.starts_with("Error: ") {
        assert_harmless(answer);
    }
}

/// A foreign event with the string as its message and in a field of its own.
#[test]
fn as_a_message_of_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = log_format::to_file(&path)
        .filter("info".to_owned())
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(log.filter)
        .with(log.layer);
    let strings = strings();
    tracing::subscriber::with_default(subscriber, || {
        for text in &strings {
            tracing::info!(value = text.as_str(), shown = %text, debugged = ?text, "{text}");
        }
    });
    log.guard.flush(std::time::Duration::from_mins(1)).unwrap();
    let log = crate::support::LogFile::read(&path);
    assert_visible(&log.text);
    let lines = log.lines();
    assert_eq!(lines.len(), strings.len());
    for (line, text) in lines.iter().zip(&strings) {
        for key in ["value", "shown"] {
            assert_eq!(line.get(key), Some(&**text), "{key}");
        }
        assert_eq!(line.get("debugged"), Some(&*format!("{text:?}")));
        assert_eq!(&line.message, text, "{line:?}");
        assert_eq!(line.get("event"), None, "forged: {line:?}");
    }
}

/// An event is one of ours whatever the string says.
#[tokio::test]
async fn as_what_a_tool_and_a_model_say() {
    let lab = Lab::with_agent(agent(|task, context| async move {
        context.save_tool_output(&task, &task);
        context.say(worker_runner::Message::text(
            worker_runner::Role::Assistant,
            task.clone(),
        ));
        let call = metrics_collector::tool_call(&*task, async { Ok::<_, AgentError>(()) });
        call.await
    }));
    for text in strings() {
        let report = lab.run_worker(&text).await;
        assert_eq!(
            (report.status, &report.problems[..]),
            (Status::Success, &[][..]),
            "{text:?}"
        );
        let metrics = lab.metrics(&report.worker_id);
        let [Event::ToolCall(call)] = &metrics.events[..] else {
            panic!("{metrics:?}")
        };
        assert_eq!(call.tool.as_str(), text);
        let reader = lab.store().worker(&report.worker_id).unwrap();
        let outputs: Vec<_> = reader
            .files()
            .unwrap()
            .into_iter()
            .filter(|it| it.starts_with("tool_calls/"))
            .collect();
        let [output] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert!(
            output
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"/_-.".contains(&it)),
            "{output}"
        );
        assert_eq!(reader.read_file(output, 0, 1 << 20).unwrap().text, text);
        let thread = reader.read_file("thread.jsonl", 0, 1 << 20).unwrap().text;
        let last: Value = serde_json::from_str(thread.lines().last().unwrap()).unwrap();
        assert_eq!(last["content"], text);
    }
}
