//! Every hostile string in every place that the program takes one: an answer or an error, never a panic.

use std::fs;

use crate::{
    cli::{Place, answered},
    support::LogFile,
};

/// The strings that a command line can hold, which is all but those with a NUL.
fn strings() -> Vec<String> {
    let all: Vec<String> =
        serde_json::from_str(include_str!("../../samples/hostile-strings.json")).unwrap();
    let strings: Vec<_> = all.into_iter().filter(|it| !it.contains('\0')).collect();
    assert!(strings.len() > 50, "{}", strings.len());
    strings
}

/// Runs the program with each string in the place of `{}`, as an argument whatever it looks like.
fn each(place: &Place, arguments: &[&str], check: impl Fn(&str, &crate::support::Finished)) {
    for string in strings() {
        let given: Vec<_> = arguments
            .iter()
            .map(|it| it.replace("{}", &string))
            .collect();
        let given: Vec<_> = given.iter().map(String::as_str).collect();
        let finished = answered(place.run(&given));
        if finished.code != 0 {
            assert_eq!(finished.stdout, "", "{string:?}");
            let named = finished.stderr.to_lowercase().starts_with("error: ");
            assert!(named, "{string:?}: {finished:?}");
        }
        check(&string, &finished);
    }
}

#[test]
fn as_a_task() {
    let place = Place::new();
    each(
        &place,
        &["run", "--json", "--", "{}"],
        |string, finished| {
            if string.trim().is_empty() {
                assert_eq!(finished.code, 2);
                return;
            }
            let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
            assert_eq!(report["task"], string);
        },
    );
    let rows = place.run(&["workers", "--json", "--limit", "1000"]).json();
    let mut tasks: Vec<_> = rows.as_array().unwrap().iter().collect();
    tasks.reverse();
    let expected: Vec<_> = strings();
    let expected = expected.iter().filter(|it| !it.trim().is_empty());
    assert!(
        tasks
            .iter()
            .map(|it| it["task"].as_str().unwrap())
            .eq(expected)
    );
    // Each worker's lines are its own, and every line of the log is one of ours.
    let log = LogFile::read(&place.log_path());
    let events: usize = tasks
        .iter()
        .map(|it| fs::read_to_string(place.dir_of(it).join("metrics.jsonl")).unwrap())
        .map(|it| it.lines().count())
        .sum();
    assert_eq!(log.calls(None).len(), events);
    assert_eq!(log.lines().len(), events);
}

#[test]
fn as_a_task_that_may_be_an_option() {
    let place = Place::new();
    each(&place, &["run", "{}"], |_, _| {});
}

#[test]
fn as_an_owner() {
    let place = Place::new();
    each(
        &place,
        &["run", "say x", "--json", "--owner={}"],
        |string, finished| {
            if finished.code == 0 {
                let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
                assert_eq!(report["owner"], string);
                let of = format!("--owner={string}");
                let rows = place.run(&["workers", "--json", &of]).json();
                let rows = rows.as_array().unwrap();
                assert_eq!(rows.len(), 1, "{string:?}");
                assert_eq!(rows[0]["owner"], string);
            }
        },
    );
}

#[test]
fn as_a_pattern() {
    let place = Place::new();
    place.worker("say hello");
    each(&place, &["grep", "--", "{}"], |_, _| {});
    each(&place, &["grep", "--json", "--", "{}"], |_, _| {});
}

#[test]
fn as_a_path() {
    let place = Place::new();
    place.worker("say hello");
    each(&place, &["file", "--", "1", "{}"], |string, finished| {
        assert_eq!(finished.code, 1, "{string:?}: {finished:?}");
    });
}

#[test]
fn as_a_job() {
    let place = Place::new();
    place.worker("say hello");
    for command in ["result", "file", "meta"] {
        each(&place, &[command, "--", "{}"], |string, finished| {
            assert!(matches!(finished.code, 1 | 2), "{string:?}: {finished:?}");
        });
    }
}

#[test]
fn as_a_model_a_status_and_a_time() {
    let place = Place::new();
    for arguments in [
        &["run", "say x", "--model={}"][..],
        &["run", "say x", "--timeout={}"],
        &["workers", "--status={}"],
        &["workers", "--since-hours={}"],
        &["workers", "--limit={}"],
    ] {
        each(&place, arguments, |string, finished| {
            assert_eq!(finished.code, 2, "{string:?}: {finished:?}");
        });
    }
}

#[test]
fn as_a_data_directory() {
    for string in strings() {
        let place = Place::with_data_dir(&format!("dir {string}"));
        let finished = answered(place.run(&["run", "--json", "say hello"]));
        if finished.code == 0 {
            assert_eq!(place.rows().len(), 1, "{string:?}");
            assert!(place.run(&["result", "1"]).answer().ends_with("\nhello\n"));
        } else {
            assert!(finished.stderr.starts_with("error: "), "{finished:?}");
        }
    }
}
