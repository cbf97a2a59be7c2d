//! Job ids that no job has, through the program and through the tools.

use serde_json::{Value, json};

use crate::{
    cli::{Place, answered},
    support::Lab,
};

#[test]
fn ids_that_no_job_can_have_are_errors_that_say_what_to_do() {
    let place = Place::new();
    place.worker("say hello");
    let huge = "9".repeat(400);
    let not_ids = [
        "0",
        "00",
        "01",
        "9007199254740993",
        "18446744073709551616",
        &huge,
        "",
        "/",
        "..",
        "../1",
        ".triscope",
    ];
    let not_there = [
        "2",
        "-1",
        "-0",
        "1.0",
        "1e0",
        "0x1",
        "+1",
        " 1",
        "1 ",
        "１",
        "１２３",
        "one",
        "NaN",
        "9007199254740991",
        "2020-01-01T00-00-00_say-hello",
    ];
    for command in ["result", "file", "meta"] {
        for id in not_ids.iter().chain(&not_there) {
            let finished = answered(place.run(&[command, "--", id])).expect(1);
            assert!(
                finished.stdout.is_empty()
                    && finished.stderr.starts_with("Error: ")
                    && finished
                        .stderr
                        .contains(" not found. Use list_workers to see "),
                "{finished:?}"
            );
        }
    }
}

#[tokio::test]
async fn tools_take_ids_of_all_json_types_and_find_only_jobs() {
    let lab = Lab::new();
    let job = lab.run_job("say hello").await;
    let arguments = json!({"job_id": job.to_string()});
    let found = lab.tools().call("read_worker_result", &arguments).await;
    assert!(
        found.ends_with(
            "

hello"
        ),
        "{found}"
    );
    for id in [
        json!(0),
        json!(-1),
        json!(1.0),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!("0"),
        json!("01"),
        json!("１"),
        json!(""),
        json!("9".repeat(400)),
        json!(true),
        json!([1]),
        json!({"id": 1}),
        json!("../.."),
        json!("x".repeat(100_000)),
        json!("\u{0}"),
    ] {
        for tool in [
            "read_worker_result",
            "read_worker_file",
            "get_worker_metadata",
            "worker_metrics",
            "cancel_worker",
        ] {
            let mut arguments = json!({"job_id": id});
            if tool == "read_worker_file" {
                arguments["file_path"] = json!("result.txt");
            }
            let answer = lab.tools().call(tool, &arguments).await;
            assert!(
                answer.starts_with("Error: ") && answer.contains("Use list_workers"),
                "{tool} {id:.60}: {answer}"
            );
            assert!(answer.len() < 500, "{tool}: {} bytes", answer.len());
        }
    }
    let missing = lab.tools().call("read_worker_result", &Value::Null).await;
    assert_eq!(
        missing,
        "Error: argument `job_id` is missing. Use list_workers to see job ids."
    );
}

#[tokio::test]
async fn another_owners_job_reads_like_one_that_is_not_there() {
    let lab = Lab::new();
    let job = lab.run_job("say secret words").await;
    let worker = lab.metadata(job).await.worker_id;
    let stranger = lab.tools_of("somebody else");
    for tool in [
        "read_worker_result",
        "read_worker_file",
        "get_worker_metadata",
        "worker_metrics",
        "cancel_worker",
    ] {
        let ask = async |id: Value| {
            let mut arguments = json!({"job_id": id});
            if tool == "read_worker_file" {
                arguments["file_path"] = json!("result.txt");
            }
            stranger.call(tool, &arguments).await
        };
        let theirs = ask(json!(job)).await;
        let nobodys = ask(json!(job + 1)).await;
        assert_eq!(
            theirs.replace(&job.to_string(), "N"),
            nobodys.replace(&(job + 1).to_string(), "N"),
            "{tool}"
        );
        let theirs = ask(json!(worker.as_str())).await;
        let nobodys = ask(json!("2020-01-01T00-00-00_nobody")).await;
        assert_eq!(
            theirs.replace(worker.as_str(), "N"),
            nobodys.replace("2020-01-01T00-00-00_nobody", "N"),
            "{tool}"
        );
    }
    let list = stranger.call("list_workers", &json!({})).await;
    assert_eq!(list, "No workers. Start one with spawn_worker.");
    let arguments = json!({"pattern": "secret"});
    let found = stranger.call("grep_workers", &arguments).await;
    assert!(found.starts_with("0 matches for `secret` in 0 workers"));
}
