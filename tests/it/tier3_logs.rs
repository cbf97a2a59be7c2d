//! Tier 3: one line an event in the log, for `grep` and for eyes.

use std::{io, path::Path, sync::Arc, time::Duration};

use artifact_store::Status;
use log_format::{LineSink, LogLine};
use metrics_collector::{
    current_worker_id, llm_call, record_llm_call, record_tool_call, start_llm_call, tool_call,
};
use metrics_core::{
    CallTime, Event, LlmCall, MemorySink, Outcome, Phase, Timestamp, ToolCall, Usage, WorkerId,
};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
use worker_runner::{AgentError, RunOptions, WorkerRunner};

use crate::support::{
    Lab, LabOptions, Lines as _, LogFile, MetricsFile, agent, demo, finish, normalised, require,
    sh, triscope,
};

/// The seed's example lines.
const SEED_LOG: &str = include_str!("../samples/seed-backend.log");
const SEED_WORKER: &str = "2025-12-15T03-19-12_backup";

/// A call that ended at `end`, `millis` long.
fn call_time(end: &str, millis: u64) -> CallTime {
    let end: Timestamp = end.parse().unwrap();
    let start = end.plus_micros(-1000 * i64::try_from(millis).unwrap());
    CallTime::new(start, Duration::from_millis(millis))
}

/// The log of what `record` records for the seed's worker.
fn log_of_seed_worker(record: impl FnOnce()) -> LogFile {
    let lab = Lab::new();
    let sink = Arc::new(MemorySink::default());
    metrics_collector::MetricsCollector::new(SEED_WORKER, sink).scope_sync(record);
    lab.log()
}

#[test]
fn llm_call_structured_logging() {
    let log = log_of_seed_worker(|| {
        let time = call_time("2025-12-15T03:19:33.999999Z", 19_500);
        let mut call = LlmCall::new(Phase::TOOL_DECISION, "gpt-5-mini", time);
        call.usage = Usage::new(1234, 89);
        record_llm_call(call.clone());
        call.usage = Usage {
            cached_tokens: Some(1000),
            reasoning_tokens: Some(64),
            ..Usage::new(1234, 89)
        };
        call.ttft_ms = Some(150);
        call.provider = Some("openai".into());
        call.attempt = Some(2);
        call.cost_usd = Some("0.00123".parse().unwrap());
        record_llm_call(call.clone());
        call.outcome = Outcome::failure("HTTP 503: try \"later\"");
        record_llm_call(call);
    });
    // The seed's own line, then the same call with all that a provider may tell, then a failed one.
    let (seed_line, _) = SEED_LOG.split_once('\n').unwrap();
    assert_eq!(
        log.text.whole_lines(),
        [
            format!("{seed_line} event=llm_call_complete"),
            format!(
                "{seed_line} cached_tokens=1000 reasoning_tokens=64 ttft_ms=150 provider=openai attempt=2 cost_usd=0.00123 event=llm_call_complete"
            ),
            format!(
                "{} cached_tokens=1000 reasoning_tokens=64 ttft_ms=150 provider=openai attempt=2 success=False error=\"HTTP 503: try \\\"later\\\"\" cost_usd=0.00123 event=llm_call_complete",
                seed_line.replace(" INFO ", " WARN ")
            ),
        ]
    );
}

#[test]
fn tool_call_structured_logging() {
    let log = log_of_seed_worker(|| {
        let time = call_time("2025-12-15T03:19:34.000000Z", 1_234);
        let mut call = ToolCall::new("ssh_exec", time);
        record_tool_call(call.clone());
        call.tool_call_id = Some("call_7".into());
        record_tool_call(call.clone());
        call.outcome = Outcome::failure("Connection refused");
        record_tool_call(call.clone());
        call.outcome = Outcome::failure("");
        record_tool_call(call);
    });
    let (_, seed_line) = SEED_LOG.trim_end().split_once('\n').unwrap();
    let failed = seed_line
        .replace(" INFO ", " WARN ")
        .replace("success=True", "success=False");
    assert_eq!(
        log.text.whole_lines(),
        [
            format!("{seed_line} event=tool_call_complete"),
            format!("{seed_line} tool_call_id=call_7 event=tool_call_complete"),
            format!(
                "{failed} error=\"Connection refused\" tool_call_id=call_7 event=tool_call_complete"
            ),
            format!("{failed} tool_call_id=call_7 event=tool_call_complete"),
        ]
    );
}

/// Every line of real workers has the one shape that the recipes rely on, judged by `grep` itself.
#[test]
fn structured_logs_grep_pattern() {
    require!("grep");
    let log = demo().log();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("backend.log"), &log.text).unwrap();
    let count = |pattern: &str| -> usize {
        // grep ends with 1 where it finds nothing.
        let found = sh(
            dir.path(),
            &format!("grep -cE '{pattern}' backend.log || true"),
        );
        found.answer().trim().parse().unwrap()
    };
    let events: Vec<_> = of_demo().flat_map(|(_, file)| file.events).collect();
    let n_llm_calls = events
        .iter()
        .filter(|it| matches!(it, Event::LlmCall(_)))
        .count();
    let n_tool_calls = events.len() - n_llm_calls;
    assert!(n_llm_calls > 0 && n_tool_calls > 0);

    let head = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} (INFO|WARN)";
    let worker = "worker_id=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}_[a-z0-9-]+";
    let llm_call = format!(
        "{head} llm_call_complete phase=[a-z_]+ duration_ms=[0-9]+ {worker} model=offline-rules event=llm_call_complete$"
    );
    let tool_call = format!(
        "{head} tool_call_complete tool=[a-z_]+ duration_ms=[0-9]+ success=(True|False) {worker} (.* )?event=tool_call_complete$"
    );
    assert_eq!(count(&llm_call), n_llm_calls, "{}", log.text);
    assert_eq!(count(&tool_call), n_tool_calls, "{}", log.text);
    // There is nothing else in the log, and what the seed looks for finds all of it.
    assert_eq!(log.text.whole_lines().len(), events.len(), "{}", log.text);
    for (pattern, n_lines) in [
        ("event=", events.len()),
        ("event=llm_call_complete", n_llm_calls),
        ("event=tool_call_complete", n_tool_calls),
        ("duration_ms=", events.len()),
        ("worker_id=", events.len()),
        ("model=", n_llm_calls),
        ("success=", n_tool_calls),
    ] {
        assert_eq!(count(pattern), n_lines, "{pattern}");
        // A key is found once a line: no key ends in another one's name, no value forges one.
        let found = sh(
            dir.path(),
            &format!("grep -o '{pattern}' backend.log | wc -l"),
        );
        assert_eq!(found.answer().trim(), n_lines.to_string(), "{pattern}");
    }
}

/// Bad data, a sink that breaks and a subscriber that panics cost a worker nothing.
#[tokio::test]
async fn structured_logs_fail_safe() {
    // Bad data: one line each, from which the very same values are read.
    let lab = Lab::with_agent(agent(|_, _| async {
        for text in hostile_strings() {
            let call = llm_call(&*text, &*text, async { Err::<(), _>(text.clone()) });
            let _ = call.provider(&*text).await;
            let call = tool_call(&*text, async { Err::<(), _>(text.clone()) });
            let _ = call.tool_call_id(&*text).await;
            // Nothing is known of this one; absent values are no trouble.
            start_llm_call(&*text, &*text).succeed();
        }
        Ok(())
    }));
    let report = lab.run_worker("hostile").await;
    assert_eq!(report.status, Status::Success, "{:?}", report.error);
    let (file, log) = (lab.metrics(&report.worker_id), lab.log());
    assert_eq!(file.events.len(), 3 * hostile_strings().len());
    assert_same_calls(&report.worker_id, &file, &log.lines());
    drop(lab);

    // A sink that fails, and one that panics.
    for sink in [BrokenSink::Fails, BrokenSink::Panics] {
        let broken = log_format::to_sink(sink).filter("info").build().unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(broken.filter)
            .with(broken.layer);
        assert_worker_unharmed(subscriber).await;
        // What could not be written is counted.
        broken.guard.flush(Duration::from_mins(1)).unwrap();
        assert_eq!(broken.guard.dropped(), 4);
    }
    // A subscriber of somebody else's that panics on every event.
    assert_worker_unharmed(tracing_subscriber::registry().with(PanickingLayer)).await;
}

#[derive(Clone, Copy)]
enum BrokenSink {
    Fails,
    Panics,
}

impl LineSink for BrokenSink {
    fn append(&mut self, _: &[u8]) -> io::Result<usize> {
        match self {
            Self::Fails => Err(io::Error::other("the disk is full")),
            Self::Panics => panic!("the sink is broken"),
        }
    }
}

struct PanickingLayer;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for PanickingLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        assert!(
            event.metadata().target() != log_format::TELEMETRY_TARGET,
            "no logging today"
        );
    }
}

/// A worker ends as ever, with all of its events on Tier 2, whatever becomes of its log lines.
async fn assert_worker_unharmed(subscriber: impl Into<tracing::Dispatch>) {
    let lab = Lab::new();
    let guard = tracing::dispatcher::set_default(&subscriber.into());
    let report = lab.run_worker("calculate 7*6").await;
    drop(guard);
    assert_eq!(report.status, Status::Success, "{:?}", report.error);
    assert_eq!(report.result, "The result is 42.");
    assert_eq!(report.events_lost, 0);
    assert_eq!(lab.metrics(&report.worker_id).events.len(), 4);
}

/// A full device as the log is no reason for the program to fail.
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let data_dir = tempfile::tempdir().unwrap();
    let mut run = triscope([
        "run",
        "calculate 7*6",
        "--log-file",
        "/dev/full",
        "--data-dir",
    ]);
    let answer = finish(run.arg(data_dir.path())).expect(0).stdout;
    assert!(answer.ends_with("\n\nThe result is 42.\n"), "{answer}");
    let mut file = triscope(["file", "1", "--raw", "--data-dir"]);
    let file = finish(file.arg(data_dir.path())).answer();
    assert_eq!(MetricsFile::parse(file).events.len(), 4);
}

fn hostile_strings() -> Vec<String> {
    serde_json::from_str(include_str!("../samples/hostile-strings.json")).unwrap()
}

/// The workers of the demo and their events.
fn of_demo() -> impl Iterator<Item = (WorkerId, MetricsFile)> {
    demo().workers().into_iter().map(|dir| {
        let worker_id = dir.file_name().unwrap().to_str().unwrap();
        let file = MetricsFile::read(&dir.join("metrics.jsonl"));
        (WorkerId::from(worker_id.to_owned()), file)
    })
}

/// Checks that the worker's lines on Tier 3 are its lines on Tier 2: the same calls in the same order with the same
/// values, once each.
#[track_caller]
fn assert_same_calls(worker_id: &WorkerId, file: &MetricsFile, lines: &[LogLine<'_>]) {
    let lines: Vec<_> = lines
        .iter()
        .filter(|it| it.is_telemetry() && it.get("worker_id") == Some(worker_id.as_str()))
        .collect();
    assert_eq!(lines.len(), file.events.len(), "{worker_id}");
    for (event, line) in file.events.iter().zip(lines) {
        assert_same_call(event, line);
    }
}

#[track_caller]
fn assert_same_call(event: &Event<'_>, line: &LogLine<'_>) {
    let (time, outcome) = (event.time(), event.outcome());
    let expected_level = match outcome {
        Outcome::Success => Level::INFO,
        Outcome::Failure(_) => Level::WARN,
    };
    assert_eq!(line.level, expected_level, "{line:?}");
    let seconds = time.end_ts().unix_micros().div_euclid(1_000_000);
    assert_eq!(line.unix_seconds, seconds, "{line:?}");

    let text = |value: Option<u64>| value.map(|it| it.to_string());
    let mut expected = vec![("duration_ms", text(Some(time.duration_ms())))];
    expected.push(("error", outcome.error().map(str::to_owned)));
    match event {
        Event::LlmCall(call) => expected.extend([
            ("event", Some("llm_call_complete".to_owned())),
            ("phase", Some(call.phase.as_str().to_owned())),
            ("model", Some(call.model.as_str().to_owned())),
            ("prompt_tokens", text(call.usage.prompt_tokens)),
            ("completion_tokens", text(call.usage.completion_tokens)),
            ("total_tokens", text(call.usage.total_tokens)),
            (
                "provider",
                call.provider.as_ref().map(|it| it.as_str().to_owned()),
            ),
            (
                "success",
                (!outcome.is_success()).then(|| "False".to_owned()),
            ),
        ]),
        Event::ToolCall(call) => {
            let success = if outcome.is_success() {
                "True"
            } else {
                "False"
            };
            expected.extend([
                ("event", Some("tool_call_complete".to_owned())),
                ("tool", Some(call.tool.as_str().to_owned())),
                (
                    "tool_call_id",
                    call.tool_call_id.as_deref().map(str::to_owned),
                ),
                ("success", Some(success.to_owned())),
            ]);
        }
        other => panic!("{other:?}"),
    }
    for (key, value) in expected {
        assert_eq!(line.get(key), value.as_deref(), "{key} of {line:?}");
        let n_keys = line.fields.iter().filter(|(it, _)| *it == key).count();
        assert_eq!(n_keys, usize::from(value.is_some()), "{key} of {line:?}");
    }
    assert_eq!(Some(line.message.as_ref()), line.get("event"));
    assert_eq!(line.fields.last().map(|(key, _)| *key), Some("event"));
}

/// Of the demo's six workers, that ran side by side, each call is on both tiers once.
#[test]
fn both_tiers_tell_the_same_of_the_demo() {
    let log = demo().log();
    let lines = log.lines();
    let mut n_events = 0;
    for (worker_id, file) in of_demo() {
        assert!(!file.events.is_empty());
        assert_same_calls(&worker_id, &file, &lines);
        n_events += file.events.len();
    }
    assert_eq!(log.calls(None).len(), n_events);

    // And the demo prints the log as it is.
    let (_, tier_3) = demo().stdout.split_once("== Tier 3").unwrap();
    for line in log.text.lines() {
        assert!(tier_3.contains(&format!("\n  {line}\n")), "{line}");
    }
}

#[tokio::test]
async fn both_tiers_tell_the_same_of_workers_side_by_side() {
    let lab = Lab::new();
    std::fs::write(
        lab.files_dir().join("notes.txt"),
        "Ask before touching the database.",
    )
    .unwrap();
    let tasks = [
        "calculate 7*6",
        "read notes.txt and calculate 1+1 and read missing.txt",
        "run `exit 3` then calculate 2^64",
        "say hello",
    ];
    let mut jobs = Vec::new();
    for task in tasks {
        let request = supervisor_tools::SpawnRequest::new(task);
        jobs.push(lab.start_job(request).await);
    }
    lab.supervisor().idle().await;
    let log = lab.log();
    let mut n_events = 0;
    for job in jobs {
        let worker_id = lab.metadata(job).await.worker_id;
        let file = lab.metrics(&worker_id);
        assert_same_calls(&worker_id, &file, &log.lines());
        assert_eq!(log.calls(Some(worker_id.as_str())).len(), file.events.len());
        n_events += file.events.len();
    }
    assert_eq!(log.text.whole_lines().len(), n_events);
}

/// What cannot be kept is said, and the lines of the calls are there all the same.
#[tokio::test]
async fn lost_events_are_said_in_the_log() {
    let lab = Lab::new();
    let data_dir = lab.data_dir().to_owned();
    let forgetful = agent(move |_, _| {
        let file = data_dir
            .join(current_worker_id().unwrap().as_str())
            .join("metrics.jsonl");
        async move {
            std::fs::remove_file(&file).unwrap();
            std::fs::create_dir(&file).unwrap();
            for _ in 0..3 {
                tool_call("ssh_exec", async { Ok::<_, AgentError>(()) }).await?;
            }
            Ok(())
        }
    });
    let options = RunOptions {
        flush_timeout: Duration::from_millis(20),
        ..RunOptions::default()
    };
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(forgetful));
    let report = runner.run_worker("lose", options).await.unwrap();
    assert_eq!((report.status, report.events_lost), (Status::Success, 3));

    let log = lab.log();
    assert_eq!(log.calls(Some(report.worker_id.as_str())).len(), 3);
    let lines = log.lines();
    let said: Vec<_> = lines
        .iter()
        .filter(|it| it.message == "events_lost")
        .collect();
    let lost: u64 = said
        .iter()
        .map(|it| it.get("lost").unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(lost, 3, "{}", log.text);
    for line in said {
        assert_eq!(line.level, Level::WARN);
        assert_eq!(line.get("worker_id"), Some(report.worker_id.as_str()));
        assert_eq!(line.fields.last().unwrap().0, "event");
    }
}

/// Telemetry is in the log whatever `RUST_LOG` says, unless it names just that.
#[test]
fn rust_log_keeps_telemetry_unless_it_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let log_of = |rust_log: Option<&str>| {
        let mut run = triscope(["run", "calculate 7*6 and read missing.txt", "--data-dir"]);
        let log = dir.path().join("triscope.log");
        run.arg(dir.path().join("data")).arg("--log-file").arg(&log);
        if let Some(directives) = rust_log {
            run.env("RUST_LOG", directives);
        }
        finish(&mut run).expect(0);
        let text = LogFile::read(&log);
        std::fs::remove_file(log).unwrap();
        text
    };
    let usual = [
        (Level::INFO, "llm_call_complete"),
        (Level::INFO, "tool_call_complete"),
        (Level::WARN, "tool_call_complete"),
        (Level::INFO, "llm_call_complete"),
        (Level::INFO, "llm_call_complete"),
    ];
    let shown = |log: &LogFile| -> Vec<_> {
        let calls = log.calls(None);
        let mut res: Vec<_> = calls
            .iter()
            .map(|it| (it.level, it.message.to_string()))
            .collect();
        // The two tools run side by side.
        res.sort();
        res
    };
    let expected = |mut calls: Vec<(Level, &str)>| -> Vec<_> {
        calls.sort_unstable();
        calls
            .into_iter()
            .map(|(level, it)| (level, it.to_owned()))
            .collect()
    };
    for rust_log in [
        None,
        Some(""),
        Some("error"),
        Some("off"),
        Some("metrics_core=trace"),
    ] {
        let log = log_of(rust_log);
        assert_eq!(
            shown(&log),
            expected(usual.to_vec()),
            "{rust_log:?}: {}",
            log.text
        );
        assert_eq!(log.lines().len(), usual.len(), "{rust_log:?}: {}", log.text);
    }
    let log = log_of(Some("error,triscope::telemetry=warn"));
    assert_eq!(shown(&log), expected(vec![usual[2]]), "{}", log.text);
    let log = log_of(Some("info,triscope::telemetry=off"));
    assert_eq!(shown(&log), expected(vec![]), "{}", log.text);

    // What is not understood is said, and the rest counts.
    let log = log_of(Some("error,=,triscope=nonsense"));
    assert_eq!(shown(&log), expected(usual.to_vec()), "{}", log.text);
    assert!(
        log.text.contains(" WARN log_filter_ignored directive="),
        "{}",
        log.text
    );
}

/// One formatter serves the whole program: what other code logs has the same shape, and the worker's id.
#[tokio::test]
async fn foreign_events_have_the_same_shape() {
    let lab = Lab::with(LabOptions {
        agent: Some(Arc::new(agent(|_, _| async {
            tracing::warn!(peer = "10.0.0.7", ok = false, "connection closed; a=b");
            tracing::info!(note = "two words\nand a line", attempts = 7, "");
            tracing::debug!("nobody asked for this");
            Ok(())
        }))),
        ..LabOptions::default()
    });
    let worker_id = lab.run_worker("work").await.worker_id;
    tracing::error!(code = 3, "outside of any worker");

    let log = lab.log();
    let lines: Vec<_> = log.lines();
    let _snapshot = normalised();
    insta::assert_snapshot!(log.text, @r#"
    [time] WARN connection closed; a\x3db peer=10.0.0.7 ok=False worker_id=[second]_work target=it::tier3_logs
    [time] INFO note="two words\nand a line" attempts=7 worker_id=[second]_work target=it::tier3_logs
    [time] ERROR outside of any worker code=3 target=it::tier3_logs
    "#);
    assert_eq!(lines[0].message, "connection closed; a=b");
    assert_eq!(lines[1].get("note"), Some("two words\nand a line"));
    assert_eq!(lines[1].get("worker_id"), Some(worker_id.as_str()));
    assert!(lines.iter().all(|it| !it.is_telemetry()));
}

/// The same of the program: with everything on, each line of all its libraries reads back.
#[test]
fn every_line_of_the_program_has_the_shape() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path();
    let mut run = triscope([
        "run",
        "fetch http://127.0.0.1:1/ then calculate 7*6",
        "--allow-host=127.0.0.1:1",
        "--data-dir",
    ]);
    finish(run.arg(data_dir).env("RUST_LOG", "trace")).expect(0);
    let log = LogFile::read(&data_dir.join(".triscope/triscope.log"));
    let lines = log.lines();
    let foreign: Vec<_> = lines.iter().filter(|it| !it.is_telemetry()).collect();
    assert!(!foreign.is_empty(), "{}", log.text);
    for line in foreign {
        assert_ne!(line.target(), log_format::TELEMETRY_TARGET, "{line:?}");
    }
    assert_eq!(log.calls(None).len(), 6, "{}", log.text);
}

/// `-v` shows on stderr what stands in the file, and stdout stays what it is.
#[test]
fn verbose_logs_to_stderr_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let run = finish(triscope(["run", "calculate 7*6", "-v", "--data-dir"]).arg(dir.path()));
    let run = run.expect(0);
    let log = LogFile::read(&dir.path().join(".triscope/triscope.log"));
    assert_eq!(log.calls(None).len(), 4);
    assert_eq!(run.stderr, log.text);
    assert!(
        run.stdout.starts_with("Result from worker job 1 "),
        "{}",
        run.stdout
    );
}

/// Two processes that log into one file never mix up their lines.
#[test]
fn processes_share_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<_> = (0..4)
        .map(|n| {
            let mut run = triscope(["run", &format!("calculate {n}+{n} then calculate 7*{n}")]);
            run.arg("--data-dir").arg(dir.path());
            crate::support::Background::start(&mut run)
        })
        .collect();
    for run in runs {
        run.finish().answer();
    }
    let log = LogFile::read(&dir.path().join(".triscope/triscope.log"));
    let lines = log.lines();
    assert_eq!(lines.len(), 4 * 6, "{}", log.text);
    for worker in workers_in(dir.path()) {
        let file = MetricsFile::read(&dir.path().join(worker.as_str()).join("metrics.jsonl"));
        assert_same_calls(&worker, &file, &lines);
    }
}

fn workers_in(data_dir: &Path) -> Vec<WorkerId> {
    let entries = std::fs::read_dir(data_dir).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    names
        .filter(|it| it != ".triscope")
        .map(WorkerId::from)
        .collect()
}
