//! What all three tiers cost a worker of 20 calls of 50 ms: the time spent inside our calls and in making and finishing
//! the worker, and the CPU time of all threads against the same agent without us.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use artifact_store::ArtifactStore;
use metrics_collector::{start_llm_call, start_tool_call};
use metrics_core::{Phase, Usage};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;
use worker_runner::{RunOptions, WorkerRunner, agent_fn};

const CALLS: usize = 20;
const CALL: Duration = Duration::from_millis(50);
const WORKERS: usize = 8;

/// One worker's time.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    /// From the call of `run_worker` to its answer.
    total: Duration,
    /// From the first to the last instruction of the agent.
    agent: Duration,
    /// Of that, inside recording calls.
    recording: Duration,
    /// Of that, CPU time of the calling thread: what is left where other programs want the processors too.
    recording_cpu: Duration,
    /// CPU time of the process, all threads.
    cpu: Duration,
}

impl Spent {
    /// Time that would not have been spent without us.
    fn ours(&self) -> Duration {
        self.total.saturating_sub(self.agent) + self.recording
    }
}

/// Adds up what recording calls take.
#[derive(Default)]
struct Stopwatch {
    wall: Duration,
    cpu: Duration,
}

impl Stopwatch {
    fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let (cpu, wall) = (cpu_time(ClockId::ThreadCPUTime), Instant::now());
        let answer = call();
        self.wall += wall.elapsed();
        self.cpu += cpu_time(ClockId::ThreadCPUTime).saturating_sub(cpu);
        answer
    }
}

/// The agent: model and tool calls in turns, each of them a sleep.
async fn work() -> Spent {
    let (begun, mut recording) = (Instant::now(), Stopwatch::default());
    for number in 0..CALLS {
        if number % 2 == 0 {
            let mut call = recording.time(|| start_llm_call("gpt-5-mini", Phase::TOOL_DECISION));
            sleep(CALL).await;
            recording.time(|| {
                call.usage(Usage::new(1234, 89));
                call.succeed();
            });
        } else {
            let call = recording.time(|| start_tool_call("shell_exec"));
            sleep(CALL).await;
            recording.time(|| call.succeed());
        }
    }
    Spent {
        agent: begun.elapsed(),
        recording: recording.wall,
        recording_cpu: recording.cpu,
        ..Spent::default()
    }
}

pub(crate) fn cpu_time(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

async fn with_us(runner: &WorkerRunner, reported: &Mutex<Spent>) -> Spent {
    let (cpu, begun) = (cpu_time(ClockId::ProcessCPUTime), Instant::now());
    let report = runner.run_worker("work for a second", RunOptions::default());
    let report = report.await.expect("a worker");
    let total = begun.elapsed();
    assert_eq!(
        (report.totals.events(), report.events_lost),
        (CALLS as u64, 0)
    );
    Spent {
        total,
        cpu: cpu_time(ClockId::ProcessCPUTime).saturating_sub(cpu),
        ..*reported.lock().expect("nothing panics")
    }
}

/// The same agent as a task of its own: outside a scope its recording calls do nothing.
async fn without_us() -> Spent {
    let (cpu, begun) = (cpu_time(ClockId::ProcessCPUTime), Instant::now());
    let spent = tokio::spawn(work()).await.expect("no panic");
    Spent {
        total: begun.elapsed(),
        cpu: cpu_time(ClockId::ProcessCPUTime).saturating_sub(cpu),
        ..spent
    }
}

pub(crate) fn run() {
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    // For the whole process, as the worker runs on the runtime's threads.
    let log = log_format::to_file(data_dir.path().join("triscope.log"))
        .filter("info")
        .install()
        .expect("a log");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let store = ArtifactStore::open(data_dir.path()).expect("a store");
    let reported = Arc::new(Mutex::new(Spent::default()));
    let agent = {
        let reported = Arc::clone(&reported);
        agent_fn(move |_| {
            let reported = Arc::clone(&reported);
            async move {
                *reported.lock().expect("nothing panics") = work().await;
                Ok::<_, Infallible>("done")
            }
        })
    };
    let runner = WorkerRunner::new(store, Arc::new(agent));
    let (mut with, mut without) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        for _ in 0..WORKERS {
            without.push(without_us().await);
            with.push(with_us(&runner, &reported).await);
        }
    });
    drop(log);
    println!(
        "\na worker of {CALLS} calls of {} ms on all three tiers",
        CALL.as_millis()
    );
    println!("  target: our share of its time below 0.1 %");
    let best = |of: &dyn Fn(&Spent) -> Duration, runs: &[Spent]| {
        runs.iter().map(of).min().unwrap_or_default()
    };
    let worker = best(&|it| it.total, &with);
    let show = |what: &str, time: Duration| {
        println!(
            "  {what:<62} {:>8.1} us {:>8.4} %",
            time.as_secs_f64() * 1e6,
            time.as_secs_f64() / worker.as_secs_f64() * 100.0
        );
    };
    show("inside recording calls", best(&|it| it.recording, &with));
    show("of that, CPU time", best(&|it| it.recording_cpu, &with));
    show(
        "making and finishing the worker (all of its time but the agent's)",
        best(&|it| it.total.saturating_sub(it.agent), &with),
    );
    show("both, best worker", best(&|it| it.ours(), &with));
    let mut ours: Vec<_> = with.iter().map(Spent::ours).collect();
    ours.sort_unstable();
    show("both, median worker", ours[ours.len() / 2]);
    let (cpu_with, cpu_without) = (best(&|it| it.cpu, &with), best(&|it| it.cpu, &without));
    show("CPU time of all threads, with us", cpu_with);
    show(
        "CPU time of all threads, the same agent without us",
        cpu_without,
    );
    show("CPU time, ours", cpu_with.saturating_sub(cpu_without));
}
