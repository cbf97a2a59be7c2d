//! `triscope run`: text, JSON, exit codes, time limits, owners.

use std::fs;

use serde_json::{Value, json};

use super::{Place, metadata};
use crate::support::{finish, normalised};

#[test]
fn run_prints_what_a_supervisor_reads() {
    let place = Place::new();
    let text = place.run(&["run", "calculate 7*6"]).answer();
    let _normalised = normalised();
    insta::assert_snapshot!(text, @r"
    Result from worker job 1 (worker [second]_calculate-7-6):

    Execution time: [duration]
    Usage: 2 LLM calls; 1 tool call

    The result is 42.
    ");
}

#[test]
fn a_worker_leaves_the_same_whatever_recording_waits_for() {
    for mode in ["buffered", "write-through", "fsync"] {
        let place = Place::new();
        let arguments = ["run", "calculate 7*6", "--json", "--recording", mode];
        let report = place.run(&arguments).json();
        assert_eq!(report["result"], "The result is 42.", "{mode}");
        let dir = place.dir_of(&report);
        let metrics = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
        let counts = [&report["events"], &metadata(&dir)["events"]];
        assert_eq!(counts, [&json!(metrics.lines().count()); 2], "{mode}");
        assert_eq!(report["events_lost"], 0);
    }
}

#[test]
fn run_gives_programs_an_object() {
    let place = Place::new();
    let report = place.run(&["run", "calculate 7*6", "--json"]).json();
    let metadata = metadata(&place.dir_of(&report));
    assert_eq!(
        report,
        json!({
            "job_id": 1,
            "worker_id": metadata["worker_id"],
            "status": "success",
            "duration_ms": metadata["duration_ms"],
            "duration_us": metadata["duration_us"],
            "owner": "local",
            "task": "calculate 7*6",
            "summary": "The result is 42.",
            "error": null,
            "events": 4,
            "events_lost": 0,
            "usage": {"llm_calls": 2, "llm_failures": 0, "tool_calls": 1, "tool_failures": 0},
            "result": "The result is 42.",
        })
    );
    let (ms, us) = (&report["duration_ms"], &report["duration_us"]);
    assert_eq!(ms.as_u64().unwrap(), us.as_u64().unwrap() / 1000);
}

#[test]
fn a_worker_out_of_time_is_a_failed_job() {
    let place = Place::new();
    let arguments = ["run", "run `sleep 777`", "--timeout", "100ms"];
    let text = place.run(&arguments).expect(1);
    assert!(
        text.stdout
            .contains("Status: timeout\nError: timed out after 100ms\n")
    );
    assert_eq!(text.stderr, "");
    let json = place.run(&[&arguments[..], &["--json"]].concat()).expect(1);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["status"], "timeout");
    assert_eq!(report["error"], "timed out after 100ms");
    assert!(report["duration_ms"].as_u64().unwrap() >= 100, "{report}");
}

#[test]
fn a_worker_that_fails_is_a_failed_job() {
    let place = Place::new();
    // Without a shell there is nothing that other arguments could mend.
    let mut command = place.command(&["run", "run `true`"]);
    let finished = finish(command.env("PATH", "/nowhere")).expect(1);
    assert!(finished.stdout.contains("Status: failed\nError: "));
    assert_eq!(place.only_metadata()["status"], "failed");
    let again = place.run(&["result", "1"]).expect(1);
    assert_eq!(again.stdout, finished.stdout);
}

#[test]
fn a_model_without_key_and_server_is_bad_usage_and_what_to_set_is_said() {
    let place = Place::new();
    let finished = place.run(&["run", "calculate 1+1", "--model", "gpt-17"]);
    let finished = finished.expect(2);
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        (
            "",
            "error: model `gpt-17` needs a key or a server of your own: set OPENAI_API_KEY, or name the server with --base-url; `offline-rules` needs neither\n"
        )
    );
    assert!(!place.data_dir().exists());
}

#[test]
fn the_known_model_can_be_named() {
    let place = Place::new();
    let run = place.run(&["run", "calculate 1+1", "--model", "offline-rules"]);
    assert!(run.answer().contains("The result is 2."));
}

#[test]
fn a_data_directory_that_is_a_file_is_unusable() {
    let place = Place::new();
    fs::write(place.data_dir(), "mine").unwrap();
    let finished = place.run(&["run", "calculate 1+1"]).expect(3);
    assert_eq!(finished.stdout, "");
    assert!(
        finished
            .stderr
            .contains("is a file; name a directory instead")
    );
    assert_eq!(fs::read_to_string(place.data_dir()).unwrap(), "mine");
}

#[test]
fn time_limits_are_taken_in_every_usual_form() {
    for (text, seconds) in [
        ("7500ms", 7.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("1.5m", 90.0),
        ("2h", 7200.0),
    ] {
        let place = Place::new();
        let dir = place.run(&["run", "calculate 1+1", "--json", "--timeout", text]);
        let dir = place.dir_of(&dir.json());
        assert_eq!(
            metadata(&dir)["config"]["timeout_seconds"],
            seconds,
            "{text}"
        );
    }
    let place = Place::new();
    let dir = place.worker("calculate 1+1");
    assert_eq!(metadata(&dir)["config"]["timeout_seconds"], 300.0);
}

#[test]
fn a_time_limit_that_is_none_is_bad_usage() {
    let place = Place::new();
    for text in [
        "0",
        "-1",
        "",
        "NaN",
        "inf",
        "1e18",
        "8d",
        "169h",
        "5 minutes",
        "ms",
        "５",
    ] {
        let finished = place.run(&["run", "calculate 1+1", &format!("--timeout={text}")]);
        let finished = finished.expect(2);
        assert_eq!(finished.stdout, "", "{text}");
        assert!(finished.stderr.contains("--timeout <TIME>"), "{finished:?}");
    }
    assert!(!place.data_dir().exists(), "bad usage made the directory");
}

#[test]
fn owners_do_not_see_each_others_workers() {
    let place = Place::new();
    let run = |task: &str, owner: &str| {
        let report = place.run(&["run", task, "--owner", owner, "--json"]).json();
        report["worker_id"].as_str().unwrap().to_owned()
    };
    run("say one", "anna");
    let of_ben = run("say two", "ben");
    let not_there = |id: &str| format!("Error: job {id} not found. Use list_workers");
    let not_anna = |arguments: &[&str]| {
        let finished = place.run(&[arguments, &["--owner", "anna"]].concat());
        let finished = finished.expect(1);
        assert_eq!(finished.stdout, "", "{arguments:?}");
        finished.stderr
    };
    for command in ["result", "file", "meta"] {
        // Job 3 is nobody's: there must be no telling it from somebody else's.
        assert!(not_anna(&[command, "2"]).starts_with(&not_there("2")));
        assert!(not_anna(&[command, "3"]).starts_with(&not_there("3")));
        assert!(not_anna(&[command, "2", "--json"]).starts_with(&not_there("2")));
        assert!(not_anna(&[command, &of_ben]).contains("not found"));
        place.run(&[command, "2", "--owner", "ben"]).answer();
        place.run(&[command, "2"]).answer();
    }
    let rows = place.run(&["workers", "--json", "--owner", "anna"]).json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["owner"], "anna");
    let grep = |owner: &str| {
        let found = place.run(&["grep", "say", "--json", "--owner", owner]);
        found.json().as_array().unwrap().clone()
    };
    assert!(grep("anna").iter().all(|it| it["job_id"] == 1));
    assert!(grep("ben").iter().all(|it| it["job_id"] == 2));
    assert!(!grep("ben").is_empty() && grep("carl").is_empty());
    assert_eq!(place.rows().len(), 2);
}
