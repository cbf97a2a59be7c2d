//! Tier 2: `metrics.jsonl`, one event a line, in every worker's directory and readable while the worker runs.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use artifact_store::Status;
use metrics_collector::{
    MetricsCollector, current_worker_id, llm_call, record_llm_call, record_tool_call, spawn,
    spawn_blocking, start_tool_call, thread_spawn, tool_call,
};
use metrics_core::{
    CallTime, Decoded, Event, LlmCall, Outcome, Phase, ToolCall, TraceFields, Usage, WorkerId,
    decode,
};
use serde_json::{Value, json};
use supervisor_tools::{RowFilter, SUPERVISOR_PROMPT};
use tokio::sync::Notify;
use worker_runner::{
    AgentError, ChatModel, ErrorClass, Message, ModelError, ReactAgent, RetryPolicy, Role,
    RunOptions, ToolRequest, WorkerRunner,
};
use worker_tools::builtin_tools;

use crate::support::{
    Background, Lab, MetricsFile, ScriptedModel, agent, demo, eventually_async, finish, normalised,
    reply, triscope,
};

/// The seed's example lines.
const SEED_LINES: &str = include_str!("../samples/seed-metrics.jsonl");

#[tokio::test]
async fn metrics_jsonl_creation() {
    let lab = Lab::new();
    let job = lab.run_job("calculate 7*6").await;
    let metadata = lab.metadata(job).await;
    let path = lab.worker_dir(&metadata.worker_id).join("metrics.jsonl");
    assert!(path.is_file());

    // To a reader that knows nothing of us each line is a JSON object with the seed's keys.
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        let of_the_kind: &[_] = match line["event"].as_str().unwrap() {
            "llm_call" => &["phase", "model"],
            "tool_call" => &["tool", "success"],
            other => panic!("{other} in {text}"),
        };
        let keys = of_the_kind
            .iter()
            .chain(&["start_ts", "end_ts", "duration_ms"]);
        for key in keys {
            assert!(line.get(key).is_some(), "no {key} in {line}");
        }
        assert!(line["duration_ms"].is_u64(), "{line}");
    }
    assert_eq!(metadata.events, Some(lines.len() as u64));
    assert_eq!(metadata.events_lost, Some(0));

    let _snapshot = normalised();
    insta::assert_snapshot!(text, @r#"
    {"event":"llm_call","phase":"initial","model":"offline-rules","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration]}
    {"event":"tool_call","tool":"calculate","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":true,"tool_call_id":"call_1"}
    {"event":"llm_call","phase":"synthesis","model":"offline-rules","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration]}
    {"event":"llm_call","phase":"summary","model":"offline-rules","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration]}
    "#);
}

#[tokio::test]
async fn read_worker_file_can_access_metrics() {
    let lab = Lab::new();
    let job = lab.run_job("calculate 7*6").await;
    let worker_id = lab.metadata(job).await.worker_id;
    let file = lab.metrics(&worker_id);
    assert_eq!(file.events.len(), 4);

    // A model writes the number as a string, as in the seed's example, or as a number.
    let name = format!("worker job {job} (worker {worker_id})");
    for id in [json!(job.to_string()), json!(job), json!(worker_id)] {
        let arguments = json!({"job_id": id, "file_path": "metrics.jsonl"});
        let answer = lab.tools().call("read_worker_file", &arguments).await;
        let expected = format!("Contents of metrics.jsonl from {name}:\n\n{}", file.text);
        assert_eq!(answer, expected);
    }
    assert!(SUPERVISOR_PROMPT.contains(
        "For detailed performance metrics, read 'metrics.jsonl' from the worker directory"
    ));
}

/// Fifty workers on several threads, each of which records from everywhere a program can.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn metrics_collector_context_isolation() {
    const WORKERS: usize = 50;
    let lab = Lab::new();
    let busy = Arc::new(agent(|task, _| async move {
        let from = |place: &str| format!("{task} from {place}");
        let ok = async || Ok::<_, AgentError>(());

        tool_call(from("the task"), ok()).await?;
        let (both, sides) = tokio::join!(
            tool_call(from("one side"), ok()),
            tool_call(from("the other side"), async {
                tokio::task::yield_now().await;
                ok().await
            }),
        );
        both.and(sides)?;
        let name = from("a spawned task");
        let spawned = spawn(async move {
            tokio::task::yield_now().await;
            tool_call(name, async { Ok::<_, AgentError>(()) }).await
        });
        let name = from("a blocking thread");
        let blocking = spawn_blocking(move || start_tool_call(name).succeed());
        let name = from("a thread");
        let thread = thread_spawn(move || start_tool_call(name).succeed());
        tokio::task::yield_now().await;
        spawned.await.unwrap()?;
        blocking.await.unwrap();
        tokio::task::spawn_blocking(|| thread.join().unwrap())
            .await
            .unwrap();

        // Nobody asked this thread to take the scope along.
        let stray = std::thread::spawn(|| {
            start_tool_call("stray").succeed();
            current_worker_id()
        });
        assert_eq!(stray.join().unwrap(), None);
        Ok(())
    }));
    let runner = WorkerRunner::new(lab.store().clone(), busy);
    let runs = (0..WORKERS).map(|n| {
        let runner = runner.clone();
        tokio::spawn(async move {
            let task = format!("worker {n}");
            let report = runner
                .run_worker(&task, RunOptions::default())
                .await
                .unwrap();
            (task, report)
        })
    });
    let runs: Vec<_> = runs.collect();

    // Outside a scope recording is nothing at all, while all of those are running.
    assert!(MetricsCollector::current().is_none());
    let call = tool_call("outside", async { Ok::<_, AgentError>(()) });
    call.await.unwrap();
    start_tool_call("outside").succeed();

    for run in runs {
        let (task, report) = run.await.unwrap();
        assert_eq!(report.status, Status::Success, "{:?}", report.error);
        let file = lab.metrics(&report.worker_id);
        let tools: BTreeSet<_> = file.events.iter().map(tool_name).collect();
        let places = [
            "the task",
            "one side",
            "the other side",
            "a spawned task",
            "a blocking thread",
            "a thread",
        ];
        let expected: BTreeSet<_> = places.map(|it| format!("{task} from {it}")).into();
        assert_eq!(tools, expected);
        assert_eq!(file.events.len(), places.len(), "{}", file.text);
    }
    assert_eq!(current_worker_id(), None);
}

fn tool_name(event: &Event<'_>) -> String {
    match event {
        Event::ToolCall(call) => call.tool.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The file is there from the start, and other processes see each event while the worker still runs.
#[tokio::test]
async fn the_file_is_empty_at_the_start_and_grows_while_the_worker_runs() {
    let lab = Lab::new();
    let (go_on, ready) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let waiting = agent({
        let (go_on, ready) = (Arc::clone(&go_on), Arc::clone(&ready));
        move |_, _| {
            let (go_on, ready) = (Arc::clone(&go_on), Arc::clone(&ready));
            async move {
                for tool in ["ssh_exec", "http_request"] {
                    ready.notify_one();
                    go_on.notified().await;
                    tool_call(tool, async { Ok::<_, AgentError>(()) }).await?;
                }
                ready.notify_one();
                go_on.notified().await;
                Ok(())
            }
        }
    });
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(waiting));
    let run = tokio::spawn(async move { runner.run_worker("wait", RunOptions::default()).await });
    ready.notified().await;

    let rows = lab
        .supervisor()
        .rows(RowFilter::default())
        .await
        .unwrap()
        .rows;
    let worker_id: WorkerId = rows[0].worker_id.clone().unwrap();
    let worker = worker_id.as_str();
    let other_process = |arguments: &[&str]| {
        let mut command = triscope(arguments);
        finish(command.arg("--data-dir").arg(lab.data_dir()))
    };
    let read = || MetricsFile::parse(other_process(&["file", worker, "--raw"]).answer());
    assert_eq!(lab.metrics(&worker_id).text, "");
    assert_eq!(read().text, "");
    assert_eq!(
        other_process(&["file", worker, "metrics.jsonl"]).answer(),
        format!("Contents of metrics.jsonl from worker {worker}:\n\n")
    );
    for tools in [vec!["ssh_exec"], vec!["ssh_exec", "http_request"]] {
        go_on.notify_one();
        ready.notified().await;
        let file = eventually_async("the event", || {
            Some(read()).filter(|it| it.events.len() == tools.len())
        })
        .await;
        let names: Vec<_> = file.events.iter().map(tool_name).collect();
        assert_eq!(names, tools);
        let listed = other_process(&["workers", "--json"]).json();
        assert_eq!(listed[0]["status"], "running");
    }
    go_on.notify_one();
    let report = run.await.unwrap().unwrap();
    assert_eq!(report.worker_id, worker_id);
    assert_eq!(read().events.len(), 2);
}

/// The same for the program's own worker: a shell command of one process is followed from another.
#[test]
fn a_running_programs_worker_is_read_from_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let gate = dir.path().join("gate");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.02; done", gate.display());
    let task = format!("calculate 7*6 then run `{wait}`");
    let run = Background::start(triscope(["run", &task, "--data-dir"]).arg(&data_dir));

    let file = crate::support::eventually("two events", || {
        let output = finish(triscope(["file", "1", "--raw", "--data-dir"]).arg(&data_dir));
        // Neither the directory nor the job is there from the first moment.
        let file = (output.code == 0).then(|| MetricsFile::parse(output.stdout))?;
        (file.events.len() >= 3).then_some(file)
    });
    assert_eq!(tools_of(&file), ["calculate"]);
    let output = finish(triscope(["result", "1", "--data-dir"]).arg(&data_dir)).expect(1);
    assert!(
        output.stderr.starts_with("Error: job 1 is still running ("),
        "{output:?}"
    );

    std::fs::write(&gate, "").unwrap();
    run.finish().answer();
    let output = finish(triscope(["file", "1", "--raw", "--data-dir"]).arg(&data_dir));
    let whole = MetricsFile::parse(output.answer());
    assert!(whole.text.starts_with(&file.text));
    assert_eq!(tools_of(&whole), ["calculate", "shell_exec"]);
}

fn tools_of(file: &MetricsFile) -> Vec<String> {
    let calls = file.events.iter();
    let tools = calls.filter(|it| matches!(it, Event::ToolCall(_)));
    tools.map(tool_name).collect()
}

/// What a worker writes is the one canonical line: decoding and encoding gives the same bytes.
#[tokio::test]
async fn every_line_is_canonical() {
    let lab = Lab::with_agent(agent(|_, _| async {
        for text in hostile_strings() {
            let call = tool_call(&*text, async {
                Err::<(), _>(AgentError::Other(text.clone()))
            });
            let _ = call.tool_call_id(&*text).await;
            let call = llm_call(&*text, &*text, async { Err::<(), _>(text.clone()) });
            let _ = call.provider(&*text).await;
        }
        Ok(())
    }));
    let report = lab.run_worker("hostile").await;
    let hostile = lab.metrics(&report.worker_id);
    assert_eq!(hostile.events.len(), 2 * hostile_strings().len());

    let of_demo = demo().workers().into_iter();
    let of_demo = of_demo.map(|it| MetricsFile::read(&it.join("metrics.jsonl")));
    for file in of_demo.chain([hostile]) {
        assert!(!file.events.is_empty());
        for line in file.text.lines() {
            let Ok(Decoded::Event(event)) = decode(line.as_bytes()) else {
                panic!("{line}");
            };
            assert_eq!(event.to_line(), line);
            let value: Value = serde_json::from_str(line).unwrap();
            let by_serde = serde_json::to_string(&event).unwrap();
            assert_eq!(by_serde, line);
            // The stamps and the length agree.
            let time = event.time();
            let micros = time.end_ts().unix_micros() - time.start_ts().unix_micros();
            assert_eq!(value["duration_ms"], json!(micros / 1000), "{line}");
        }
    }
}

fn hostile_strings() -> Vec<String> {
    serde_json::from_str(include_str!("../samples/hostile-strings.json")).unwrap()
}

/// Recorded as the seed tells, the seed's events give the seed's lines, byte for byte.
#[tokio::test]
async fn the_seeds_lines_come_out_of_a_real_worker() {
    let lab = Lab::with_agent(agent(|_, _| async {
        let time = |start: &str, end: &str, ms| {
            let (start, end) = (start.parse().unwrap(), end.parse().unwrap());
            CallTime::as_written(start, end, ms)
        };
        let day = |time: &str| format!("2025-12-15T04:08:{time}Z");
        let mut call = LlmCall::new(
            Phase::INITIAL,
            "gpt-5-mini",
            time(&day("08.123456"), &day("08.234567"), 111),
        );
        call.usage = Usage::new(1234, 89);
        record_llm_call(call);
        record_tool_call(ToolCall::new(
            "ssh_exec",
            time(&day("08.345678"), &day("09.456789"), 1111),
        ));
        let mut call = LlmCall::new(
            Phase::SUMMARY,
            "gpt-5-mini",
            time(&day("09.567890"), &day("09.678901"), 111),
        );
        call.usage = Usage::new(567, 23);
        record_llm_call(call);
        Ok(())
    }));
    let report = lab.run_worker("the seed's example").await;
    assert_eq!(lab.metrics(&report.worker_id).text, SEED_LINES);
}

/// What a model reports is in the file; what it does not report is not made up.
#[tokio::test]
async fn tokens_are_those_that_the_model_counted() {
    let lab = Lab::new();
    let wants_a_tool = worker_runner::ChatReply {
        message: Message {
            tool_calls: vec![ToolRequest {
                id: "call_7".to_owned(),
                name: "calculate".to_owned(),
                arguments: r#"{"expression":"7*6"}"#.to_owned(),
            }],
            ..Message::text(Role::Assistant, "")
        },
        ..reply("", Usage::new(1234, 89))
    };
    let model: Arc<dyn ChatModel> = Arc::new(ScriptedModel::new(
        "gpt-5-mini",
        [
            Ok(wants_a_tool),
            Ok(reply("It is 42.", Usage::default())),
            Ok(reply("42", Usage::new(567, 23))),
        ],
    ));
    let tools = builtin_tools(lab.files_dir());
    let agent = ReactAgent::new(Arc::clone(&model), tools);
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(agent)).summary_model(model);
    let run = runner
        .run_worker("calculate 7*6", RunOptions::default())
        .await;
    let report = run.unwrap();
    assert_eq!(report.totals.usage, Usage::new(1801, 112).with_total());

    let text = lab.metrics(&report.worker_id).text;
    let _snapshot = normalised();
    insta::assert_snapshot!(text, @r#"
    {"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323}
    {"event":"tool_call","tool":"calculate","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"success":true,"tool_call_id":"call_7"}
    {"event":"llm_call","phase":"synthesis","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration]}
    {"event":"llm_call","phase":"summary","model":"gpt-5-mini","start_ts":"[time]","end_ts":"[time]","duration_ms":[duration],"prompt_tokens":567,"completion_tokens":23,"total_tokens":590}
    "#);
}

/// A call that fails, is cut off or panics is an event as well, once, with what is known.
#[tokio::test]
async fn calls_that_do_not_succeed_are_events_too() {
    let lab = Lab::new();
    let model = ScriptedModel::new(
        "gpt-5-mini",
        [Err(ModelError::new(ErrorClass::Unreachable, "no route"))],
    );
    let unreachable = ReactAgent::new(Arc::new(model), Vec::new()).retry(RetryPolicy::never());
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(unreachable));
    let report = runner
        .run_worker("ask", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Failed);
    let events = lab.metrics(&report.worker_id).events;
    let [Event::LlmCall(call)] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!(call.outcome, Outcome::failure("unreachable: no route"));
    assert_eq!(
        (call.phase.as_str(), call.model.as_str()),
        ("initial", "gpt-5-mini")
    );

    let too_slow = agent(|_, _| async {
        tool_call("ssh_exec", std::future::pending::<Result<(), AgentError>>()).await
    });
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(too_slow));
    let options = RunOptions {
        timeout: Duration::from_millis(20),
        ..RunOptions::default()
    };
    let report = runner.run_worker("be slow", options).await.unwrap();
    assert_eq!(report.status, Status::Timeout);
    let events = lab.metrics(&report.worker_id).events;
    let [Event::ToolCall(call)] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!(call.outcome, Outcome::failure("timeout"));

    let panics = agent(|_, _| async {
        let call = tool_call("ssh_exec", async {
            assert_eq!(current_worker_id(), None, "the sky falls");
            Ok::<_, AgentError>(())
        });
        call.await
    });
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(panics));
    let report = runner
        .run_worker("panic", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Failed);
    let events = lab.metrics(&report.worker_id).events;
    let [Event::ToolCall(call)] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!(call.outcome, Outcome::failure("panicked"));
}

/// A worker within a worker: its events are its own, and the ids say who started it and in which call.
#[tokio::test]
async fn nested_workers_are_linked_by_trace_ids() {
    let lab = Lab::new();
    let inner = agent(|_, _| async { tool_call("inner", async { Ok::<_, AgentError>(()) }).await });
    let inner = WorkerRunner::new(lab.store().clone(), Arc::new(inner));
    let outer = agent(move |_, context| {
        let inner = inner.clone();
        async move {
            tool_call("plain", async { Ok::<_, AgentError>(()) }).await?;
            let report =
                tool_call("delegate", inner.run_worker("child", RunOptions::default())).await;
            let report = report.map_err(|it| AgentError::Other(it.to_string()))?;
            context.say(Message::text(Role::Assistant, report.worker_id.as_str()));
            Ok(())
        }
    });
    let outer = WorkerRunner::new(lab.store().clone(), Arc::new(outer));
    let parent = outer
        .run_worker("parent", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(parent.status, Status::Success, "{:?}", parent.error);
    let child = WorkerId::from(parent.result);

    let metadata = |id: &WorkerId| lab.store().worker(id).unwrap().metadata().unwrap();
    let (of_parent, of_child) = (metadata(&parent.worker_id), metadata(&child));
    assert!(of_parent.trace_id.is_some() && of_parent.span_id.is_some());
    assert_eq!(of_parent.parent_span_id, None);
    assert_eq!(of_child.trace_id, of_parent.trace_id);
    assert_eq!(of_child.parent_worker_id, Some(parent.worker_id.clone()));

    let events = lab.metrics(&parent.worker_id).events;
    let [Event::ToolCall(plain), Event::ToolCall(delegate)] = &*events else {
        panic!("{events:?}");
    };
    // An id stands only where another record refers to it: in the call that started the child. The rest of the trace
    // is in the metadata.
    assert_eq!(plain.trace, TraceFields::default());
    let span_id = of_child.parent_span_id;
    assert!(span_id.is_some() && span_id != of_parent.span_id);
    let expected = TraceFields {
        span_id,
        ..TraceFields::default()
    };
    assert_eq!(delegate.trace, expected);
    let log = lab.log();
    let spans: Vec<_> = log
        .calls(Some(parent.worker_id.as_str()))
        .iter()
        .map(|it| it.get("span_id").map(str::to_owned))
        .collect();
    assert_eq!(spans, [None, span_id.map(|it| it.to_string())]);

    let events = lab.metrics(&child).events;
    assert_eq!(events.iter().map(tool_name).collect::<Vec<_>>(), ["inner"]);

    let of_stranger = lab.run_worker("calculate 7*6").await.worker_id;
    assert_ne!(metadata(&of_stranger).trace_id, of_parent.trace_id);
}

/// The demo shows on Tier 2 just what is in the files it names.
#[test]
fn the_demo_prints_the_files_that_it_names() {
    let demo = demo();
    let (_, tier_2) = demo.stdout.split_once("== Tier 2").unwrap();
    let (tier_2, _) = tier_2.split_once("== Tier 3").unwrap();
    let shown: Vec<_> = tier_2.lines().map(str::trim_start).collect();
    let files: Vec<_> = shown
        .iter()
        .filter(|it| it.ends_with("metrics.jsonl"))
        .collect();
    assert!(!files.is_empty(), "{tier_2}");
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let at = shown.iter().position(|it| it == file).unwrap();
        assert_eq!(shown[at + 1..at + 1 + lines.len()], lines);
    }
}
