//! The `grep`, `awk` and `tail` recipes for the log, as the guides give them, over the lines of real workers. What they
//! must answer is computed from the workers' events, that is from the other tier.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use metrics_collector::{record_llm_call, record_tool_call, tool_call};
use metrics_core::{
    CallTime, Event, LlmCall, ManualClock, Outcome, Phase, Timestamp, ToolCall, Usage, WorkerId,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use worker_runner::{AgentError, RunOptions};

use crate::support::{
    Background, Finished, Lab, LabOptions, LogFile, MetricsFile, agent, demo, eventually_async,
    require, sh, triscope,
};

/// Where the recipes look for the log.
const LOG: &str = "logs/backend/backend.log";

const FOLLOW_LLM_CALLS: &str = "tail -f logs/backend/backend.log | grep llm_call_complete";
const FOLLOW_TOOL_CALLS: &str = "tail -f logs/backend/backend.log | grep tool_call_complete";
const SLOW: &str = r#"grep "duration_ms=" logs/backend/backend.log | awk -F'duration_ms=' '{print $2}' | awk '{print $1}' | sort -n | tail -20"#;
const OF_WORKER: &str = r#"grep "worker_id=2025-12-15T03-19-12_backup" logs/backend/backend.log"#;
const FAILED_TOOLS: &str =
    r#"grep "tool_call_complete" logs/backend/backend.log | grep "success=False""#;
const BY_MODEL: &str =
    r#"grep "llm_call_complete" logs/backend/backend.log | grep -o "model=[^ ]*" | sort | uniq -c"#;
const HISTOGRAM: &str = r#"grep "duration_ms=" logs/backend/backend.log | awk -F'duration_ms=' '{print $2}' | awk '{print $1}' | sort -n | uniq -c"#;

/// A log where the recipes look for it, and the events that its workers wrote on Tier 2.
struct Backend {
    dir: TempDir,
    log: LogFile,
    events: Vec<(WorkerId, Event<'static>)>,
}

impl Backend {
    fn new(log: LogFile, workers: impl IntoIterator<Item = PathBuf>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("logs/backend")).unwrap();
        fs::write(dir.path().join(LOG), &log.text).unwrap();
        let mut events = Vec::new();
        for worker in workers {
            let worker_id = worker.file_name().unwrap().to_str().unwrap().to_owned();
            let file = MetricsFile::read(&worker.join("metrics.jsonl"));
            let of_worker = file.events.into_iter();
            events.extend(of_worker.map(|it| (WorkerId::from(worker_id.clone()), it)));
        }
        assert!(!events.is_empty());
        Self { dir, log, events }
    }

    /// The workers of the demo.
    fn of_demo() -> Self {
        Self::new(demo().log(), demo().workers())
    }

    /// Three workers of the seed's second: two with its task, one whose task goes on. Their calls are many, and their
    /// texts look like fields.
    async fn of_seed_workers() -> Self {
        let clock = seed_clock();
        let lab = Lab::with(LabOptions {
            clock: clock.clock(),
            agent: Some(Arc::new(agent(|_, _| async {
                record_many_calls();
                Ok(())
            }))),
            ..LabOptions::default()
        });
        let mut workers = Vec::new();
        for task in ["backup", "backup", "backup now"] {
            let run = lab.runner().run_worker(task, RunOptions::default()).await;
            workers.push(lab.worker_dir(&run.unwrap().worker_id));
        }
        Self::new(lab.log(), workers)
    }

    fn run(&self, recipe: &str) -> Finished {
        sh(self.dir.path(), recipe)
    }

    fn tool_calls(&self) -> impl Iterator<Item = &ToolCall<'static>> {
        self.events.iter().filter_map(|(_, event)| match event {
            Event::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    fn llm_calls(&self) -> impl Iterator<Item = &LlmCall<'static>> {
        self.events.iter().filter_map(|(_, event)| match event {
            Event::LlmCall(call) => Some(call),
            _ => None,
        })
    }

    /// All durations, the shortest first.
    fn durations_ms(&self) -> Vec<u64> {
        let durations = self.events.iter().map(|(_, it)| it.time().duration_ms());
        let mut res: Vec<_> = durations.collect();
        res.sort_unstable();
        res
    }
}

fn seed_clock() -> ManualClock {
    let start: Timestamp = "2025-12-15T03:19:12.000000Z".parse().unwrap();
    ManualClock::at(start)
}

/// Texts that a careless line would let pass for fields.
const TRICKS: [&str; 5] = [
    "gpt-5-mini",
    "a b",
    "x duration_ms=99999 success=False model=gpt-5-mini",
    "worker_id=2025-12-15T03-19-12_backup event=llm_call_complete",
    "two\nlines tool_call_complete success=False",
];

fn record_many_calls() {
    let start: Timestamp = "2025-12-15T03:19:14.000000Z".parse().unwrap();
    let lengths = [7, 20_000, 0, 111, 111, 19_500, 3, 1_234, 86_400_000];
    for (n, millis) in lengths.into_iter().enumerate() {
        let text = TRICKS[n % TRICKS.len()];
        let time = CallTime::new(start, Duration::from_millis(millis));
        let mut call = LlmCall::new(Phase::TOOL_DECISION, text, time);
        call.usage = Usage::new(1234, 89);
        if n == 3 {
            call.outcome = Outcome::failure(text);
        }
        record_llm_call(call);
        let time = CallTime::new(start, Duration::from_millis(millis * 2));
        let mut call = ToolCall::new(text, time);
        if n % 2 == 0 {
            call.outcome = Outcome::failure(text);
        }
        record_tool_call(call);
    }
}

async fn backends() -> [Backend; 2] {
    [Backend::of_demo(), Backend::of_seed_workers().await]
}

/// What `sort -n | uniq -c` says of numbers that are sorted already: a count and a value a line.
fn counted<T: Ord + ToString>(values: impl IntoIterator<Item = T>) -> Vec<(usize, String)> {
    let mut counts = BTreeMap::<T, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let counts = counts.into_iter();
    counts.map(|(value, n)| (n, value.to_string())).collect()
}

/// The lines of `uniq -c`.
#[track_caller]
fn read_counts(answer: &str) -> Vec<(usize, String)> {
    let lines = answer.lines().map(|line| {
        let (n, value) = line.trim_start().split_once(' ').unwrap();
        (n.parse().unwrap(), value.to_owned())
    });
    lines.collect()
}

#[tokio::test]
async fn slow_operations() {
    require!("grep", "awk", "sort", "tail");
    for backend in backends().await {
        let answer = backend.run(SLOW).answer();
        let shown: Vec<u64> = answer.lines().map(|it| it.parse().unwrap()).collect();
        let durations = backend.durations_ms();
        let from = durations.len().saturating_sub(20);
        assert_eq!(shown, durations[from..], "{}", backend.log.text);
    }
}

#[tokio::test]
async fn histogram_of_durations() {
    require!("grep", "awk", "sort", "uniq");
    for backend in backends().await {
        let answer = backend.run(HISTOGRAM).answer();
        assert_eq!(
            read_counts(&answer),
            counted(backend.durations_ms()),
            "{}",
            backend.log.text
        );
    }
}

#[tokio::test]
async fn operations_by_model() {
    require!("grep", "sort", "uniq");
    for backend in backends().await {
        let answer = backend.run(BY_MODEL).answer();
        // Each value reads back to the model's name, so that no two models are counted as one.
        let shown: Vec<_> = read_counts(&answer)
            .into_iter()
            .map(|(n, field)| {
                let line = format!("2025-12-15 03:19:33 INFO llm_call_complete {field}");
                let line = log_format::parse_line(&line).unwrap();
                (line.get("model").unwrap().to_owned(), n)
            })
            .collect();
        let models = backend.llm_calls().map(|it| it.model.as_str());
        let expected = counted(models).into_iter().map(|(n, model)| (model, n));
        let (shown, expected): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (shown.into_iter().collect(), expected.collect());
        assert_eq!(shown, expected, "{answer}");
    }
}

#[tokio::test]
async fn failed_tool_calls() {
    require!("grep");
    for backend in backends().await {
        let answer = backend.run(FAILED_TOOLS).answer();
        let failed: Vec<_> = backend
            .tool_calls()
            .filter(|it| !it.outcome.is_success())
            .collect();
        assert!(!failed.is_empty());
        let log = LogFile { text: answer };
        let mut shown = Vec::new();
        for line in log.lines() {
            assert_eq!(
                (line.get("success"), &*line.message),
                (Some("False"), "tool_call_complete")
            );
            let error = line.get("error").map(str::to_owned);
            shown.push((line.get("tool").unwrap().to_owned(), error));
        }
        let mut expected: Vec<_> = failed
            .iter()
            .map(|it| {
                (
                    it.tool.as_str().to_owned(),
                    it.outcome.error().map(str::to_owned),
                )
            })
            .collect();
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected, "{}", log.text);
    }
}

#[tokio::test]
async fn one_worker() {
    require!("grep");
    let backend = Backend::of_seed_workers().await;
    let lines_of = |worker: &str| -> Vec<String> {
        let calls = backend.log.lines();
        let lines = backend.log.text.lines().zip(calls);
        let lines = lines.filter(|(_, it)| it.get("worker_id") == Some(worker));
        lines.map(|(line, _)| line.to_owned()).collect()
    };
    let ids = ["backup", "2-backup", "backup-now"].map(|it| format!("2025-12-15T03-19-12_{it}"));
    for id in &ids {
        let n_events = backend
            .events
            .iter()
            .filter(|(it, _)| it.as_str() == id)
            .count();
        assert!(n_events > 0 && lines_of(id).len() == n_events, "{id}");
    }
    // The recipe as it stands finds the worker, not the second one of its name and second, and those whose names go on.
    let of_worker = backend.run(OF_WORKER).answer();
    let mut expected = lines_of(&ids[0]);
    expected.extend(lines_of(&ids[2]));
    assert_eq!(of_worker.lines().collect::<Vec<_>>(), expected);
    // With a space behind the id it is exact, for each of them.
    for id in &ids {
        let recipe = format!(r#"grep "worker_id={id} " {LOG}"#);
        let answer = backend.run(&recipe).answer();
        assert_eq!(answer.lines().collect::<Vec<_>>(), lines_of(id));
    }
    // And for each worker of the demo.
    let backend = Backend::of_demo();
    for worker in demo().workers() {
        let id = worker.file_name().unwrap().to_str().unwrap();
        let recipe = OF_WORKER.replace("2025-12-15T03-19-12_backup", id);
        let answer = backend.run(&recipe).answer();
        let n_events = backend
            .events
            .iter()
            .filter(|(it, _)| it.as_str() == id)
            .count();
        assert_eq!(answer.lines().count(), n_events, "{answer}");
    }
}

/// Lines arrive on a terminal while the worker runs, each as soon as its call has ended.
#[tokio::test]
async fn calls_are_followed_live() {
    require!("tail", "grep");
    let next = Arc::new(Notify::new());
    let lab = Lab::with_agent(agent({
        let next = Arc::clone(&next);
        move |_, _| {
            let next = Arc::clone(&next);
            async move {
                for tool in ["ssh_exec", "http_request", "read_file"] {
                    next.notified().await;
                    let reply = async { Ok::<_, AgentError>(()) };
                    metrics_collector::llm_call("gpt-5-mini", Phase::TOOL_DECISION, reply).await?;
                    tool_call(tool, async { Ok::<_, AgentError>(()) }).await?;
                }
                next.notified().await;
                Ok(())
            }
        }
    }));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("logs/backend")).unwrap();
    std::os::unix::fs::symlink(lab.log_path(), dir.path().join(LOG)).unwrap();
    let [mut llm_calls, mut tool_calls] = [FOLLOW_LLM_CALLS, FOLLOW_TOOL_CALLS].map(|recipe| {
        let mut shell = Command::new("sh");
        shell.args(["-c", recipe]).current_dir(dir.path());
        // On a terminal, as a person would: into a pipe `grep` writes many lines at once.
        Background::start_on_terminal(&mut shell)
    });

    let runner = lab.runner().clone();
    let run = tokio::spawn(async move { runner.run_worker("work", RunOptions::default()).await });
    for tool in ["ssh_exec", "http_request", "read_file"] {
        next.notify_one();
        tokio::task::yield_now().await;
        eventually_async("the worker's call", || {
            lab.log().text.contains(tool).then_some(())
        })
        .await;
        // Both wait for the line, which a worker that still runs has written.
        let line = llm_calls.next_line();
        let line = log_format::parse_line(&line).unwrap();
        assert_eq!(
            (&*line.message, line.get("model")),
            ("llm_call_complete", Some("gpt-5-mini"))
        );
        let line = tool_calls.next_line();
        let line = log_format::parse_line(&line).unwrap();
        assert_eq!(
            (&*line.message, line.get("tool")),
            ("tool_call_complete", Some(tool))
        );
        assert!(!run.is_finished());
    }
    next.notify_one();
    run.await.unwrap().unwrap();
    assert!(llm_calls.is_running() && tool_calls.is_running());
}

/// The program's own log is followed from before it exists, with `tail -F`, as the demo advises.
#[test]
fn the_programs_log_is_followed_live() {
    require!("tail", "grep");
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let log = data_dir.join(".triscope/triscope.log");
    let mut shell = Command::new("sh");
    let recipe = format!("tail -F '{}' 2>&1 | grep tool_call_complete", log.display());
    let mut tail = Background::start_on_terminal(shell.args(["-c", &recipe]));

    let gate = dir.path().join("gate");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.02; done", gate.display());
    let task = format!("calculate 7*6 then run `{wait}`");
    let mut run = Background::start(triscope(["run", &task, "--data-dir"]).arg(&data_dir));
    let line = tail.next_line();
    assert!(line.contains(" tool=calculate "), "{line}");
    assert!(run.is_running());
    fs::write(&gate, "").unwrap();
    let line = tail.next_line();
    assert!(line.contains(" tool=shell_exec "), "{line}");
    run.finish().answer();
}

/// What the demo says to type next does what it says.
#[test]
fn the_demos_own_advice_works() {
    require!("grep", "jq");
    let (_, next) = demo().stdout.split_once("== Next").unwrap();
    let advice: Vec<_> = next
        .lines()
        .filter_map(|it| it.strip_prefix("    "))
        .collect();
    let starting_with = |word: &str| -> Vec<&str> {
        advice
            .iter()
            .copied()
            .filter(|it| it.starts_with(word))
            .collect()
    };
    let [grep] = &*starting_with("grep ") else {
        panic!("{next}")
    };
    let answer = sh(Path::new("/"), grep).answer();
    assert_eq!(answer.lines().count(), 2, "{answer}");
    let [jq] = &*starting_with("jq ") else {
        panic!("{next}")
    };
    let answer = sh(Path::new("/"), jq).json();
    assert_eq!(answer.as_array().unwrap().len(), 5, "{answer}");
    assert!(
        next.contains(&format!("tail -F {}", demo().log_path().display())),
        "{next}"
    );
}
