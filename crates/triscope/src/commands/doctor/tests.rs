//! A store without a fault, then each fault alone: the one check that is about it sees it, and no other does.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::PathBuf, time::Duration};

use artifact_store::{ArtifactStore, NewWorker, Status};
use metrics_core::{CallTime, ToolCall};
use serde_json::{Value, json};
use supervisor_tools::{JobBook, JobRef};
use tempfile::TempDir;

use super::{
    all_of,
    finding::{Finding, Level, report},
    log, one_of,
};

const CALL: &str = "2025-12-15 03:19:34 INFO tool_call_complete tool=ssh_exec duration_ms=98 success=True worker_id=w event=tool_call_complete\n";

/// A store with one worker that made one call, and a log that tells it.
struct Ward {
    store: ArtifactStore,
    worker: PathBuf,
    _dir: TempDir,
}

impl Ward {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::open(dir.path()).unwrap();
        drop(JobBook::of_store(&store).unwrap());
        let worker = store
            .create_worker(NewWorker {
                job_id: Some(7),
                ..NewWorker::new("back up")
            })
            .unwrap();
        let now = store.clock().timestamp();
        let time = CallTime::new(now, Duration::from_millis(98));
        let call = ToolCall::new("ssh_exec", time);
        worker.sink().record(&worker.id(), &call.into());
        worker.write_result("done").unwrap();
        let (events, _) = worker.finish_metrics(Duration::from_secs(30));
        worker
            .update(|it| {
                it.status = Status::Success;
                it.started_at = Some(now);
                it.finished_at = Some(now.plus_micros(98_000));
                it.duration_ms = Some(98);
                it.duration_us = Some(98_000);
                it.events = Some(events.recorded);
                it.events_lost = Some(events.lost);
            })
            .unwrap();
        fs::write(store.own_dir().join("triscope.log"), CALL).unwrap();
        let worker = worker.dir().to_owned();
        // Whatever its threads were at, they are at their end then.
        drop(store);
        Self {
            worker,
            store: ArtifactStore::open(dir.path()).unwrap(),
            _dir: dir,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.worker.join(name)
    }

    fn own_file(&self, name: &str) -> PathBuf {
        self.store.own_dir().join(name)
    }

    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.file("metadata.json");
        let mut metadata = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut metadata);
        fs::write(&path, metadata.to_string()).unwrap();
    }

    fn append(&self, text: &str) {
        let path = self.file("metrics.jsonl");
        let content = fs::read_to_string(&path).unwrap() + text;
        fs::write(path, content).unwrap();
    }

    fn log(&self, text: &str) {
        fs::write(self.own_file("triscope.log"), text).unwrap();
    }

    fn findings(&self) -> Vec<Finding> {
        all_of(&self.store, &self.own_file("triscope.log"), None).unwrap()
    }

    /// The one finding that is not well, which has an advice.
    #[track_caller]
    fn only_problem(&self) -> Finding {
        let mut problems = self.findings();
        problems.retain(|it| it.level != Level::Ok);
        let [problem] = &problems[..] else {
            panic!("not one problem: {problems:#?}");
        };
        assert!(problem.advice.is_some(), "{problem:?}");
        assert!(!problem.found.contains('\n'), "{problem:?}");
        problem.clone()
    }
}

#[test]
fn a_store_without_a_fault_passes_all_checks() {
    let findings = Ward::new().findings();
    let bad: Vec<_> = findings.iter().filter(|it| it.level != Level::Ok).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let checks: Vec<_> = findings.iter().map(|it| it.check).collect();
    let expected = "disk space, own files, job book, index, log level, log file, log lines, metadata, dead workers, \
                    metrics files, metrics lines, events lost, durations, clock, unfinished files, dead runs";
    assert_eq!(checks.join(", "), expected);
}

/// What is broken, the check that sees it, and words of what it says.
type Fault = (fn(&Ward), &'static str, &'static str);

const FAULTS: [Fault; 20] = [
    (
        |it| fs::write(it.file("metadata.json"), "{").unwrap(),
        "metadata",
        "is damaged: EOF",
    ),
    (
        |it| it.edit(|it| it["format"] = json!(2)),
        "metadata",
        "has format 2",
    ),
    (
        |it| {
            it.edit(|it| {
                it["status"] = json!("failed");
                it["error"] = json!("worker process died");
            });
        },
        "dead workers",
        "last seen alive 2",
    ),
    (
        |it| {
            it.edit(|it| {
                it["status"] = json!("running");
                it["run"] = json!("00000000-0000-4000-8000-000000000000");
                it["host"] = json!("elsewhere");
                it["boot_id"] = json!("another");
            });
        },
        "dead workers",
        "was made on elsewhere: nothing here can tell",
    ),
    (
        |it| {
            let name = "run/00000000-0000-4000-8000-000000000000.lock";
            fs::write(it.own_file(name), "").unwrap();
        },
        "dead runs",
        "1 lock file of processes that died: 00000000",
    ),
    (
        |it| fs::remove_file(it.file("metrics.jsonl")).unwrap(),
        "metrics files",
        "has no metrics.jsonl",
    ),
    (
        |it| fs::write(it.file("metrics.jsonl"), "").unwrap(),
        "metrics files",
        "has 0 events in metrics.jsonl, and its metadata says 1",
    ),
    (
        |it| {
            fs::remove_file(it.file("metrics.jsonl")).unwrap();
            fs::create_dir(it.file("metrics.jsonl")).unwrap();
        },
        "metrics files",
        "is a directory",
    ),
    (|it| it.append("not json\n"), "metrics lines", "line 2: "),
    (
        |it| it.append("{\"event\":\"tool_call\",\"to"),
        "metrics lines",
        "ends within a line",
    ),
    (
        |it| fs::write(it.file("metrics.torn"), "half").unwrap(),
        "metrics lines",
        "has a metrics.torn",
    ),
    (
        |it| {
            it.edit(|it| {
                it["events"] = json!(4);
                it["events_lost"] = json!(3);
            });
        },
        "events lost",
        "lost 3 of 4 events",
    ),
    (
        |it| {
            it.edit(|it| {
                it["duration_ms"] = json!(0);
                it["duration_us"] = json!(0);
            });
        },
        "durations",
        "took no time at all",
    ),
    (
        |it| {
            it.edit(|it| {
                it["duration_ms"] = json!(null);
                it["duration_us"] = json!(null);
            });
        },
        "durations",
        "took no time at all",
    ),
    (
        |it| it.edit(|it| it["finished_at"] = json!("2020-01-01T00:00:00.000000Z")),
        "clock",
        "was set back while",
    ),
    (
        |it| {
            it.edit(|it| {
                it["created_at"] = json!("2999-01-01T00:00:00.000000Z");
                it["finished_at"] = json!("2999-01-01T00:00:01.000000Z");
            });
        },
        "clock",
        "was made in the future",
    ),
    (
        |it| fs::write(it.file("result.txt.123.new"), "half").unwrap(),
        "unfinished files",
        "result.txt.123.new",
    ),
    (
        |it| {
            fs::create_dir(it.file("tool_calls")).unwrap();
            fs::write(it.file("tool_calls/001_x.txt.1.new"), "half").unwrap();
        },
        "unfinished files",
        "tool_calls/001_x.txt.1.new",
    ),
    (
        |it| fs::write(it.own_file("index.sqlite"), "garbage").unwrap(),
        "index",
        "damaged: file is not a database",
    ),
    (
        |it| fs::write(it.own_file("triscope.log.1.new"), "half").unwrap(),
        "own files",
        "triscope.log.1.new",
    ),
];

#[test]
fn each_fault_of_a_worker_is_seen_by_its_check_alone() {
    for (n, (breaks, check, says)) in FAULTS.into_iter().enumerate() {
        let ward = Ward::new();
        breaks(&ward);
        let problem = ward.only_problem();
        assert_eq!((problem.check, problem.level), (check, Level::Warn), "{n}");
        assert!(problem.found.contains(says), "{n}: {problem:?}");
        let path = problem.path.unwrap();
        let data_dir = ward.store.data_dir().display().to_string();
        assert!(path.starts_with(&data_dir), "{path:?}");
    }
}

#[test]
fn a_worker_that_runs_may_be_in_the_middle_of_things() {
    let ward = Ward::new();
    ward.append("{\"event\":\"tool_call\",\"to");
    fs::write(ward.file("metadata.json.1.new"), "half").unwrap();
    ward.edit(|it| {
        it["run"] = json!(ward.store.run_id());
        it["status"] = json!("running");
        for key in [
            "finished_at",
            "duration_ms",
            "duration_us",
            "events",
            "events_lost",
        ] {
            it[key] = json!(null);
        }
    });
    let findings = ward.findings();
    assert!(
        findings.iter().all(|it| it.level == Level::Ok),
        "{findings:#?}"
    );
    let running = findings.iter().find(|it| it.check == "dead workers");
    assert_eq!(running.unwrap().found, "none; 1 running");
}

#[test]
fn a_call_of_less_than_a_millisecond_is_no_fault() {
    let ward = Ward::new();
    ward.edit(|it| {
        it["duration_ms"] = json!(0);
        it["duration_us"] = json!(420);
    });
    let findings = ward.findings();
    let durations = findings.iter().find(|it| it.check == "durations").unwrap();
    assert_eq!(durations.level, Level::Ok);
    assert!(
        durations.found.contains("1 worker took less than 1 ms"),
        "{durations:?}"
    );
}

#[test]
fn each_fault_of_the_log_is_seen() {
    let faults: [Fault; 7] = [
        (
            |it| fs::rename(it.own_file("triscope.log"), it.own_file("old.log")).unwrap(),
            "log file",
            "/old.log`",
        ),
        (
            |it| {
                fs::remove_file(it.own_file("triscope.log")).unwrap();
                fs::create_dir(it.own_file("triscope.log")).unwrap();
            },
            "log file",
            "is no plain file",
        ),
        (
            |it| it.log(""),
            "log lines",
            "0 lines in it, and none has `event=`",
        ),
        (
            |it| it.log("2025-12-15 03:19:33 INFO started target=mine\n"),
            "log lines",
            "1 line in it, and none has `event=`",
        ),
        // What a formatter of Python's usual kind makes of it.
        (
            |it| {
                it.log("2025-12-15 03:19:33 INFO llm_call_complete\n2025-12-15 03:19:33 INFO tool_call_complete\n");
            },
            "log lines",
            "2 lines of calls without their fields",
        ),
        // What the stock layer of `tracing-subscriber` does.
        (
            |it| {
                it.log("2025-12-15T03:19:33.123456Z  INFO triscope::telemetry: tool_call_complete tool=\"ssh_exec\" success=true event=\"tool_call_complete\"\n");
            },
            "log lines",
            "1 line of calls in another form",
        ),
        (
            |it| {
                it.log(&format!(
                    "{CALL}2025-12-15 03:19:35 WARN events_dropped lost=12 target=log_format\n"
                ));
            },
            "log lines",
            "lost=12",
        ),
    ];
    for (n, (breaks, check, says)) in faults.into_iter().enumerate() {
        let ward = Ward::new();
        breaks(&ward);
        let problem = ward.only_problem();
        assert_eq!(problem.check, check, "{n}: {problem:?}");
        assert!(problem.found.contains(says), "{n}: {problem:?}");
    }
    // Lines of others beside ours are none.
    let ward = Ward::new();
    ward.log(&format!("thread 'main' panicked\n{CALL}"));
    let findings = ward.findings();
    let lines = findings.iter().find(|it| it.check == "log lines").unwrap();
    assert_eq!(lines.found, "2 lines in it, 1 of calls, 1 in another form");
    assert_eq!(lines.level, Level::Ok);
}

#[test]
fn only_the_end_of_a_long_log_is_read() {
    let ward = Ward::new();
    let filler = format!(
        "2025-12-15 03:19:33 INFO {} target=mine\n",
        "x".repeat(1000)
    );
    ward.log(&format!("{CALL}{}", filler.repeat(5_000)));
    let problem = ward.only_problem();
    assert!(
        problem
            .found
            .ends_with("recent in it, and none has `event=`"),
        "{problem:?}"
    );
    ward.log(&format!("{}{CALL}", filler.repeat(5_000)));
    let findings = ward.findings();
    let lines = findings.iter().find(|it| it.check == "log lines").unwrap();
    assert!(
        lines.found.ends_with("recent in it, 1 of calls"),
        "{lines:?}"
    );
}

#[test]
fn a_log_level_that_drops_calls_is_seen() {
    let level = |directives| {
        let findings = log::log_level(directives);
        let [finding] = &findings[..] else {
            panic!("{findings:?}");
        };
        (finding.level, finding.found.clone())
    };
    for passes in [
        None,
        Some(""),
        Some("info"),
        Some("debug"),
        Some("my_program=trace,info"),
    ] {
        assert_eq!(level(passes).0, Level::Ok, "{passes:?}");
    }
    for (drops, says) in [
        ("triscope::telemetry=warn", "keeps successful calls out"),
        ("info,triscope::telemetry=off", "keeps successful calls out"),
        ("warn", "triscope logs calls all the same"),
        ("off", "triscope logs calls all the same"),
        ("my_program=debug", "triscope logs calls all the same"),
        ("triscope=error,info", "triscope logs calls all the same"),
    ] {
        let (level, found) = level(Some(drops));
        assert_eq!(level, Level::Warn, "{drops}");
        assert!(found.contains(says), "{drops}: {found}");
    }
}

#[test]
fn a_job_book_that_is_not_sound_is_seen() {
    let faults: [Fault; 4] = [
        (
            |it| fs::write(it.own_file("jobs.sqlite"), "garbage ".repeat(1000)).unwrap(),
            "fail",
            "damaged: file is not a database",
        ),
        (
            |it| {
                let path = it.own_file("jobs.sqlite");
                let mut bytes = fs::read(&path).unwrap();
                bytes[68..72].fill(7);
                fs::write(path, bytes).unwrap();
            },
            "fail",
            "of another program",
        ),
        (
            |it| fs::remove_file(it.own_file("jobs.sqlite")).unwrap(),
            "warn",
            "missing or empty, and 1 worker is of a job",
        ),
        (
            |it| {
                fs::write(it.own_file("jobs.sqlite"), "garbage").unwrap();
                drop(JobBook::of_store(&it.store).unwrap());
            },
            "warn",
            "1 job came back: 0 from the old book, 1 from their workers",
        ),
    ];
    for (breaks, level, says) in faults {
        let ward = Ward::new();
        breaks(&ward);
        let problem = ward.only_problem();
        assert_eq!(problem.check, "job book");
        assert_eq!(json!(problem.level), level, "{problem:?}");
        assert!(problem.found.contains(says), "{problem:?}");
    }
}

#[test]
fn one_worker_is_told_of_in_more_detail() {
    let ward = Ward::new();
    ward.append(&"not json\n".repeat(120));
    let by_job = one_of(&ward.store, &JobRef::parse("7").unwrap()).unwrap();
    let id = ward.worker.file_name().unwrap().to_str().unwrap();
    let by_id = one_of(&ward.store, &JobRef::parse(id).unwrap()).unwrap();
    assert_eq!(by_job, by_id);
    assert_eq!(by_job[0].check, "worker");
    let found = &by_job[0].found;
    assert!(
        found.starts_with(&format!("{id} (job 7) of local: success, made 2")),
        "{found}"
    );
    assert!(found.ends_with(", took 98ms"), "{found}");
    assert_eq!(by_job[1].found, "0 LLM calls, 1 tool call; 0 failed");
    assert_eq!(by_job[2].found, "metadata.json, metrics.jsonl, result.txt");
    let lines: Vec<_> = by_job
        .iter()
        .filter(|it| it.check == "metrics lines")
        .collect();
    assert_eq!(lines.len(), 101);
    assert!(lines[99].found.contains("line 101: "), "{:?}", lines[99]);
    assert!(
        lines[100].found.ends_with("20 more such lines"),
        "{:?}",
        lines[100]
    );

    let nobody = one_of(&ward.store, &JobRef::parse("8").unwrap()).unwrap();
    assert_eq!((nobody.len(), nobody[0].level), (1, Level::Fail));
    assert!(one_of(&ward.store, &JobRef::parse("nobody").unwrap()).is_err());
    fs::write(ward.file("metadata.json"), "{").unwrap();
    let damaged = one_of(&ward.store, &JobRef::parse(id).unwrap()).unwrap();
    assert_eq!(
        (damaged[0].check, damaged[0].level),
        ("metadata", Level::Warn)
    );
}

#[test]
fn of_a_jobs_attempts_the_last_is_meant() {
    let ward = Ward::new();
    let second = ward
        .store
        .create_worker(NewWorker {
            job_id: Some(7),
            attempt: Some(2),
            ..NewWorker::new("again")
        })
        .unwrap();
    let findings = one_of(&ward.store, &JobRef::parse("7").unwrap()).unwrap();
    assert!(
        findings[0].found.starts_with(second.id().as_str()),
        "{findings:?}"
    );
}

#[test]
fn any_path_can_be_told_to_a_program() {
    let finding = Finding::ok("log file", "").at(OsStr::from_bytes(b"/logs/\xff.log"));
    assert_eq!(json!(finding)["path"], "/logs/\u{fffd}.log");
}

#[test]
fn the_report_has_a_line_each_and_an_advice_once() {
    let mut findings = vec![
        Finding::ok("disk space", "9 MiB left"),
        Finding::fail("job book", "damaged", "run something"),
    ];
    findings.extend((1..=7).map(|n| Finding::warn("clock", format!("worker {n}"), "set it")));
    let expected = "\
ok    disk space  9 MiB left
fail  job book    damaged
                  -> run something
warn  clock       worker 1
warn  clock       worker 2
warn  clock       worker 3
warn  clock       worker 4
warn  clock       worker 5
                  and 2 more like these (--json shows all)
                  -> set it

3 checks: 1 ok, 1 to look at, 1 failed.";
    assert_eq!(report(&findings, false), expected);
    assert!(report(&findings, true).contains("worker 7\n"));
    assert!(report(&findings[..1], false).ends_with("\n1 check: all is well."));
}
