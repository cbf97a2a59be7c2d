//! Searching across workers, within bounds.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::support::{LONG, TestStore, mkfifo, noon};
use crate::{NewWorker, SearchOptions, SearchResult, StoreError};

/// No test here is about being slow.
fn patient() -> SearchOptions {
    SearchOptions {
        max_time: LONG,
        ..SearchOptions::default()
    }
}

impl TestStore {
    fn search(&self, pattern: &str) -> SearchResult {
        self.store.search(pattern, &patient()).unwrap()
    }

    fn worker_with_result(&self, task: &str, result: impl AsRef<[u8]>) {
        let worker = self.worker(task);
        fs::write(worker.dir().join("result.txt"), result).unwrap();
    }
}

fn texts(result: &SearchResult) -> Vec<&str> {
    result.matches.iter().map(|it| it.text.as_str()).collect()
}

#[test]
fn a_match_says_where_it_stands_and_case_does_not_matter() {
    let it = TestStore::new();
    let new = NewWorker {
        job_id: Some(7),
        ..NewWorker::new("task")
    };
    let worker = it.store.create_worker(new).unwrap();
    worker.write_result("one\ntwo NEEDLE here\n").unwrap();
    worker
        .save_tool_output(1, "ssh_exec", "ärger: Needle\r\n")
        .unwrap();
    let result = it.search("needle");
    assert_eq!(texts(&result), ["two NEEDLE here", "ärger: Needle"]);
    assert_eq!(result.matches[0].worker_id, worker.id());
    assert_eq!(result.matches[0].job_id, Some(7));
    assert_eq!(result.matches[0].file, "result.txt");
    assert_eq!(result.matches[0].line, 2);
    assert_eq!(result.matches[1].file, "tool_calls/001_ssh_exec.txt");
    assert_eq!((result.stopped, result.workers_searched), (None, 1));
    assert!(result.skipped.is_empty(), "{:?}", result.skipped);
    assert_eq!(texts(&it.search("ÄRGER")), ["ärger: Needle"]);
    assert_eq!(texts(&it.search("^two .*e$")), ["two NEEDLE here"]);
    assert_eq!(texts(&it.search("nothing like it")), [""; 0]);
}

#[test]
fn matches_stop_at_the_limit_and_only_then_is_it_said() {
    let it = TestStore::new();
    it.worker_with_result("old", "needle old\n".repeat(3));
    it.worker_with_result("new", "needle new\n".repeat(3));
    let search = |max_matches| {
        let options = SearchOptions {
            max_matches,
            ..patient()
        };
        it.store.search("^needle", &options).unwrap()
    };
    for max_matches in [6, 7] {
        let all = search(max_matches);
        assert_eq!((all.matches.len(), all.stopped), (6, None));
    }
    let some = search(4);
    assert_eq!(some.stopped, Some("the limit on matches was reached"));
    let expected = ["needle new", "needle new", "needle new", "needle old"];
    assert_eq!(texts(&some), expected, "the newest first");
    let none = search(0);
    assert_eq!((none.matches.len(), none.stopped.is_some()), (0, true));
}

#[test]
fn a_long_line_is_shown_around_its_match() {
    let it = TestStore::new();
    let (before, after) = ("ä".repeat(50_000), "😀".repeat(50_000));
    it.worker_with_result("middle", format!("{before}needle{after}\n"));
    it.worker_with_result("end", format!("{before}needle"));
    it.worker_with_result("begin", format!("needle{after}   \n"));
    it.worker_with_result("exact", format!("needle{}\n", "ß".repeat(194)));
    let result = it.search("NEEDLE");
    let [exact, begin, end, middle] = texts(&result)[..] else {
        panic!("{:?}", result.matches)
    };
    for text in [exact, begin, end, middle] {
        assert_eq!(text.chars().count(), 200, "{text}");
        assert!(text.contains("needle"), "{text}");
    }
    assert!(exact.starts_with("needle") && exact.ends_with('ß'));
    assert!(begin.starts_with("needle😀") && begin.ends_with('😀'));
    assert!(end.starts_with('ä') && end.ends_with("needle"));
    assert!(middle.starts_with('ä') && middle.ends_with('😀'));
}

#[test]
fn any_length_of_an_excerpt_is_kept_to() {
    let it = TestStore::new();
    it.worker_with_result("task", "x".repeat(500) + "needle" + &" ".repeat(500));
    for max_chars in [0, 1, 2, 10, 506, 507, 1 << 40] {
        let options = SearchOptions {
            max_chars,
            ..patient()
        };
        let result = it.store.search("needle *$", &options).unwrap();
        let n_chars = result.matches[0].text.chars().count();
        assert_eq!(n_chars, max_chars.min(506));
    }
}

#[test]
fn a_pattern_that_cannot_be_used_is_an_error_with_the_reason() {
    let it = TestStore::new();
    it.worker_with_result("task", "x");
    let nested = "(".repeat(10_000) + &")".repeat(10_000);
    let long = "a|".repeat(1 << 20);
    let start = Instant::now();
    for pattern in [
        "(",
        "[",
        "*",
        "a{5,1}",
        r"\p{nonsense}",
        r"(?<name",
        r"\1",
        "(?=x)",
        "a\nb",
        r"a\nb",
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        r"(\pL{500}){500}",
        r"\w{2000}",
        &nested,
        &long,
    ] {
        let error = it.store.search(pattern, &patient()).unwrap_err();
        assert!(matches!(error, StoreError::Pattern { .. }), "{error:.200}");
        let text = error.to_string();
        assert!(text.contains("is not a usable regular expression: "));
        assert!(text.len() < 600, "{} bytes: {text:.300}", text.len());
        assert!(pattern.contains('\n') || !text.contains('\n'), "{text}");
    }
    let error = it.store.search("(", &patient()).unwrap_err();
    let expected = "`(` is not a usable regular expression: unclosed group";
    assert_eq!(error.to_string(), expected);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn a_slow_pattern_ends_in_time() {
    let it = TestStore::new();
    it.worker_with_result("task", "ab".repeat(50_000) + "\n");
    let options = SearchOptions {
        max_time: Duration::from_millis(200),
        ..SearchOptions::default()
    };
    let mut n_stopped = 0;
    for pattern in [
        r"(x+x+)+y",
        r"(.*)*z",
        r"(a|aa|ab|b)*c",
        r"[ab]*a[ab]{500}c",
        r"(?:.{0,200}a){8}c",
        r"(a?){500}a{500}z",
        r"\b\w{0,50}c\w{0,50}z",
        r"(?-u:a[^z]{10000}\d)",
        r"(?-u:[ab][^z]{10000}\d)",
    ] {
        let start = Instant::now();
        match it.store.search(pattern, &options) {
            Ok(result) => n_stopped += usize::from(result.stopped.is_some()),
            Err(StoreError::Pattern { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let took = start.elapsed();
        assert!(took < LONG / 4, "{pattern}: {took:?}");
    }
    assert!(n_stopped > 0, "none of these was slow");
}

#[test]
fn the_time_limit_is_kept_and_said_and_may_be_any() {
    let it = TestStore::new();
    it.worker_with_result("task", "needle");
    for (max_time, found) in [(Duration::ZERO, 0), (Duration::MAX, 1)] {
        let options = SearchOptions {
            max_time,
            ..SearchOptions::default()
        };
        let result = it.store.search("needle", &options).unwrap();
        assert_eq!(result.matches.len(), found);
        let stopped = (found == 0).then_some("the time limit was reached");
        assert_eq!(result.stopped, stopped);
    }
}

#[test]
fn files_that_are_no_text_are_searched_and_those_passed_over_are_said() {
    let it = TestStore::new();
    it.worker_with_result("binary", b"needle before\n\0needle behind\n");
    it.worker_with_result("power_cut", [&[0; 4096][..], b"\nneedle\n"].concat());
    it.worker_with_result("latin1", b"needle \xe4\xff\n");
    it.worker_with_result("bom", "\u{feff}needle bom\n");
    it.worker_with_result("long", "x".repeat(20 << 20) + "needle");
    let piped = it.worker("piped");
    mkfifo(piped.dir().join("pipe"));
    let damaged = it.worker("damaged");
    fs::write(damaged.dir().join("metadata.json"), "{").unwrap();

    let result = it.search("needle");
    let expected = [
        "needle bom",
        "needle \u{fffd}\u{fffd}",
        "needle",
        "needle before",
        "\0needle behind",
    ];
    assert_eq!(texts(&result), expected);
    assert_eq!((result.matches[2].line, result.matches[4].line), (2, 2));
    assert_eq!(result.workers_searched, 6);
    for (name, why) in [
        ("_long/result.txt", "allocation limit"),
        ("_piped/pipe`", "is not a plain file"),
        ("_damaged/metadata.json", "is damaged: EOF"),
    ] {
        let mut said = result.skipped.iter().filter(|it| it.contains(name));
        assert!(said.any(|it| it.contains(why)), "{name}: {result:#?}");
    }
    assert_eq!(result.skipped.len(), 3);
}

#[test]
fn other_owners_and_older_workers_are_left_out() {
    let it = TestStore::new();
    let make = |owner: &str, text: &str| {
        let new = NewWorker {
            owner: owner.to_owned(),
            ..NewWorker::new("task")
        };
        let worker = it.store.create_worker(new).unwrap();
        worker.write_result(&format!("needle {text}")).unwrap();
        it.clock.advance(Duration::from_hours(1));
    };
    make("local", "old");
    make("other", "old of another");
    make("local", "new");
    make("other", "new of another");
    let options = SearchOptions {
        owner: Some("local".to_owned()),
        ..patient()
    };
    let result = it.store.search("needle", &options).unwrap();
    assert_eq!(texts(&result), ["needle new", "needle old"]);
    let options = SearchOptions {
        since: Some(noon().plus_micros(1)),
        ..options
    };
    let result = it.store.search("needle", &options).unwrap();
    assert_eq!(texts(&result), ["needle new"]);
    assert_eq!(result.workers_searched, 1);
}

#[test]
fn a_file_that_is_being_written_aside_is_not_searched() {
    let it = TestStore::new();
    let worker = it.worker("task");
    fs::write(worker.dir().join("result.txt.0123.new"), "needle").unwrap();
    assert_eq!(texts(&it.search("needle")), [""; 0]);
}
