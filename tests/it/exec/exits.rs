//! How `triscope exec` ends, and what it says then.

use std::fs;

use serde_json::Value;

use crate::{
    cli::{Place, metadata},
    support::normalised,
};

#[test]
fn a_program_that_fails_is_a_failed_job_with_its_exit_code_told() {
    let place = Place::new();
    let script = "echo half of it; echo trouble >&2; exit 3";
    let finished = place
        .run(&["exec", "--task", "try it", "--", "sh", "-c", script])
        .expect(1);
    let _normalised = normalised();
    insta::assert_snapshot!(finished.stdout, @r"
    Result from worker [second]_try-it:

    Execution time: [duration]
    Status: failed
    Error: exit code 3 (see stderr.txt)

    half of it
    ");
    assert_eq!(finished.stderr, "");
    let metadata = place.only_metadata();
    assert_eq!(metadata["task"], "try it");
    assert_eq!(
        metadata["config"]["command"],
        serde_json::json!(["sh", "-c", script])
    );
    assert_eq!(metadata["program"]["exit_code"], 3);
    let id = metadata["worker_id"].as_str().unwrap();
    let stderr = place.run(&["file", id, "stderr.txt", "--raw"]).answer();
    assert_eq!(stderr, "trouble\n");
}

#[test]
fn exec_gives_programs_an_object() {
    let place = Place::new();
    let arguments = [
        "exec",
        "--json",
        "--owner",
        "ada",
        "--",
        "sh",
        "-c",
        "echo out; kill -9 $$",
    ];
    let finished = place.run(&arguments).expect(1);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["job_id"], Value::Null);
    assert_eq!(report["status"], "failed");
    assert_eq!(report["owner"], "ada");
    assert_eq!(report["task"], "sh -c 'echo out; kill -9 $$'");
    assert_eq!(report["error"], "killed by signal 9 (SIGKILL)");
    assert_eq!(
        (&report["result"], &report["result_bytes"]),
        (&"out\n".into(), &4.into())
    );
    assert_eq!(report["program"]["signal"], "SIGKILL");
    assert_eq!(report["program"]["exit_code"], Value::Null);
}

#[test]
fn what_cannot_run_is_bad_usage_and_no_worker() {
    let place = Place::new();
    fs::write(place.folder().join("data.txt"), "").unwrap();
    for (command, says) in [
        (
            "no-such-program",
            "error: `no-such-program` is not found; check the spelling",
        ),
        (
            "./data.txt",
            "error: `./data.txt` cannot be run: it is not executable; `chmod +x` it",
        ),
        (".", "error: `.` is not found"),
        ("./", "error: `./` cannot be run: it is a directory"),
        ("", "error: no command was given"),
    ] {
        let finished = place.run(&["exec", "--", command]).expect(2);
        assert!(finished.stderr.starts_with(says), "{finished:?}");
        assert_eq!(finished.stdout, "");
    }
    place.run(&["exec"]).expect(2);
    place.run(&["exec", "sh"]).expect(2);
    place
        .run(&["exec", "--format", "xml", "--", "true"])
        .expect(2);
    assert_eq!(place.rows(), [(); 0].map(|()| Value::Null));
}

#[test]
fn a_program_out_of_time_is_ended_with_all_that_it_started() {
    let place = Place::new();
    let script = "trap '' TERM; sleep 777 & echo $$ $! >pids.new; mv pids.new pids; echo begun; wait; sleep 777";
    let arguments = ["--grace", "10ms", "--json", "--", "sh", "-c", script];
    // On a machine that is busy the first limit may end it before it has begun.
    for limit in ["300ms", "5s", "60s"] {
        let finished = place.run(&[&["exec", "--timeout", limit][..], &arguments].concat());
        let report: Value = serde_json::from_str(&finished.expect(1).stdout).unwrap();
        assert_eq!(report["status"], "timeout");
        if place.has("pids").is_none() || report["result"] != "begun\n" {
            continue;
        }
        super::signals::all_gone(&place);
        return;
    }
    panic!("it never begins");
}

#[test]
fn the_log_of_refused_lines_names_their_worker() {
    let place = Place::new();
    let script = r#"echo forged >>"$TRISCOPE_METRICS_FILE""#;
    let text = place.run(&["exec", "--", "sh", "-c", script]).answer();
    let warning = "\nWarning: 1 line of the program's metrics refused (line 1: ";
    assert!(text.contains(warning), "{text}");
    let metadata = place.only_metadata();
    let id = metadata["worker_id"].as_str().unwrap();
    let log = fs::read_to_string(place.log_path()).unwrap();
    let line = log.lines().find(|it| it.contains("is refused")).unwrap();
    assert!(line.contains(&format!("worker_id={id} ")), "{line}");
    assert!(line.contains(" WARN "), "{line}");
}

#[test]
fn standard_input_is_passed_on_where_that_is_wanted() {
    let place = Place::new();
    let triscope = crate::support::program_path();
    let command = |options: &str| {
        let recipe = format!(
            "echo from outside | '{}' --data-dir '{}' exec --json {options} -- cat",
            triscope.display(),
            place.data_dir().display()
        );
        crate::support::sh(place.folder(), &recipe).json()["result"].clone()
    };
    assert_eq!(command("--stdin"), "from outside\n");
    assert_eq!(command(""), worker_runner::NO_RESULT);
}

#[test]
fn a_workers_files_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let recipe = format!(
        "umask 0; '{}' --data-dir '{}' exec --json -- sh -c 'echo secret; echo secret >&2'",
        crate::support::program_path().display(),
        place.data_dir().display()
    );
    let report = crate::support::sh(place.folder(), &recipe).json();
    let dir = place.dir_of(&report);
    assert_eq!(metadata(&dir)["status"], "success");
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
    }
}

#[test]
fn a_relative_data_directory_gives_the_program_absolute_paths() {
    let place = Place::new();
    let recipe = format!(
        r#"'{}' --data-dir here exec --json --task ' ' -- sh -c 'cd /; test -w "$TRISCOPE_METRICS_FILE" && echo "$TRISCOPE_METRICS_FILE"'"#,
        crate::support::program_path().display()
    );
    let report = crate::support::sh(place.folder(), &recipe).json();
    let path = report["result"].as_str().unwrap();
    assert!(path.starts_with('/') && path.contains("/here/"), "{path}");
    assert!(report["task"].as_str().unwrap().starts_with("sh -c "));
}
