//! The log: where it lies, what `-v` and `RUST_LOG` do to it, odd places for it.

use std::fs;

use super::Place;
use crate::support::{LogFile, finish, sh};

#[test]
fn the_log_lies_in_the_data_directory() {
    let place = Place::new();
    let dir = place.worker("calculate 7*6");
    let log = LogFile::read(&place.log_path());
    let calls = log.calls(dir.file_name().unwrap().to_str());
    let events = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    assert_eq!(calls.len(), events.lines().count(), "{}", log.text);
    assert_eq!(calls.len(), 4, "{}", log.text);
}

#[test]
fn the_log_goes_where_it_is_told() {
    let place = Place::new();
    let log = place.folder().join("a/new folder/of.log");
    let log_file = log.to_str().unwrap();
    // Options may stand before and behind the command.
    place
        .run(&["--log-file", log_file, "run", "calculate 7*6"])
        .answer();
    assert_eq!(LogFile::read(&log).calls(None).len(), 4);
    place
        .run(&["run", "calculate 7*6", "--log-file", log_file])
        .answer();
    assert_eq!(LogFile::read(&log).calls(None).len(), 8);
    assert!(!place.log_path().exists());
}

#[test]
fn a_verbose_run_logs_to_stderr_too() {
    let place = Place::new();
    let finished = place.run(&["run", "-v", "calculate 7*6"]).expect(0);
    let log = LogFile::read(&place.log_path());
    assert_eq!(log.calls(None).len(), 4);
    assert_eq!(finished.stderr, log.text);
    assert_eq!(finished.stdout, place.run(&["result", "1"]).answer());
}

#[test]
fn what_is_no_answer_goes_to_stderr() {
    let place = Place::new();
    let dir = place.worker("say hello");
    for (arguments, code) in [
        (&["result", "9"][..], 1),
        (&["result", "9", "--json"], 1),
        (&["file", "1", "nothing"], 1),
        (&["meta", "9"], 1),
        (&["grep", "["], 2),
        (&["run", " "], 2),
        (&["run"], 2),
        (&["frobnicate"], 2),
        (&["workers", "--data-dir", "/dev/null"], 3),
    ] {
        let finished = place.run(arguments).expect(code);
        assert_eq!(finished.stdout, "", "{arguments:?}");
        assert_ne!(finished.stderr, "", "{arguments:?}");
    }
    fs::write(dir.join("metadata.json"), "{").unwrap();
    let list = place.run(&["workers", "--json"]).expect(0);
    assert!(list.stdout.contains("\"status\": \"success\""), "{list:?}");
    assert!(list.stderr.starts_with("warning: "), "{list:?}");
}

#[test]
fn our_events_are_logged_whatever_rust_log_says() {
    for filter in ["off", "=,=foo[[", "error", ""] {
        let place = Place::new();
        let mut command = place.command(&["run", "calculate 7*6"]);
        finish(command.env("RUST_LOG", filter)).answer();
        let log = LogFile::read(&place.log_path());
        assert_eq!(log.calls(None).len(), 4, "{filter}: {}", log.text);
    }
    let place = Place::new();
    let mut command = place.command(&["run", "calculate 7*6"]);
    finish(command.env("RUST_LOG", "triscope::telemetry=off")).answer();
    assert_eq!(LogFile::read(&place.log_path()).text, "");
}

#[test]
fn a_log_that_cannot_be_is_an_error_that_names_it() {
    let place = Place::new();
    sh(
        place.folder(),
        "mkfifo pipe; ln -s /nowhere/at/all dangling",
    )
    .answer();
    for (log, said) in [
        (".", "is a directory\nhint: "),
        ("pipe", "is a FIFO that nobody reads"),
        ("dangling", "dangling"),
    ] {
        let log = place.folder().join(log);
        let arguments = ["run", "calculate 1+1", "--log-file", log.to_str().unwrap()];
        let finished = place.run(&arguments).expect(3);
        assert_eq!(finished.stdout, "");
        assert!(
            finished.stderr.starts_with("error: cannot log: ") && finished.stderr.contains(said),
            "{finished:?}"
        );
    }
    // What to do stands below what went wrong, and is not mixed up with it.
    let fifo = place.folder().join("pipe");
    let finished = place.run(&["workers", "--log-file", fifo.to_str().unwrap()]);
    let last = finished.expect(3).stderr;
    let last = last.lines().last().unwrap();
    assert!(
        last.starts_with("hint: ") && !last.contains("os error"),
        "{last}"
    );
}

#[test]
fn a_log_that_takes_nothing_fails_no_worker() {
    let place = Place::new();
    for log in ["/dev/null", "/dev/full"] {
        let text = place.run(&["run", "calculate 1+1", "--log-file", log]);
        assert!(text.answer().contains("The result is 2."), "{log}");
    }
}
