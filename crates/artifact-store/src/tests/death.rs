//! Marking workers whose process died, step by step and all at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, FileTimes},
    io::{self, BufRead as _, BufReader},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Arc, Barrier, Mutex},
    thread,
    time::{Duration, SystemTime},
};

use metrics_core::{Timestamp, WorkerId};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};

use super::support::{
    LONG, TestStore, assert_passed, child, child_argument, event, is_root, mkfifo, noon, open,
};
use crate::{
    ArtifactStore, Metadata, NewWorker, OpenCall, Status, WORKER_DIED, WorkerFilter,
    death::{Step, Traces, reaper_lock::ReaperLock},
    liveness::Pulses,
    run,
};

/// A worker whose process died while a tool ran and a line was being written.
pub(super) struct Dead {
    pub(super) id: WorkerId,
    pub(super) dir: PathBuf,
}

/// A run that never was, and so is dead.
pub(super) const NO_RUN: &str = "0b5c9a52-1f4e-4d3a-9a3e-6f1f9d6f3b11";
const CUT_OFF: &str = r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T12:00:01.000000Z","end_ts":"2025-12-15T12:00:05.000000Z","duration_ms":4000,"success":false,"error":"worker died"}"#;

impl Dead {
    /// With `n_calls` in flight.
    fn with_calls(it: &TestStore, n_calls: usize) -> Self {
        let this = Self::plain(it);
        let calls: Vec<_> = (0..n_calls).map(|_| ssh_exec("ssh_exec")).collect();
        let json = json!({"calls": calls}).to_string();
        fs::write(this.dir.join("activity.json"), json).unwrap();
        this.last_sign_of_life();
        this
    }

    /// With one event recorded and nothing in flight.
    pub(super) fn plain(it: &TestStore) -> Self {
        let worker = it.worker("task");
        worker.sink().record(&worker.id(), &event("read_file"));
        assert_eq!(worker.finish_metrics(LONG).0.lost, 0);
        let updated = worker.update(|it| {
            it.status = Status::Running;
            it.started_at = Some(noon());
            it.run = Some(NO_RUN.to_owned());
        });
        updated.unwrap();
        let this = Self {
            id: worker.id(),
            dir: worker.dir().to_owned(),
        };
        this.last_sign_of_life();
        this
    }

    fn torn(&self) {
        let metrics = self.path("metrics.jsonl");
        let mut content = fs::read(&metrics).unwrap();
        content.extend_from_slice(b"{\"event\":\"tool_c");
        fs::write(metrics, content).unwrap();
        self.last_sign_of_life();
    }

    /// All of its files were written five seconds after noon at the latest.
    fn last_sign_of_life(&self) {
        let at = |seconds: u64| {
            let micros = noon().unix_micros().unsigned_abs() + seconds * 1_000_000;
            FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
        };
        for entry in fs::read_dir(&self.dir).unwrap() {
            let entry = entry.unwrap();
            let is_metrics = entry.file_name() == "metrics.jsonl";
            let file = File::open(entry.path()).unwrap();
            file.set_times(at(if is_metrics { 5 } else { 2 })).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.path("metadata.json");
        let mut metadata = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut metadata);
        fs::write(&path, metadata.to_string()).unwrap();
        self.last_sign_of_life();
    }

    /// Its plain files and what they hold.
    fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(&self.dir).unwrap().map(|it| it.unwrap());
        entries
            .filter(|it| it.file_type().unwrap().is_file())
            .map(|it| {
                let name = it.file_name().into_string().unwrap();
                (name, fs::read_to_string(it.path()).unwrap())
            })
            .collect()
    }

    pub(super) fn metadata(&self, store: &ArtifactStore) -> Metadata {
        store.worker(&self.id).unwrap().metadata().unwrap()
    }
}

fn ssh_exec(tool: &str) -> OpenCall {
    OpenCall::ToolCall {
        tool: tool.to_owned(),
        start_ts: noon().plus_micros(1_000_000),
        span_id: None,
    }
}

#[track_caller]
fn assert_died(metadata: &Metadata, n_events: u64) {
    assert_eq!(metadata.status, Status::Failed);
    assert_eq!(metadata.error.as_deref(), Some(WORKER_DIED));
    assert_eq!(metadata.finished_at, Some(noon().plus_micros(5_000_000)));
    assert_eq!(metadata.duration_ms, Some(5000));
    assert_eq!(metadata.duration_us, Some(5_000_000));
    assert_eq!(metadata.events, Some(n_events));
    assert_eq!(metadata.events_lost, None);
}

#[test]
fn the_first_reader_of_a_dead_worker_writes_down_how_it_ended() {
    let it = TestStore::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    assert!(it.store.on_worker_death(move |death| {
        let lines = death.events.iter().map(metrics_core::Event::to_line);
        let death = (death.worker_id.clone(), lines.collect::<Vec<_>>());
        listener.lock().unwrap().push(death);
    }));
    assert!(!it.store.on_worker_death(|_| ()));
    let dead = Dead::with_calls(&it, 1);
    dead.torn();
    fs::write(dead.path("metadata.json.1234.new"), "{\"wor").unwrap();
    dead.last_sign_of_life();

    assert_died(&dead.metadata(&it.store), 2);
    let files = dead.files();
    let names: Vec<_> = files.keys().collect();
    assert_eq!(names, ["metadata.json", "metrics.jsonl", "metrics.torn"]);
    let lines: Vec<_> = files["metrics.jsonl"].lines().collect();
    assert_eq!(lines[1..], [CUT_OFF]);
    assert_eq!(files["metrics.torn"], "{\"event\":\"tool_c\n");
    let written: Metadata = serde_json::from_str(&files["metadata.json"]).unwrap();
    assert_eq!(written, dead.metadata(&it.store));
    let told = told.lock().unwrap();
    assert_eq!(*told, [(dead.id.clone(), vec![CUT_OFF.to_owned()])]);
}

#[test]
fn a_call_that_is_in_the_file_is_not_added_once_more() {
    let it = TestStore::new();
    // Two calls of the same moment, one of which has come to its end.
    let dead = Dead::with_calls(&it, 2);
    let metrics = dead.path("metrics.jsonl");
    let ended = CUT_OFF.replace("worker died", "no route to host");
    fs::write(&metrics, format!("{ended}\n")).unwrap();
    let llm_call = json!({"kind": "llm_call", "model": "m", "phase": "initial",
        "start_ts": noon(), "span_id": "00f067aa0ba902b7"});
    let calls = json!({"calls": [ssh_exec("ssh_exec"), ssh_exec("ssh_exec"), llm_call, llm_call]});
    fs::write(dead.path("activity.json"), calls.to_string()).unwrap();
    dead.last_sign_of_life();

    assert_died(&dead.metadata(&it.store), 4);
    let llm_call = r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T12:00:00.000000Z","end_ts":"2025-12-15T12:00:05.000000Z","duration_ms":5000,"success":false,"error":"worker died","span_id":"00f067aa0ba902b7"}"#;
    let expected = [&*ended, CUT_OFF, llm_call, llm_call, ""].join("\n");
    assert_eq!(fs::read_to_string(&metrics).unwrap(), expected);
}

#[test]
fn a_finder_killed_at_any_step_leaves_what_the_next_one_brings_to_the_same_end() {
    let steps = [
        Step::Timed,
        Step::Repaired,
        Step::Recorded,
        Step::Cleared,
        Step::Marked,
    ];
    let end_after = |killed_at: &[Step]| {
        let it = TestStore::new();
        let dead = Dead::with_calls(&it, 1);
        dead.torn();
        dead.edit(|it| it["trace_id"] = Value::Null);
        dead.edit(|it| it["span_id"] = Value::Null);
        let worker = it.store.worker(&dead.id).unwrap();
        for kill in killed_at {
            let metadata = worker.metadata_as_written().unwrap();
            let mut reached = Vec::new();
            let broken_off =
                Traces::examine(&worker, &metadata).write(&worker, &metadata, &mut |step| {
                    reached.push(step);
                    if step == *kill {
                        return Err(io::Error::other("killed"));
                    }
                    Ok(())
                });
            assert!(broken_off.is_err() && reached.last() == Some(kill));
        }
        assert_died(&dead.metadata(&it.store), 2);
        dead.files()
    };
    let expected = end_after(&[]);
    assert_eq!(expected.len(), 3);
    for step in steps {
        assert_eq!(end_after(&[step]), expected, "{step:?}");
    }
    for again in [Step::Timed, Step::Cleared] {
        assert_eq!(end_after(&[Step::Timed, again]), expected, "{again:?}");
    }
}

#[test]
fn a_tail_that_was_copied_and_not_cut_off_is_not_copied_again() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 0);
    dead.torn();
    fs::write(dead.path("metrics.torn"), "older\n{\"event\":\"tool_c\n").unwrap();
    dead.metadata(&it.store);
    let files = dead.files();
    assert_eq!(files["metrics.torn"], "older\n{\"event\":\"tool_c\n");
    assert_eq!(files["metrics.jsonl"].lines().count(), 1);
}

#[test]
fn while_another_one_marks_the_answer_is_the_same_and_nothing_is_written() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    dead.torn();
    let before = dead.files();
    let run_dir = run::run_dir(it.temp.path());
    let lock = ReaperLock::try_take(&run_dir).unwrap();
    assert!(ReaperLock::try_take(&run_dir).is_none());
    let answer = dead.metadata(&it.store);
    assert_died(&answer, 2);
    assert_eq!(dead.files(), before);
    drop(lock);
    assert_eq!(dead.metadata(&it.store), answer);
    let written: Metadata = serde_json::from_str(&dead.files()["metadata.json"]).unwrap();
    assert_eq!(written, answer);
}

#[test]
fn another_process_that_is_stopped_while_it_marks_hangs_no_reader() {
    const NAME: &str =
        "tests::death::another_process_that_is_stopped_while_it_marks_hangs_no_reader";
    const HELD: &str = "the lock is held";
    if let Some(run_dir) = child_argument() {
        let _lock = ReaperLock::try_take(Path::new(&run_dir)).unwrap();
        println!("{HELD}");
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        return;
    }
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    let before = dead.files();
    let mut child = child(NAME, run::run_dir(it.temp.path()));
    child.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut finder = Killed(child.spawn().unwrap());
    let printed = BufReader::new(finder.0.stdout.take().unwrap()).lines();
    assert!(printed.map_while(Result::ok).any(|it| it.ends_with(HELD)));
    let pid = Pid::from_child(&finder.0);
    kill_process(pid, Signal::STOP).unwrap();
    waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();

    assert_died(&dead.metadata(&it.store), 2);
    assert_eq!(dead.files(), before);
    // Killed, it leaves nothing in the way.
    finder.0.kill().unwrap();
    finder.0.wait().unwrap();
    assert_died(&dead.metadata(&it.store), 2);
    assert_eq!(dead.files().len(), 2);
}

/// Killed at the end of the test, however that comes.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_finders_at_once_write_each_death_once() {
    const ROUNDS: usize = 40;
    let it = TestStore::new();
    let stores = [
        open(it.temp.path(), &it.clock),
        open(it.temp.path(), &it.clock),
    ];
    let told = Arc::new(Mutex::new(Vec::new()));
    for store in &stores {
        let told = Arc::clone(&told);
        store.on_worker_death(move |it| told.lock().unwrap().push(it.worker_id.clone()));
    }
    for _ in 0..ROUNDS {
        let dead = Dead::with_calls(&it, 1);
        let barrier = Barrier::new(stores.len());
        thread::scope(|scope| {
            for store in &stores {
                scope.spawn(|| {
                    barrier.wait();
                    assert_died(&dead.metadata(store), 2);
                });
            }
        });
        assert_died(&dead.metadata(&it.store), 2);
        assert_eq!(dead.files()["metrics.jsonl"].lines().count(), 2);
        assert!(!dead.files()["metadata.json"].contains("running"));
    }
    let told = told.lock().unwrap();
    let workers: BTreeSet<_> = told.iter().collect();
    assert_eq!((told.len(), workers.len()), (ROUNDS, ROUNDS));
}

#[test]
fn processes_that_find_the_same_workers_write_each_death_once() {
    const NAME: &str = "tests::death::processes_that_find_the_same_workers_write_each_death_once";
    const WORKERS: usize = 50;
    if let Some(data_dir) = child_argument() {
        let store = ArtifactStore::open(&data_dir).unwrap();
        // The pipe's other end is closed for all of them at once.
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        let list = store.list(&WorkerFilter::default()).unwrap();
        assert_eq!(list.workers.len(), WORKERS);
        list.workers.iter().for_each(|it| assert_died(it, 2));
        return;
    }
    let it = TestStore::new();
    let dead: Vec<_> = (0..WORKERS).map(|_| Dead::with_calls(&it, 1)).collect();
    let (wait, go) = io::pipe().unwrap();
    let finders: Vec<_> = (0..4)
        .map(|_| {
            let mut finder = child(NAME, it.temp.path());
            finder
                .stdin(wait.try_clone().unwrap())
                .stdout(Stdio::piped());
            finder.spawn().unwrap()
        })
        .collect();
    drop(go);
    for finder in finders {
        assert_passed(&finder.wait_with_output().unwrap());
    }
    // What all of them left to one another.
    it.store.list(&WorkerFilter::default()).unwrap();
    for dead in dead {
        let files = dead.files();
        assert_eq!(files.len(), 2, "{files:?}");
        assert_eq!(files["metrics.jsonl"].lines().count(), 2);
        assert!(files["metadata.json"].contains(WORKER_DIED));
    }
}

#[test]
fn a_worker_that_ended_or_was_marked_meanwhile_is_left_alone() {
    let it = TestStore::new();
    for status in ["success", "failed", "timeout", "cancelled"] {
        let dead = Dead::with_calls(&it, 1);
        dead.edit(|it| it["status"] = json!(status));
        let before = dead.files();
        assert_eq!(dead.metadata(&it.store).status.as_str(), status);
        assert_eq!(dead.files(), before);
    }
}

#[test]
fn a_worker_that_ended_between_the_reading_and_the_asking_keeps_its_end() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    let worker = it.store.worker(&dead.id).unwrap();
    let as_it_was = worker.metadata_as_written().unwrap();
    dead.edit(|it| it["status"] = json!("success"));
    let before = dead.files();
    let mut pulses = Pulses::default();
    let settled = it.store.deaths().settle(&worker, as_it_was, &mut pulses);
    assert_eq!(settled.unwrap().status, Status::Success);
    assert_eq!(dead.files(), before);
}

#[test]
fn a_worker_that_never_began_died_too() {
    let it = TestStore::new();
    let dead = Dead::plain(&it);
    dead.edit(|it| {
        it["status"] = json!("created");
        it["started_at"] = Value::Null;
        it["created_at"] = json!(noon());
    });
    assert_died(&dead.metadata(&it.store), 1);
    assert!(dead.files()["metadata.json"].contains(WORKER_DIED));
}

#[test]
fn a_clock_set_back_gives_no_negative_duration() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    let later: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    dead.edit(|it| it["started_at"] = json!(later));
    let metadata = dead.metadata(&it.store);
    assert_eq!(metadata.finished_at, Some(later));
    assert_eq!(metadata.duration_us, Some(0));
}

#[test]
fn metadata_of_a_newer_format_is_not_touched() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    dead.torn();
    dead.edit(|it| it["format"] = json!(2));
    let before = dead.files();
    let metadata = dead.metadata(&it.store);
    assert_died(&metadata, 2);
    assert_eq!(metadata.format, 2);
    assert_eq!(dead.files(), before);
}

#[test]
fn what_is_no_activity_of_ours_is_passed_over() {
    type Make<'a> = &'a dyn Fn(&Path);
    let it = TestStore::new();
    let elsewhere = it.temp.path().join("elsewhere");
    fs::write(&elsewhere, json!({"calls": [ssh_exec("x")]}).to_string()).unwrap();
    let text = |text: &'static str| move |path: &Path| fs::write(path, text).unwrap();
    let big = |path: &Path| {
        let calls: Vec<_> = (0..150_000).map(|_| ssh_exec("ssh_exec")).collect();
        let json = json!({"calls": calls}).to_string();
        assert!(json.len() > 10_000_000);
        fs::write(path, json).unwrap();
    };
    let cases: [(&str, Make<'_>); 9] = [
        (
            "half",
            &text(r#"{"calls":[{"kind":"tool_call","tool":"ssh"#),
        ),
        ("empty", &text("")),
        ("other", &text(r#"{"calls":[{"kind":"dream"}]}"#)),
        (
            "no time",
            &text(r#"{"calls":[{"kind":"tool_call","tool":"x","start_ts":"soon"}]}"#),
        ),
        ("number", &text("42")),
        ("big", &big),
        ("fifo", &|path: &Path| mkfifo(path)),
        ("link", &|path: &Path| symlink(&elsewhere, path).unwrap()),
        ("directory", &|path: &Path| fs::create_dir(path).unwrap()),
    ];
    for (name, make) in cases {
        let dead = Dead::plain(&it);
        make(&dead.path("activity.json"));
        let metadata = dead.metadata(&it.store);
        assert_eq!(metadata.error.as_deref(), Some(WORKER_DIED), "{name}");
        assert_eq!(metadata.events, Some(1), "{name}");
        assert_eq!(dead.files()["metrics.jsonl"].lines().count(), 1, "{name}");
    }
    assert!(elsewhere.exists());
}

#[test]
fn hostile_names_of_calls_in_flight_become_events_of_one_line() {
    let it = TestStore::new();
    let dead = Dead::plain(&it);
    let names = super::support::hostile_strings();
    let calls: Vec<_> = names.iter().map(|it| ssh_exec(it)).collect();
    let json = json!({"calls": calls}).to_string();
    fs::write(dead.path("activity.json"), json).unwrap();
    let metadata = dead.metadata(&it.store);
    assert_eq!(metadata.events, Some(1 + names.len() as u64));
    let worker = it.store.worker(&dead.id).unwrap();
    assert_eq!(super::support::n_events(&worker), 1 + names.len());
}

#[test]
fn marking_writes_nothing_outside_of_the_workers_directory() {
    let it = TestStore::new();
    let elsewhere = it.temp.path().join("elsewhere");
    for file in ["metrics.jsonl", "metrics.torn"] {
        fs::write(&elsewhere, "torn").unwrap();
        let dead = Dead::with_calls(&it, 1);
        dead.torn();
        let _ = fs::remove_file(dead.path(file));
        symlink(&elsewhere, dead.path(file)).unwrap();
        let metadata = dead.metadata(&it.store);
        assert_eq!(metadata.error.as_deref(), Some(WORKER_DIED), "{file}");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "torn", "{file}");
    }
}

#[test]
fn a_deleted_metrics_file_is_made_again_for_a_call_in_flight() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    fs::remove_file(dead.path("metrics.jsonl")).unwrap();
    assert_eq!(dead.metadata(&it.store).events, Some(1));
    assert_eq!(dead.files()["metrics.jsonl"].lines().count(), 1);
}

#[test]
fn a_list_finds_the_dead_and_shows_them_as_failed() {
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    let alive = it.worker("alive");
    let of = |status| {
        let filter = WorkerFilter {
            status: Some(status),
            ..WorkerFilter::default()
        };
        let list = it.store.list(&filter).unwrap();
        assert!(list.problems.is_empty());
        list.workers
            .into_iter()
            .map(|it| it.worker_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(Status::Running), []);
    assert_eq!(of(Status::Created), [alive.id()]);
    assert_eq!(of(Status::Failed), std::slice::from_ref(&dead.id));
    assert!(dead.files()["metadata.json"].contains(WORKER_DIED));
}

#[test]
fn what_cannot_be_written_is_told_all_the_same() {
    const NAME: &str = "tests::death::what_cannot_be_written_is_told_all_the_same";
    const NOBODY: u32 = 65534;
    if let Some(data_dir) = child_argument() {
        let store = ArtifactStore::open(&data_dir).unwrap();
        let list = store.list(&WorkerFilter::default()).unwrap();
        assert_eq!(list.workers.len(), 1, "{list:?}");
        assert_died(&list.workers[0], 2);
        return;
    }
    let it = TestStore::new();
    let dead = Dead::with_calls(&it, 1);
    let shared = tempfile::tempdir().unwrap();
    let copy = Dead {
        dir: shared.path().join(dead.id.as_str()),
        id: dead.id.clone(),
    };
    fs::create_dir(&copy.dir).unwrap();
    for (name, content) in dead.files() {
        fs::write(copy.path(&name), content).unwrap();
        fs::set_permissions(copy.path(&name), fs::Permissions::from_mode(0o444)).unwrap();
    }
    copy.last_sign_of_life();
    let before = copy.files();
    fs::set_permissions(&copy.dir, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut child = child(NAME, shared.path());
    if is_root() {
        child.uid(NOBODY).gid(NOBODY); // Modes do not bind root.
    }
    match child.output() {
        Ok(output) => assert_passed(&output),
        Err(error) => eprintln!("skipped: cannot run as another user: {error}"),
    }
    assert_eq!(copy.files(), before);
    fs::set_permissions(&copy.dir, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_one_who_is_told_may_panic_and_may_read() {
    let it = TestStore::new();
    let store = it.store.clone();
    let dead = Dead::with_calls(&it, 1);
    let id = dead.id.clone();
    it.store.on_worker_death(move |_| {
        assert_died(&store.worker(&id).unwrap().metadata().unwrap(), 2);
        panic!("a listener's own trouble");
    });
    assert_died(&dead.metadata(&it.store), 2);
    // A worker made by a store with such a listener, after it.
    it.store.create_worker(NewWorker::new("next")).unwrap();
}
