//! Several processes on one data directory.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{Place, metadata};
use crate::support::{Background, LogFile};

#[test]
fn runs_side_by_side_get_jobs_and_workers_of_their_own() {
    const RUNS: usize = 8;
    let place = Place::new();
    let runs: Vec<_> = (0..RUNS)
        .map(|n| {
            let task = format!("calculate 7*6 then say {n}");
            let arguments = ["run", "--json", &task];
            (n, Background::start(&mut place.command(&arguments)))
        })
        .collect();
    let (mut jobs, mut workers) = (BTreeSet::new(), BTreeSet::new());
    for (n, run) in runs {
        let report = run.finish().json();
        assert_eq!(report["status"], "success", "{report}");
        let task = report["task"].as_str().unwrap();
        assert!(task.ends_with(&format!("say {n}")), "{report}");
        let metadata = metadata(&place.dir_of(&report));
        assert_eq!(metadata["task"], task);
        assert_eq!(metadata["job_id"], report["job_id"]);
        jobs.insert(report["job_id"].as_u64().unwrap());
        workers.insert(report["worker_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(jobs, (1..=RUNS as u64).collect());
    assert_eq!(workers.len(), RUNS);

    assert_eq!(place.rows().len(), RUNS);
    // All of them wrote to one log: whole lines, none missing.
    let log = LogFile::read(&place.log_path());
    for worker in workers {
        let file = place.data_dir().join(&worker).join("metrics.jsonl");
        let events = fs::read_to_string(file).unwrap();
        let lines = log.calls(Some(&worker));
        assert_eq!(lines.len(), events.lines().count(), "{worker}");
    }
}

#[test]
fn a_worker_can_be_read_while_another_process_runs_it() {
    let place = Place::new();
    let running = place.worker_until_go();

    for form in [&[][..], &["--json"][..]] {
        let result = place.run(&[&["result", "1"], form].concat()).expect(1);
        assert_eq!(result.stdout, "");
        assert!(
            result.stderr.starts_with("Error: job 1 is still running (")
                && result
                    .stderr
                    .ends_with("). Call read_worker_result again later.\n"),
            "{result:?}"
        );
    }
    let row = &place.rows()[0];
    assert_eq!(row["status"], "running");
    assert_eq!(row["duration_ms"], Value::Null);
    assert_eq!(row["summary"], Value::Null);
    let meta = place.run(&["meta", "1", "--json"]).json();
    assert_eq!(meta["status"], "running");
    // The call that is over is there already; the one that is not, is not.
    let events = place.run(&["file", "1", "--raw"]).answer();
    assert!(events.starts_with("{\"event\":\"llm_call\",\"phase\":\"initial\""));
    assert_eq!(events.lines().count(), 1, "{events}");
    let found = place.run(&["grep", "phase.:.initial", "--json"]).json();
    assert_eq!(found[0]["file"], "metrics.jsonl");

    place.go();
    running.finish().expect(0);
    let result = place.run(&["result", "1"]).answer();
    assert!(result.contains("Execution time: "), "{result}");
    assert_eq!(place.rows()[0]["status"], "success");
}
