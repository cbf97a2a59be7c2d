//! `workers`, `result`, `grep`, `meta`: as a person reads them, and as a program does.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Place, metadata};
use crate::support::normalised;

fn name(dir: &Path) -> &str {
    dir.file_name().unwrap().to_str().unwrap()
}

#[test]
fn workers_are_listed_newest_first_a_line_each() {
    let place = Place::new();
    place.worker("calculate 7*6");
    place.worker("say hello");
    let list = place.run(&["workers"]).answer();
    let _normalised = normalised();
    // Columns are as wide as their values.
    let list: Vec<_> = list
        .lines()
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    insta::assert_snapshot!(list.join("\n"), @r"
    JOB STATUS TIME OWNER WORKER SUMMARY OR TASK
    2 success [duration] local [second]_say-hello hello
    1 success [duration] local [second]_calculate-7-6 The result is 42.
    ");
}

#[test]
fn workers_are_an_array_of_objects_for_programs() {
    let place = Place::new();
    let dir = place.worker("calculate 7*6");
    place
        .run(&["run", "run `sleep 777`", "--timeout", "50ms"])
        .expect(1);
    let rows = place.rows();
    let metadata = metadata(&dir);
    assert_eq!(
        rows[1],
        json!({
            "job_id": 1,
            "worker_id": name(&dir),
            "status": "success",
            "duration_ms": metadata["duration_ms"],
            "owner": "local",
            "task": "calculate 7*6",
            "summary": "The result is 42.",
            "created_at": metadata["created_at"],
        })
    );
    assert_eq!(
        (&rows[0]["job_id"], &rows[0]["status"]),
        (&json!(2), &json!("timeout"))
    );
    assert_eq!(rows.len(), 2);
}

#[test]
fn workers_can_be_filtered() {
    let place = Place::new();
    for task in ["say one", "say two", "say three"] {
        place.worker(task);
    }
    place
        .run(&["run", "run `sleep 777`", "--timeout", "50ms"])
        .expect(1);
    let jobs = |arguments: &[&str]| -> Vec<u64> {
        let rows = place.run(&[&["workers", "--json"], arguments].concat());
        let rows = rows.json();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|it| it["job_id"].as_u64().unwrap()).collect()
    };
    assert_eq!(jobs(&[]), [4, 3, 2, 1]);
    assert_eq!(jobs(&["--limit", "2"]), [4, 3]);
    assert_eq!(jobs(&["--status", "success"]), [3, 2, 1]);
    assert_eq!(jobs(&["--status", "timeout"]), [4]);
    assert_eq!(jobs(&["--status", "queued"]), [] as [u64; 0]);
    assert_eq!(jobs(&["--since-hours", "1000000"]), [4, 3, 2, 1]);
    for bad in [
        ["--status", "finished"],
        ["--since-hours", "-1"],
        ["--since-hours", "NaN"],
        ["--limit", "-1"],
    ] {
        place.run(&[&["workers"], &bad[..]].concat()).expect(2);
    }
}

#[test]
fn a_worker_made_before_the_asked_hours_is_not_listed() {
    let place = Place::new();
    let dir = place.worker("say hello");
    let (_, slug) = name(&dir).split_once('_').unwrap();
    let old = format!("2020-01-01T00-00-00_{slug}");
    let mut of_old = metadata(&dir);
    of_old["worker_id"] = json!(old);
    of_old["created_at"] = json!("2020-01-01T00:00:00.000000Z");
    fs::rename(&dir, place.data_dir().join(&old)).unwrap();
    let file = place.data_dir().join(&old).join("metadata.json");
    fs::write(file, of_old.to_string()).unwrap();
    assert_eq!(place.rows().len(), 1);
    let recent = place.run(&["workers", "--since-hours", "1"]).answer();
    assert_eq!(recent, "No such workers.\n");
}

#[test]
fn an_empty_place_says_how_to_start() {
    let place = Place::new();
    fs::create_dir(place.data_dir()).unwrap();
    assert_eq!(
        place.run(&["workers"]).answer(),
        "No workers. Start one: triscope run \"calculate 7*6\"\n"
    );
    assert_eq!(place.run(&["workers", "--json"]).json(), json!([]));
    assert_eq!(place.run(&["grep", "x", "--json"]).json(), json!([]));
}

#[test]
fn a_result_is_found_by_number_and_by_worker() {
    let place = Place::new();
    let run = place.run(&["run", "calculate 7*6"]).answer();
    let worker = place.rows()[0]["worker_id"].as_str().unwrap().to_owned();
    assert_eq!(place.run(&["result", "1"]).answer(), run);
    assert_eq!(place.run(&["result", &worker]).answer(), run);
    let by_number = place.run(&["result", "1", "--json"]).json();
    assert_eq!(
        by_number,
        place.run(&["result", &worker, "--json"]).json(),
        "by number and by worker"
    );
    assert_eq!(by_number["result"], "The result is 42.");
    assert_eq!(by_number["worker_id"], worker.as_str());
}

#[test]
fn a_lost_result_is_said_to_be_missing_in_text_and_json() {
    let place = Place::new();
    let dir = place.worker("say hello");
    fs::remove_file(dir.join("result.txt")).unwrap();
    let text = place.run(&["result", "1"]).answer();
    let missing = "(result.txt is missing: it could not be written, or was removed)";
    assert!(text.ends_with(&format!("\n\n{missing}\n")), "{text}");
    let report = place.run(&["result", "1", "--json"]).json();
    assert_eq!(report["result"], missing);
}

#[test]
fn metadata_is_what_lies_on_disk() {
    let place = Place::new();
    let dir = place.worker("calculate 7*6");
    let on_disk = metadata(&dir);
    let worker = name(&dir);
    for job in ["1", worker] {
        assert_eq!(place.run(&["meta", job, "--json"]).json(), on_disk);
        let text = place.run(&["meta", job]).answer();
        let (head, json) = text.split_once("\n\n").unwrap();
        assert_eq!(head, format!("Metadata of worker job 1 (worker {worker}):"));
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), on_disk);
    }
}

#[test]
fn grep_names_job_worker_file_and_line() {
    let place = Place::new();
    let dir = place.worker("say a rare word");
    place.worker("say nothing of that");
    let worker = name(&dir);
    let text = place.run(&["grep", "A RARE W.RD"]).answer();
    assert!(
        text.contains(&format!("\njob 1, {worker}, result.txt:1: a rare word\n")),
        "{text}"
    );
    assert!(!text.contains("job 2"), "{text}");
    let found = place.run(&["grep", "A RARE W.RD", "--json"]).json();
    let found = found.as_array().unwrap();
    assert!(found.contains(&json!({
        "job_id": 1,
        "worker_id": worker,
        "file": "result.txt",
        "line": 1,
        "text": "a rare word",
    })));
    assert!(found.iter().all(|it| it["job_id"] == 1), "{found:?}");
}

#[test]
fn a_pattern_that_is_none_is_refused_with_the_reason() {
    let place = Place::new();
    place.worker("say hello");
    for json in [&[][..], &["--json"][..]] {
        let finished = place.run(&[&["grep", "("], json].concat()).expect(2);
        assert_eq!(finished.stdout, "");
        assert!(
            finished
                .stderr
                .starts_with("Error: `(` is not a usable regular expression:"),
            "{finished:?}"
        );
    }
}
