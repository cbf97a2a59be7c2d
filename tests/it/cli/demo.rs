//! `triscope demo`: three tiers of real workers, and what to type next.

use std::{fs, path::Path};

use super::{Place, metadata};
use crate::support::{Background, Lines as _, demo, finish, require, sh};

/// The part of the text below the title that begins so.
#[track_caller]
fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let (_, section) = text
        .split_once(&format!("\n== {title}"))
        .unwrap_or_else(|| panic!("no `{title}` in {text}"));
    let (_, section) = section.split_once('\n').unwrap();
    section.split("\n== ").next().unwrap()
}

fn is_whole_path(word: &str) -> bool {
    Path::new(word).is_absolute() && !word.starts_with("//")
}

#[test]
fn the_demo_shows_what_the_supervisor_reads_of_every_worker() {
    let demo = demo();
    let tier_1 = section(&demo.stdout, "Tier 1");
    assert_eq!(demo.workers().len(), 6, "{tier_1}");
    for (index, dir) in demo.workers().iter().enumerate() {
        let worker_id = dir.file_name().unwrap().to_str().unwrap();
        assert!(tier_1.contains(&format!("(worker {worker_id}):\n\n  Execution time: ")));
        assert!(tier_1.contains(&format!("Result from worker job {} (worker", index + 1)));
    }
    assert!(tier_1.contains("The result is 42."), "{tier_1}");
    assert!(tier_1.contains("Status: timeout\n  Error: timed out after 1s"));
}

#[test]
fn the_demo_shows_whole_files_of_events_and_where_they_lie() {
    let demo = demo();
    let tier_2 = section(&demo.stdout, "Tier 2");
    let mut shown = Vec::new();
    let mut lines = tier_2.lines().map(str::trim).filter(|it| !it.is_empty());
    let mut file = Path::new(lines.next().unwrap());
    let mut events = String::new();
    for line in lines.chain(["/"]) {
        if is_whole_path(line) {
            assert_eq!(fs::read_to_string(file).unwrap(), events);
            shown.push(file.parent().unwrap().to_owned());
            file = Path::new(line);
            events.clear();
        } else {
            events.push_str(line);
            events.push('\n');
        }
    }
    assert_eq!(shown.len(), 2, "{tier_2}");
    let workers = demo.workers();
    assert!(shown.iter().all(|it| workers.contains(it)), "{shown:?}");
}

#[test]
fn the_demo_shows_every_log_line_and_where_the_log_lies() {
    let demo = demo();
    let tier_3 = section(&demo.stdout, "Tier 3");
    let shown: Vec<_> = tier_3
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(Path::new(shown[0]), demo.log_path());
    assert_eq!(shown[1..], demo.log().text.whole_lines());
}

#[test]
fn one_tool_of_the_demo_fails_and_one_worker_runs_out_of_time() {
    let demo = demo();
    let mut statuses = Vec::new();
    let mut failed = Vec::new();
    for dir in demo.workers() {
        let status = metadata(&dir)["status"].as_str().unwrap().to_owned();
        let events = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
        let failures = events.lines().filter(|it| it.contains("\"success\":false"));
        failed.extend(failures.map(|it| (status.clone(), it.to_owned())));
        statuses.push(status);
    }
    statuses.sort();
    assert_eq!(
        statuses,
        [
            "success", "success", "success", "success", "success", "timeout"
        ]
    );
    let [(_, one), (_, other)] = &failed[..] else {
        panic!("not two failed calls: {failed:?}");
    };
    assert!(one.contains("timeout") != other.contains("timeout"));
    assert!(failed.iter().any(|(status, event)| status == "success"
        && event.contains("\"tool\":\"http_request\"")
        && event.contains("HTTP 404")));
    assert!(failed.iter().any(|(status, event)| status == "timeout"
        && event.contains("\"tool\":\"shell_exec\"")
        && event.contains("\"error\":\"timeout\"")));
}

#[test]
fn the_demos_next_steps_can_be_typed_as_printed() {
    require!("jq", "grep", "tail");
    let place = Place::with_data_dir("it's my data");
    let shown = finish(&mut place.command(&["demo"])).answer();
    let steps: Vec<_> = section(&shown, "Next")
        .lines()
        .filter_map(|it| it.strip_prefix("    "))
        .collect();
    assert!(steps.len() >= 6, "{steps:?}");
    for step in steps {
        // Only this one does not end by itself.
        if let Some(tail) = step.strip_prefix("tail -F ") {
            let mut recipe = std::process::Command::new("sh");
            recipe.args(["-c", &format!("exec tail -n +1 -F {tail}")]);
            let log = fs::read_to_string(place.log_path()).unwrap();
            assert_eq!(
                Background::start(&mut recipe).next_line(),
                log.lines().next().unwrap()
            );
            continue;
        }
        let finished = sh(place.folder(), step);
        assert_ne!(finished.answer(), "", "{step}");
    }
}

#[test]
fn a_second_demo_in_the_same_place_shows_its_own_workers() {
    let place = Place::new();
    place.run(&["demo"]).answer();
    let shown = place.run(&["demo"]).answer();
    for job in 7..=12 {
        assert!(shown.contains(&format!("Result from worker job {job} (")));
    }
    assert!(!shown.contains("worker job 6 ("), "{shown}");
    let tier_3 = section(&shown, "Tier 3").whole_lines().len();
    let log = fs::read_to_string(place.log_path()).unwrap();
    assert!(tier_3 < log.lines().count(), "{shown}");
    assert!(shown.contains("12 workers lie in"), "{shown}");
}
