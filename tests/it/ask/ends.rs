//! However a supervisor ends, no worker of its is left behind.

use rustix::process::Signal;
use serde_json::{Value, json};
use stub_server::{Answer, StubServer, openai};

use super::{UNTIL_GO, row_of};
use crate::{
    cli::Place,
    support::{Background, eventually},
};

/// Starts a supervisor whose worker never ends by itself, and waits until it works.
#[track_caller]
fn ask_for_ever(place: &Place) -> Background {
    let ask = Background::start(&mut place.command(&["ask", UNTIL_GO]));
    eventually("the worker", || place.has("busy"));
    ask
}

/// How the supervisor and its worker ended.
#[track_caller]
fn ended(place: &Place, supervisor: &str, worker: &str) {
    let rows = place.rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let status = |job: u64| {
        let row = rows.iter().find(|it| it["job_id"] == job);
        row.map(|it| it["status"].clone())
    };
    assert_eq!(status(1), Some(json!(supervisor)), "{rows:?}");
    assert_eq!(status(2), Some(json!(worker)), "{rows:?}");
}

#[test]
fn ctrl_c_cancels_the_supervisor_and_its_workers() {
    let place = Place::new();
    let ask = ask_for_ever(&place);
    ask.signal(Signal::INT);
    let finished = ask.finish().expect(130);
    assert!(
        finished.stdout.contains("\nStatus: cancelled\n"),
        "{finished:?}"
    );
    assert_eq!(
        finished.stderr,
        "hint: what its workers found is kept; `triscope trace 1` lists them\n"
    );
    ended(&place, "cancelled", "cancelled");
}

#[test]
fn what_workers_had_answered_when_the_supervisor_was_stopped_is_its_result() {
    let place = Place::new();
    let goal = format!("{UNTIL_GO}; calculate 7*6");
    let ask = Background::start(&mut place.command(&["ask", &goal]));
    eventually("the first answer", || {
        place.has("busy")?;
        let supervisor = place.dir_of(&row_of(&place, &goal));
        let answers = supervisor.join("tool_calls/001_spawn_worker.txt");
        answers.exists().then_some(())
    });
    ask.signal(Signal::TERM);
    let finished = ask.finish().expect(143);
    for text in [
        "\nStatus: cancelled\n",
        "\n\nResult from worker job ",
        "\n\nThe result is 42.\n",
    ] {
        assert!(finished.stdout.contains(text), "{finished:?}");
    }
}

#[test]
fn a_supervisor_that_is_cancelled_from_elsewhere_takes_its_workers_with_it() {
    let place = Place::new();
    let ask = ask_for_ever(&place);
    place.run(&["cancel", "1"]).answer();
    let finished = ask.finish().expect(1);
    assert!(
        finished.stdout.contains("\nStatus: cancelled\n"),
        "{finished:?}"
    );
    ended(&place, "cancelled", "cancelled");
}

#[test]
fn a_worker_that_is_cancelled_from_elsewhere_is_told_of_in_the_answer() {
    let place = Place::new();
    let ask = ask_for_ever(&place);
    place.run(&["cancel", "2"]).answer();
    let answer = ask.finish().expect(0).stdout;
    assert!(
        answer.contains("\n0 of 1 task succeeded. Not: task 1 (cancelled).\n"),
        "{answer}"
    );
    ended(&place, "success", "cancelled");
}

#[test]
fn a_worker_that_never_ends_is_over_with_the_supervisor_s_time() {
    let place = Place::new();
    let ask = place
        .run(&["ask", UNTIL_GO, "--timeout", "1s", "--json"])
        .expect(1);
    let report: Value = serde_json::from_str(&ask.stdout).unwrap();
    assert_eq!(
        (&report["status"], &report["error"]),
        (&json!("timeout"), &json!("timed out after 1s"))
    );
    // On a busy machine it may be over before the worker has begun, or was spawned: then that never does.
    for row in place.rows() {
        let status = if row["job_id"] == 1 {
            "timeout"
        } else {
            "cancelled"
        };
        assert_eq!(row["status"], status, "{row}");
    }
}

#[test]
fn a_killed_supervisor_is_told_of_and_its_goal_is_nobody_else_s() {
    let place = Place::new();
    let mut ask = ask_for_ever(&place);
    ask.signal(Signal::KILL);
    eventually("the end of the supervisor", || {
        (!ask.is_running()).then_some(())
    });
    ended(&place, "failed", "failed");
    place.run(&["work", "--drain"]).expect(0);
    ended(&place, "failed", "failed");
    let result = place.run(&["result", "1"]).expect(1).stdout;
    assert!(
        result.contains("\nError: worker process died\n"),
        "{result}"
    );
}

/// What a process had queued when it was killed waits for others, which do it as that process would have.
#[test]
fn what_a_killed_supervisor_had_queued_is_done_with_its_workers_model() {
    let server = StubServer::start(|request| {
        // As many as run at once.
        if request.number < 8 {
            return Answer::hang();
        }
        Answer::completion(request, &openai::text("done", Value::Null))
    })
    .unwrap();
    let (place, url) = (Place::new(), server.base_url());
    let goal = "look\n".repeat(9);
    let ask = Background::start(&mut place.command(&[
        "ask",
        &goal,
        "--worker-model",
        "small",
        "--base-url",
        &url,
        "--max-parallel-tools",
        "9",
    ]));
    eventually("all workers", || {
        let is_queued = |it: &Value| it["status"] == "queued";
        let all_asked = server.received().len() == 8;
        (all_asked && place.rows().iter().any(is_queued)).then_some(())
    });
    ask.signal(Signal::KILL);
    drop(ask);
    place.run(&["work", "--drain"]).expect(0);
    let rows = place.rows();
    let done: Vec<_> = rows.iter().filter(|it| it["status"] == "success").collect();
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!(done[0]["summary"], "done");
    assert_eq!(server.received()[8].json()["model"], "small");
}

#[test]
fn workers_that_nobody_waited_for_are_cancelled() {
    let task = format!(r#"{{"task":"{UNTIL_GO}","model":"offline-rules"}}"#);
    let server = StubServer::start(move |request| {
        let body = request.json();
        let messages = body["messages"].as_array().unwrap();
        let reply = if body["tools"].is_null() || messages.iter().any(|it| it["role"] == "tool") {
            openai::text("I do not care.", Value::Null)
        } else {
            openai::calls(&[("a", "spawn_worker", &task)], Value::Null)
        };
        Answer::completion(request, &reply)
    })
    .unwrap();
    let (place, url) = (Place::new(), server.base_url());
    let answer = place
        .run(&["ask", "x", "--model", "m", "--base-url", &url])
        .answer();
    assert!(answer.ends_with("\n\nI do not care.\n"), "{answer}");
    ended(&place, "success", "cancelled");
    // The supervisor's own summary is made all the same.
    assert_eq!(row_of(&place, "x")["summary"], "I do not care.");
}

#[test]
fn an_empty_goal_is_bad_usage() {
    let place = Place::new();
    for goal in ["", " \n"] {
        let refused = place.run(&["ask", goal]).expect(2);
        assert!(
            refused.stderr.starts_with("Error: the task is empty."),
            "{refused:?}"
        );
        assert_eq!(refused.stdout, "");
    }
    assert_eq!(place.rows().len(), 0);
}
