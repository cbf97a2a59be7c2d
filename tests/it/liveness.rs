//! Workers whose process dies, is stopped, or leaves by a side door: what the next process sees of them.

use std::{
    env, fs,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use artifact_store::{ArtifactStore, Metadata, Status, WorkerFilter};
use metrics_collector::start_tool_call;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, kill_process},
};
use supervisor_tools::{JobId, JobRef, Supervisor};
use worker_runner::{AgentError, RunOptions, WorkerRunner, agent_fn};

use crate::{
    cli::{Place, metadata},
    support::{Background, LogFile, MetricsFile, agent, eventually, finish},
};

const DIED: &str = "worker process died";

/// A worker that the program runs, once its tool call is in flight for a while.
fn busy_worker(place: &Place) -> Background {
    let running = place.worker_until_go();
    eventually("the call in flight", || {
        activity_of_only_worker(place.data_dir())
    });
    running
}

fn activity_of_only_worker(data_dir: &Path) -> Option<()> {
    only_worker_dir(data_dir)?
        .join("activity.json")
        .exists()
        .then_some(())
}

fn only_worker_dir(data_dir: &Path) -> Option<PathBuf> {
    let dirs = fs::read_dir(data_dir).ok()?.map(|it| it.unwrap().path());
    let mut workers = dirs.filter(|it| !it.ends_with(".triscope"));
    workers
        .next()
        .filter(|it| it.join("metadata.json").exists())
}

#[test]
fn a_killed_run_is_shown_as_died_by_whoever_looks_next() {
    let looks: [&[&str]; 4] = [
        &["workers", "--status", "failed"],
        &["result", "1"],
        &["meta", "1"],
        &["grep", "worker died"],
    ];
    for look in looks {
        let place = Place::new();
        let running = busy_worker(&place);
        running.signal(Signal::KILL);
        assert_eq!(running.finish().code, 137);
        place.go(); // What its tool started lives on.

        // `result` says by its exit code that the job failed.
        let code = i32::from(look[0] == "result");
        let seen = place.run(look).expect(code).stdout;
        assert!(
            seen.contains("failed") || seen.contains("worker died"),
            "{look:?}: {seen}"
        );
        let dir = only_worker_dir(place.data_dir()).unwrap();
        let written = metadata(&dir);
        assert_eq!(
            (&written["status"], &written["error"]),
            (&"failed".into(), &DIED.into())
        );
        assert!(written["finished_at"].is_string() && written["events_lost"].is_null());
        let events = MetricsFile::read(&dir.join("metrics.jsonl"));
        assert_eq!(written["events"], events.events.len());
        let cut_off = events.text.lines().last().unwrap();
        // With the span that the command was told of.
        assert!(
            cut_off.contains(r#""tool":"shell_exec""#)
                && cut_off.contains(r#""success":false,"error":"worker died","span_id":""#),
            "{cut_off}"
        );
        assert!(!dir.join("activity.json").exists());

        let result = place.run(&["result", "1"]).expect(1).stdout;
        let head = result.split("\n\n").nth(1).unwrap();
        let (time, rest) = head.split_once('\n').unwrap();
        assert!(time.starts_with("Execution time: "), "{result}");
        assert_eq!(rest, format!("Status: failed\nError: {DIED}"));
        let row = &place.rows()[0];
        assert_eq!(
            (&row["status"], &row["job_id"]),
            (&"failed".into(), &1.into())
        );

        // However often it was looked at, it is said once.
        let log = LogFile::read(&place.log_path());
        let lines = log.lines();
        let deaths = lines.iter().filter(|it| it.message == "worker_died");
        assert_eq!(deaths.count(), 1, "{look:?}");
        let log = &log.text;
        let of_call = log.matches("success=False worker_id=");
        assert_eq!(of_call.count(), 1, "{log}");
        assert!(log.contains(r#" error="worker died" span_id="#), "{log}");
    }
}

#[test]
fn a_stopped_run_is_alive() {
    let place = Place::new();
    let running = busy_worker(&place);
    running.signal(Signal::STOP);
    for _ in 0..3 {
        assert_eq!(place.rows()[0]["status"], "running");
        let result = place.run(&["result", "1"]).expect(1);
        assert!(
            result.stderr.contains("job 1 is still running"),
            "{result:?}"
        );
    }
    running.signal(Signal::CONT);
    place.go();
    running.finish().expect(0);
    assert_eq!(place.rows()[0]["status"], "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_job_of_another_process_notices_its_death() {
    let place = Place::new();
    let running = busy_worker(&place);
    let store = ArtifactStore::open(place.data_dir()).unwrap();
    let runner = WorkerRunner::new(store.clone(), Arc::new(agent(|_, _| async { Ok(()) })));
    let supervisor = Supervisor::open(store, runner, 1).unwrap();
    let id = JobId::try_from(1).unwrap();
    let patience = Duration::from_hours(1);
    assert!(
        !supervisor
            .wait(id, Duration::from_millis(300))
            .await
            .unwrap()
    );
    let waiting = {
        let supervisor = supervisor.clone();
        tokio::spawn(async move { supervisor.wait(id, patience).await.unwrap() })
    };
    running.signal(Signal::KILL);
    running.finish();
    assert!(waiting.await.unwrap());
    place.go();
    let text = supervisor
        .tools(None)
        .read_worker_result(&JobRef::Job(id))
        .await
        .unwrap();
    assert!(
        text.contains(&format!("\nStatus: failed\nError: {DIED}\n")),
        "{text}"
    );
}

/// Ways for a process to end in the middle of an agent's call.
const WAYS_OUT: [&str; 4] = ["exits", "aborts", "panics twice", "leaves a child"];

#[test]
fn a_worker_died_whichever_way_its_process_ended() {
    const NAME: &str = "liveness::a_worker_died_whichever_way_its_process_ended";
    if let Some((data_dir, way)) = child_arguments() {
        return run_and_die(&data_dir, &way);
    }
    for way in WAYS_OUT {
        let place = Place::new();
        let ended = finish(&mut child(NAME, place.data_dir(), way));
        assert_eq!(ended.code == 0, way == "exits", "{ended:?}");
        let heir = fs::read_to_string(place.folder().join("heir")).ok();
        let heir = heir.map(|it| Heir(Pid::from_raw(it.parse().unwrap()).unwrap()));
        assert_eq!(heir.is_some(), way == "leaves a child");
        if let Some(heir) = &heir {
            assert!(heir.holds_a_lock_file());
        }

        let store = ArtifactStore::open(place.data_dir()).unwrap();
        let found = only_worker(&store);
        assert_eq!(
            (found.status, found.error.as_deref()),
            (Status::Failed, Some(DIED)),
            "{way}"
        );
        assert_eq!(found.events, Some(1), "{way}");
        let dir = place.data_dir().join(found.worker_id.as_str());
        let events = MetricsFile::read(&dir.join("metrics.jsonl"));
        assert!(
            events.text.contains(r#""tool":"last_call""#),
            "{way}: {}",
            events.text
        );
        assert!(
            events.text.contains(r#""error":"worker died""#),
            "{way}: {}",
            events.text
        );
        drop(heir);
    }
}

fn only_worker(store: &ArtifactStore) -> Metadata {
    let mut list = store.list(&WorkerFilter::default()).unwrap();
    assert_eq!(
        (list.workers.len(), list.problems.len()),
        (1, 0),
        "{list:?}"
    );
    list.workers.remove(0)
}

/// A process that outlives the one that started it, with a descriptor of its lock's file.
struct Heir(Pid);

impl Heir {
    fn holds_a_lock_file(&self) -> bool {
        let fds = fs::read_dir(format!("/proc/{}/fd", self.0.as_raw_nonzero())).unwrap();
        let mut files = fds.filter_map(|it| fs::read_link(it.unwrap().path()).ok());
        files.any(|it| it.extension().is_some_and(|it| it == "lock"))
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// The other process: runs a worker whose agent never comes back from its call.
fn run_and_die(data_dir: &Path, way: &str) {
    let store = ArtifactStore::open(data_dir).unwrap();
    let (way, dir) = (way.to_owned(), data_dir.to_owned());
    let agent = agent_fn(move |_| {
        let (way, dir) = (way.clone(), dir.clone());
        async move {
            let _timer = start_tool_call("last_call");
            eventually("the call in flight", || activity_of_only_worker(&dir));
            die(&way, &dir);
            Err::<String, _>(AgentError::Other("it lives".to_owned()))
        }
    });
    let runner = WorkerRunner::new(store, Arc::new(agent));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = runtime.block_on(runner.run_worker("die", RunOptions::default()));
}

fn die(way: &str, dir: &Path) {
    match way {
        "exits" => std::process::exit(0),
        "aborts" => std::process::abort(),
        "panics twice" => {
            struct Again;
            impl Drop for Again {
                fn drop(&mut self) {
                    panic!("while it panics");
                }
            }
            let _again = Again;
            panic!("the first time");
        }
        "leaves a child" => {
            let mut heir = Command::new("sleep");
            heir.arg("600")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut heir = with_lock_file_inherited(|| heir.spawn().unwrap());
            fs::write(dir.with_file_name("heir"), heir.id().to_string()).unwrap();
            kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
            heir.wait().unwrap(); // A signal may take its time.
        }
        other => panic!("no way out: {other}"),
    }
}

/// Lets processes started by `body` have the descriptor of this process's lock file, as a fork without an exec has.
#[expect(
    unsafe_code,
    reason = "the descriptor belongs to the store, which does not give it away"
)]
fn with_lock_file_inherited<T>(body: impl FnOnce() -> T) -> T {
    let fds = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|it| it.unwrap().path());
    let lock = fds
        .filter(|it| {
            fs::read_link(it).is_ok_and(|it| it.extension().is_some_and(|it| it == "lock"))
        })
        .find_map(|it| it.file_name()?.to_str()?.parse().ok())
        .unwrap();
    // SAFETY: the store holds it open for as long as this process lives.
    let lock = unsafe { BorrowedFd::borrow_raw(lock) };
    fcntl_setfd(lock, FdFlags::empty()).unwrap();
    body()
}

const CHILD: &str = "TRISCOPE_TEST_CHILD";

/// This test program again, with one test that finds `data_dir` and `argument` in its surroundings.
fn child(name: &str, data_dir: &Path, argument: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, data_dir)
        .env(format!("{CHILD}_ARGUMENT"), argument);
    command
}

fn child_arguments() -> Option<(PathBuf, String)> {
    let argument = env::var(format!("{CHILD}_ARGUMENT")).ok()?;
    Some((env::var_os(CHILD)?.into(), argument))
}
