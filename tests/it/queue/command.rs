//! `spawn`, `wait` and `workers --watch`: what they print and how they end.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use stub_server::{Answer, StubServer, openai};

use super::{UNTIL_GO, row, spawn, work};
use crate::{
    cli::Place,
    support::{Background, eventually, finish},
};

#[test]
fn a_job_is_on_disk_before_anybody_takes_it() {
    let place = Place::new();
    let spawned = place
        .run(&["spawn", "calculate 7*6", "--owner", "ann"])
        .expect(0);
    assert_eq!(spawned.stdout, "1\n");
    assert_eq!(
        spawned.stderr,
        "note: job 1 waits, and nothing takes jobs now; start `triscope work`\n"
    );
    let listed = row(&place, "1");
    assert_eq!(
        (&listed["status"], &listed["owner"]),
        (&json!("queued"), &json!("ann"))
    );
    let result = place.run(&["result", "1"]).expect(1);
    assert_eq!(
        result.stderr,
        "Error: job 1 is queued (1st in line). Call read_worker_result again later.\n"
    );
    let drained = work(&place, &["--drain"]).finish().expect(0);
    assert_eq!(drained.stderr, "");
    let mut lines = drained.stdout.lines();
    assert_eq!(lines.next(), Some("job 1: running: task: calculate 7*6"));
    let last = lines.next().unwrap();
    assert!(
        last.starts_with("job 1 (worker 2") && last.contains("): success, "),
        "{last}"
    );
    let waited = place.run(&["wait", "1"]).expect(0);
    assert_eq!(waited.stdout, place.run(&["result", "1"]).answer());
    assert!(waited.stdout.contains("\nExecution time: "));
    assert!(
        waited.stdout.trim_end().ends_with("42."),
        "{}",
        waited.stdout
    );
    assert_eq!(waited.stderr, "");
}

#[test]
fn a_program_gets_objects() {
    let place = Place::new();
    let _work = work(&place, &[]);
    let spawned = place.run(&["spawn", "--json", "calculate 7*6"]);
    assert_eq!(spawned.stderr, "");
    assert_eq!(spawned.json(), json!({"job_id": 1, "takers": 1}));
    let report = place.run(&["wait", "--json", "1"]).json();
    assert_eq!(
        (&report["status"], &report["job_id"]),
        (&json!("success"), &json!(1))
    );
}

#[test]
fn a_job_costs_the_same_whoever_runs_it() {
    let counts = json!({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200});
    let reply = openai::text("42", counts);
    let server = StubServer::start(move |request| Answer::completion(request, &reply)).unwrap();
    let (place, url) = (Place::new(), server.base_url());
    let prices = place.folder().join("prices.json");
    let model = json!({"id": "m", "prices": [{"input": 1, "output": 10}]});
    let table = json!({"providers": [{"id": "*", "models": [model]}]});
    fs::write(&prices, table.to_string()).unwrap();
    let prices = ["--prices", prices.to_str().unwrap()];
    let asked = ["x", "--model", "m", "--base-url", &url];
    let head = |text: &str| {
        let mut parts = text.splitn(3, "\n\n");
        parts.nth(1).unwrap().to_owned()
    };

    let ran = place.run(&[&["run"], &asked[..], &prices].concat());
    let ran = head(&ran.answer());
    let (_, usage) = ran.split_once('\n').unwrap();
    assert_eq!(usage, "Usage: 1 LLM call, 1,200 tokens, $0.0030");
    let job = spawn(&place, &asked);
    work(&place, &[&["--drain"][..], &prices].concat())
        .finish()
        .expect(0);
    // What it cost was found where it ran: whoever reads of it needs no prices.
    let taken = head(&place.run(&["wait", &job]).answer());
    assert_eq!(taken.split_once('\n').unwrap().1, usage);
    let bare = head(&place.run(&["result", &job, "--no-usage"]).answer());
    assert_eq!(bare.lines().count(), 1, "{bare}");
    let report = place.run(&["result", &job, "--json"]).json();
    assert_eq!(report["usage"]["cost_usd"], 0.003);
}

#[test]
fn a_job_works_in_the_directory_and_with_the_limits_it_was_spawned_with() {
    let place = Place::new();
    let elsewhere = place.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let _work = work(&place, &[]);
    let mut command = place.command(&["spawn", "run `pwd >here`"]);
    finish(command.current_dir(&elsewhere)).expect(0);
    let waited = place.run(&["wait", "1"]).expect(0);
    assert_eq!(waited.stderr, "");
    let here = fs::read_to_string(elsewhere.join("here")).unwrap();
    assert_eq!(
        fs::canonicalize(here.trim_end()).unwrap(),
        fs::canonicalize(&elsewhere).unwrap()
    );

    spawn(&place, &["--max-steps", "1", "calculate 7*6"]);
    let failed = place.run(&["wait", "2"]).expect(1).stdout;
    assert!(
        failed.contains("Status: failed") && failed.contains("step"),
        "{failed}"
    );
    spawn(&place, &["--timeout", "50ms", UNTIL_GO]);
    let late = place.run(&["wait", "3"]).expect(1).stdout;
    assert!(late.contains("Status: timeout"), "{late}");
}

#[test]
fn a_key_is_the_matter_of_the_process_that_runs_the_job() {
    let place = Place::new();
    let server = ["--base-url", "http://127.0.0.1:9/v1"];
    let mut command = place.command(&["spawn", "--model", "m", "--api-key-env", "A_KEY"]);
    finish(
        command
            .args(server)
            .args(["calculate 7*6"])
            .env("A_KEY", "sesame-7c51e8d24b60"),
    )
    .expect(0);
    let book = fs::read(place.data_dir().join(".triscope/jobs.sqlite")).unwrap();
    let log = fs::read(place.data_dir().join(".triscope/jobs.sqlite-wal")).unwrap_or_default();
    let book = String::from_utf8_lossy(&[book, log].concat()).into_owned();
    assert!(book.contains("A_KEY") && !book.contains("sesame"));
    work(&place, &["--drain"]).finish().expect(0);
    let failed = place.run(&["wait", "1"]).expect(1).stderr;
    assert!(
        failed.contains("job 1 failed before its worker started"),
        "{failed}"
    );
    assert!(failed.contains("A_KEY"), "{failed}");
}

#[test]
fn what_cannot_be_run_is_not_written_down() {
    let place = Place::new();
    for bad in [
        &["spawn", " "][..],
        &["spawn", "x", "--max-attempts", "0"],
        &["spawn", "x", "--base-url", "http://localhost:1"],
        &[
            "spawn",
            "x",
            "--model",
            "m",
            "--base-url",
            "http://a:b@localhost:1",
        ],
        &["work", "--concurrency", "0"],
        &["work", "--grace", "never"],
    ] {
        place.run(bad).expect(2);
    }
    place.run(&["wait", "1"]).expect(1);
    place.run(&["cancel", "1"]).expect(1);
}

#[test]
fn a_wait_ends_without_its_job() {
    let place = Place::new();
    let _work = work(&place, &[]);
    spawn(&place, &[UNTIL_GO]);
    eventually("the running job", || place.has("began"));
    let late = place.run(&["wait", "1", "--timeout", "50ms"]).expect(1);
    assert!(
        late.stderr.contains("job 1 is still running"),
        "{}",
        late.stderr
    );
    let wait = Background::start(&mut place.command(&["wait", "1"]));
    eventually("the wait", || {
        // It has opened the book once it has a lock of its own, beside that of `work`.
        let locks = fs::read_dir(place.data_dir().join(".triscope/run")).unwrap();
        (locks.count() >= 2).then_some(())
    });
    wait.signal(Signal::INT);
    wait.finish().expect(130);
    let other = Background::start(&mut place.command(&["wait", "1"]));
    place.go();
    assert!(other.finish().expect(0).stdout.contains("Execution time: "));
}

#[test]
fn a_watch_tells_each_change_in_a_line() {
    let place = Place::new();
    spawn(&place, &[UNTIL_GO]);
    let mut text = Background::start(&mut place.command(&["workers", "--watch"]));
    let mut json = Background::start(&mut place.command(&["workers", "--watch", "--json"]));
    assert!(text.next_line().starts_with("job 1: queued: task: run "));
    let status = |line: String| {
        let row: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(row["job_id"], 1);
        row["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(json.next_line()), "queued");
    let _work = work(&place, &[]);
    let running = text.next_line();
    assert!(
        running.starts_with("job 1") && running.contains(": running"),
        "{running}"
    );
    assert_eq!(status(json.next_line()), "running");
    place.go();
    let over = text.next_line();
    assert!(
        over.starts_with("job 1 (worker ") && over.contains("): success, "),
        "{over}"
    );
    assert_eq!(status(json.next_line()), "success");
    text.signal(Signal::INT);
    assert_eq!(text.finish().expect(130).stdout, "");
}

#[test]
fn a_watch_sees_the_end_of_a_job_that_is_not_among_the_newest() {
    let place = Place::new();
    spawn(&place, &[UNTIL_GO]);
    let mut watch = Background::start(&mut place.command(&["workers", "--watch", "--limit", "1"]));
    assert!(watch.next_line().starts_with("job 1: queued"));
    spawn(&place, &["--owner", "zoe", "calculate 7*6"]);
    assert!(watch.next_line().starts_with("job 2: queued"));
    let _work = work(&place, &["--owner", artifact_store::DEFAULT_OWNER]);
    assert!(watch.next_line().starts_with("job 1"));
    place.go();
    let over = watch.next_line();
    assert!(
        over.starts_with("job 1 (worker ") && over.contains("): success, "),
        "{over}"
    );
}

#[test]
fn a_watch_on_a_terminal_is_the_list_itself() {
    let place = Place::new();
    spawn(&place, &["calculate 7*6"]);
    let mut watch = Background::start_on_terminal(&mut place.command(&["workers", "--watch"]));
    let head = watch.next_line();
    assert!(
        head.starts_with("\u{1b}[H\u{1b}[J") && head.contains("STATUS"),
        "{head:?}"
    );
    let _work = work(&place, &[]);
    eventually("the end in the table", || {
        watch.next_line().contains("success").then_some(())
    });
}
