//! Tasks of nothing, of too much, of odd characters.

use serde_json::json;

use crate::{
    cli::{Place, metadata},
    support::Lab,
};

#[test]
fn an_empty_task_is_refused_and_leaves_no_job() {
    let place = Place::new();
    for task in ["", " ", "\n\t ", "\u{3000}"] {
        let finished = place.run(&["run", task]).expect(2);
        assert_eq!(finished.stdout, "");
        assert_eq!(
            finished.stderr,
            "Error: the task is empty. Say in a sentence or more what the worker shall do.\n"
        );
    }
    assert!(place.rows().is_empty());
}

#[tokio::test]
async fn an_empty_task_is_refused_by_the_tool() {
    let lab = Lab::new();
    for task in ["", " \n"] {
        let arguments = json!({"task": task});
        let answer = lab.tools().call("spawn_worker", &arguments).await;
        assert!(
            answer.starts_with("Error: the task is empty. Say "),
            "{answer}"
        );
    }
    let list = lab.tools().call("list_workers", &json!({})).await;
    assert_eq!(list, "No workers. Start one with spawn_worker.");
}

#[tokio::test]
async fn a_task_of_a_megabyte_is_kept_whole() {
    let lab = Lab::new();
    let task = "ab cd ".repeat((1 << 20) / 6 + 1);
    let job = lab.run_job(&task).await;
    let metadata = lab.metadata(job).await;
    assert!(metadata.task == task, "{} bytes", metadata.task.len());
    assert_eq!(metadata.status.to_string(), "success");
    let slug = metadata.worker_id.as_str().split_once('_').unwrap().1;
    assert!(slug.len() <= 30, "{slug}");
    // What a model reads of it stays short.
    for (tool, arguments) in [
        ("list_workers", json!({})),
        ("read_worker_result", json!({"job_id": job})),
        ("worker_metrics", json!({"job_id": job})),
        ("grep_workers", json!({"pattern": "ab cd"})),
    ] {
        let answer = lab.tools().call(tool, &arguments).await;
        assert!(answer.len() < 50_000, "{tool}: {} bytes", answer.len());
        assert!(!answer.starts_with("Error: "), "{tool}: {answer}");
    }
    let log = lab.log();
    assert!(log.text.len() < 10_000, "{} bytes", log.text.len());
}

#[test]
fn the_longest_task_that_a_command_line_holds_is_kept_whole() {
    let place = Place::new();
    // One argument holds 128 KiB at most, its end included.
    let task = "x".repeat((128 << 10) - 1);
    let dir = place.worker(&task);
    assert!(metadata(&dir)["task"] == task.as_str());
    assert!(place.rows()[0]["task"] == task.as_str());
    let table = place.run(&["workers"]).answer();
    assert!(table.len() < 2000, "{} bytes", table.len());
}

#[test]
fn odd_tasks_are_kept_whole_in_directories_of_harmless_names() {
    for task in [
        "😀👩‍👩‍👧‍👦😀",
        "../../etc",
        "/etc/passwd",
        ".",
        "..",
        "CON",
        "line one\nline two\r\nand \x1b[31mred\x1b[0m \u{202e}evil",
        "event=llm_call_complete duration_ms=1",
        "2025-12-15 03:19:33 INFO llm_call_complete duration_ms=1\n",
    ] {
        let place = Place::new();
        let dir = place.worker(task);
        assert_eq!(metadata(&dir)["task"], task);
        assert_eq!(place.rows()[0]["task"], task);
        let slug = dir.file_name().unwrap().to_str().unwrap();
        let slug = slug.split_once('_').unwrap().1;
        assert!(
            slug.bytes()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-'),
            "{task:?}: {slug}"
        );
        // The one directory there is, where it belongs.
        let names = std::fs::read_dir(place.data_dir()).unwrap();
        let mut names: Vec<_> = names.map(|it| it.unwrap().path()).collect();
        names.sort();
        assert_eq!(names, [place.data_dir().join(".triscope"), dir]);
        // A row of the table is a line.
        let table = place.run(&["workers"]).answer();
        assert_eq!(table.lines().count(), 2, "{table}");
        let log = crate::support::LogFile::read(&place.log_path());
        assert_eq!(log.lines().len(), log.calls(None).len());
    }
}
