//! A supervisor whose model is asked over HTTP: what it is told, what it calls, and what it makes up.

use serde_json::{Value, json};
use stub_server::{Answer, Received, StubServer, anthropic, openai};

use super::row_of;
use crate::{
    cli::Place,
    support::{MetricsFile, finish},
};

/// A model that supervises: in each turn it makes the next of these calls, and in the end it says what the last one
/// answered. Asked by anybody else, it says `worker_says`.
fn supervisor(
    turns: &'static [&'static [(&'static str, &'static str)]],
    worker_says: &str,
) -> StubServer {
    let worker_says = worker_says.to_owned();
    let script = move |request: &Received| {
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 10});
        let reply = match outputs_of(request) {
            None => openai::text(&worker_says, usage),
            Some(outputs) => {
                let mut so_far = 0;
                let next = turns.iter().find(|turn| {
                    so_far += turn.len();
                    so_far > outputs.len()
                });
                match next {
                    Some(turn) => {
                        let ids: Vec<_> = (outputs.len()..).take(turn.len()).collect();
                        let ids: Vec<_> = ids.iter().map(|it| format!("id_{it}")).collect();
                        let calls = ids.iter().zip(*turn);
                        let calls: Vec<_> = calls
                            .map(|(id, (tool, arguments))| (&**id, *tool, *arguments))
                            .collect();
                        openai::calls(&calls, usage)
                    }
                    None => openai::text(outputs.last().map_or("nothing", |it| it), usage),
                }
            }
        };
        Answer::completion(request, &reply)
    };
    StubServer::start(script).unwrap()
}

/// What the tools of a supervisor answered so far; `None` of a request of somebody else.
fn outputs_of(request: &Received) -> Option<Vec<String>> {
    let body = request.json();
    let messages = body["messages"].as_array()?;
    let prompt = messages[0]["content"].as_str()?;
    prompt
        .starts_with("You can hand tasks to workers.")
        .then(|| {
            let outputs = messages.iter().filter(|it| it["role"] == "tool");
            let text = |it: &Value| it["content"].as_str().unwrap().to_owned();
            outputs.map(text).collect()
        })
}

/// What the tools answered in all.
fn last_outputs(server: &StubServer) -> Vec<String> {
    let received = server.received();
    received.iter().rev().find_map(outputs_of).unwrap()
}

/// `triscope ask GOAL` with the model `big` of this server and more options; its report.
#[track_caller]
fn ask(place: &Place, server: &StubServer, more: &[&str]) -> Value {
    let url = server.base_url();
    let arguments = [
        "ask",
        "find out",
        "--json",
        "--model",
        "big",
        "--base-url",
        &url,
    ];
    place.run(&[&arguments, more].concat()).json()
}

#[test]
fn a_model_spawns_waits_reads_and_answers() {
    let server = supervisor(
        &[
            &[
                (
                    "spawn_worker",
                    r#"{"task":"calculate 7*6","wait":true,"model":"offline-rules"}"#,
                ),
                ("spawn_worker", r#"{"task":"look around","wait":true}"#),
            ],
            &[("list_workers", "")],
            &[("worker_metrics", r#"{"job_id":"3"}"#)],
            &[("read_worker_result", r#"{"job_id":2}"#)],
        ],
        "done",
    );
    let place = Place::new();
    let report = ask(&place, &server, &["--worker-model", "small"]);
    assert_eq!(report["status"], "success");
    assert_eq!(report["task"], "find out");
    let answer = report["result"].as_str().unwrap();
    assert!(answer.starts_with("Result from worker job 2 "), "{answer}");
    // Which of the two spawned side by side is job 2 is chance.
    let both = [
        row_of(&place, "calculate 7*6"),
        row_of(&place, "look around"),
    ];
    let mut jobs = both.map(|it| it["job_id"].as_u64().unwrap());
    jobs.sort_unstable();
    assert_eq!(jobs, [2, 3]);
    let outputs = last_outputs(&server);
    assert!(outputs[0].ends_with("\n\nThe result is 42."), "{outputs:?}");
    assert!(outputs[1].ends_with("\n\ndone"), "{outputs:?}");
    let running = outputs[2]
        .lines()
        .find(|it| it.starts_with("- job 1 "))
        .unwrap();
    assert!(running.contains(": running for "), "{outputs:?}");
    assert!(
        outputs[3].starts_with("Metrics of ") && outputs[3].contains("job 3"),
        "{outputs:?}"
    );

    // Each asked its own model; only the supervisor had the supervisor's prompt and tools.
    for request in server.received() {
        let body = request.json();
        let is_supervisor = outputs_of(&request).is_some();
        let is_summary = body["tools"].is_null();
        if !is_summary {
            let tools = body["tools"].to_string();
            assert_eq!(body["model"], if is_supervisor { "big" } else { "small" });
            assert_eq!(
                tools.contains(r#""name":"spawn_worker""#),
                is_supervisor,
                "{tools}"
            );
            assert_eq!(
                tools.contains(r#""name":"shell_exec""#),
                !is_supervisor,
                "{tools}"
            );
        }
    }
    // Its own calls are events like any worker's, with what they used.
    let metrics = MetricsFile::read(&place.dir_of(&report).join("metrics.jsonl")).text;
    let count = |text: &str| metrics.lines().filter(|it| it.contains(text)).count();
    assert_eq!(count(r#""model":"big""#), 6, "{metrics}");
    assert_eq!(count(r#""prompt_tokens":100"#), 6, "{metrics}");
    assert_eq!(count(r#""tool":"spawn_worker""#), 2, "{metrics}");
    assert_eq!(count(r#""success":true"#), 5, "{metrics}");
}

#[test]
fn anthropic_s_protocol_will_do_too() {
    let server = StubServer::start(|request| {
        let body = request.json();
        let has_output = body["messages"].to_string().contains("tool_result");
        let usage = json!({"input_tokens": 100, "output_tokens": 10});
        let reply = if has_output || body["tools"].is_null() {
            anthropic::text("It is 42.", usage)
        } else {
            let arguments = json!({"task": "calculate 7*6", "wait": true});
            anthropic::calls(&[("a", "spawn_worker", arguments)], usage)
        };
        Answer::completion(request, &reply)
    })
    .unwrap();
    let place = Place::new();
    let more = ["--provider", "anthropic", "--worker-model", "offline-rules"];
    let report = ask(&place, &server, &more);
    assert_eq!(report["result"], "It is 42.");
    assert_eq!(row_of(&place, "calculate 7*6")["status"], "success");
    let told = &server.received()[1].body;
    assert!(told.contains("The result is 42."), "{told}");
}

#[test]
fn an_offline_supervisor_has_workers_that_ask_a_real_model() {
    let server = supervisor(&[], "done");
    let (place, url) = (Place::new(), server.base_url());
    let arguments = [
        "ask",
        "write a poem. Then praise it",
        "--base-url",
        &url,
        "--worker-model",
        "small",
    ];
    let answer = place.run(&arguments).answer();
    assert!(answer.contains("\n2 of 2 tasks succeeded.\n"), "{answer}");
    assert_eq!(answer.matches("\n\ndone\n").count(), 2, "{answer}");
    let received = server.received();
    let is_small = |it: &Received| it.json()["model"] == "small";
    assert!(received.iter().all(is_small) && received.len() == 4);
}

#[test]
fn a_model_that_makes_things_up_is_told_and_goes_on() {
    let server = supervisor(
        &[
            &[
                ("launch_rocket", "{}"),
                ("spawn_worker", r#"{"task":"#),
                ("spawn_worker", r#"{"task":"  "}"#),
                ("spawn_worker", r#"{"job":"calculate 7*6"}"#),
                ("spawn_worker", r#"["calculate 7*6"]"#),
                ("read_worker_result", r#"{"job_id":99}"#),
                ("read_worker_result", r#"{"job_id":1}"#),
                ("shell_exec", r#"{"command":"touch made-up"}"#),
            ],
            &[(
                "spawn_worker",
                r#"{"task":"calculate 7*6","wait":true,"model":"offline-rules"}"#,
            )],
        ],
        "done",
    );
    let place = Place::new();
    let report = ask(&place, &server, &[]);
    assert_eq!(report["status"], "success");
    let answer = report["result"].as_str().unwrap();
    assert!(answer.ends_with("\n\nThe result is 42."), "{answer}");
    let outputs = last_outputs(&server).join("\n");
    let outputs = without_times(&outputs);
    insta::assert_snapshot!(outputs, @r#"
    Error: bad arguments: there is no tool `launch_rocket`; use one of spawn_worker, list_workers, read_worker_result, read_worker_file, grep_workers, get_worker_metadata, worker_metrics, cancel_worker
    Error: bad arguments: the arguments are not valid JSON: EOF while parsing a value at line 1 column 8
    Error: the task is empty. Say in a sentence or more what the worker shall do.
    Error: argument `task` is missing. Give it as a string.
    Error: the arguments must be a JSON object, such as {"job_id": 1}.
    Error: job 99 not found. Use list_workers to see job ids.
    Error: job 1 is still running (…
    Error: bad arguments: there is no tool `shell_exec`; use one of spawn_worker, list_workers, read_worker_result, read_worker_file, grep_workers, get_worker_metadata, worker_metrics, cancel_worker
    "#);
    assert!(!place.folder().join("made-up").exists());
    // To be told that a job still runs is no failed call; the others are.
    let metrics = MetricsFile::read(&place.dir_of(&report).join("metrics.jsonl")).text;
    assert_eq!(
        metrics.matches(r#""success":false"#).count(),
        7,
        "{metrics}"
    );
}

/// Without the last answer, and how long the supervisor has been running.
fn without_times(outputs: &str) -> String {
    let (outputs, _) = outputs.split_once("\nResult from ").unwrap();
    let without_time = |line: &str| match line.split_once(" is still running (") {
        Some((before, _)) => format!("{before} is still running (…"),
        None => line.to_owned(),
    };
    outputs.lines().map(|it| without_time(it) + "\n").collect()
}

#[test]
fn a_long_result_is_cut_in_the_supervisor_s_context_and_read_on_from_there() {
    let long = "word\n".repeat(10_000);
    let server = supervisor(
        &[
            &[("spawn_worker", r#"{"task":"look around","wait":true}"#)],
            &[(
                "read_worker_file",
                r#"{"job_id":2,"file_path":"result.txt","offset":16380}"#,
            )],
        ],
        &long,
    );
    let place = Place::new();
    let report = ask(&place, &server, &[]);
    let outputs = last_outputs(&server);
    let result = outputs[0].splitn(3, "\n\n").nth(2).unwrap();
    let (first, more) = result.split_once("\n[the result goes on; ").unwrap();
    assert_eq!(
        more,
        "read_worker_file with file_path=result.txt and offset=16380]"
    );
    assert_eq!(first.len(), 16_379);
    let (_, second) = outputs[1].split_once(":\n\n").unwrap();
    assert!(
        second.len() < 17_000 && second.starts_with("word\n"),
        "{second}"
    );
    // The user has the whole of it.
    let whole = place.run(&["file", "2", "result.txt", "--raw"]).answer();
    assert_eq!(whole, long);
    assert_eq!(report["status"], "success");
}

#[test]
fn models_that_cannot_be_asked_are_told_before_anything_begins() {
    let place = Place::new();
    for (arguments, said) in [
        (
            &["--model", "m"][..],
            "model `m` needs a key or a server of your own",
        ),
        (
            &["--worker-model", "m"],
            "model `m` needs a key or a server of your own",
        ),
        (
            &["--base-url", "http://127.0.0.1:1"],
            "name the model to ask there with --model",
        ),
        (&["--worker-model", ""], "--worker-model"),
        (&["--timeout", "0"], "give a time above 0"),
    ] {
        let refused = place.run(&[&["ask", "x"], arguments].concat()).expect(2);
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    assert!(!place.data_dir().exists());
}

#[test]
fn a_model_that_its_server_does_not_know_fails_the_supervisor() {
    let server = StubServer::start(|_| {
        Answer::json(
            404,
            &[],
            &json!({"error": {"message": "no such model: big"}}),
        )
    })
    .unwrap();
    let (place, url) = (Place::new(), server.base_url());
    let mut command = place.command(&["ask", "x", "--model", "big", "--base-url", &url]);
    let failed = finish(&mut command).expect(1);
    assert!(
        failed.stdout.contains("\nStatus: failed\nError: "),
        "{failed:?}"
    );
    assert!(failed.stdout.contains("no such model: big"), "{failed:?}");
    assert_eq!(place.rows().len(), 1);
}
