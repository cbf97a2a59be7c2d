//! Whole programs, from start to exit: `triscope` beside `jq` and `ripgrep`, where they are installed.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    analysis::{Best, made, row},
    corpus::Form,
};

const ROUNDS: usize = 7;
/// Of the kernel's times of processes, a second.
const TICKS: f64 = 100.0;

/// A question, asked of both, and how many of its rounds are worth while.
struct Case<'a> {
    title: &'static str,
    target: &'static str,
    ours: Vec<&'a str>,
    peer: Vec<&'a str>,
    /// What must be the same of both answers.
    answer: fn(&str) -> String,
    rounds: usize,
}

pub(crate) fn run() {
    let one = made(500, Form::Canonical, 0);
    let store = made(5_000_000, Form::Canonical, 10_000);
    let log = made(1_000_000, Form::Log, 0);
    let [one, store, log] = [&one, &store, &log].map(|it| it.to_str().expect("a path of ours"));
    for case in of_workers(one, store) {
        compare(&case);
    }
    for case in of_a_log(log) {
        compare(&case);
    }
}

fn of_workers<'a>(one: &'a str, store: &'a str) -> [Case<'a>; 3] {
    [
        Case {
            title: "one worker of 500 events: time of its model calls",
            target: "0.25x jq",
            ours: vec!["report", "--by", "event", "--format", "csv", one],
            peer: vec![
                "jq",
                "-s",
                "[.[] | select(.event==\"llm_call\") | .duration_ms] | add",
                one,
            ],
            answer: total_of_model_calls,
            rounds: 50,
        },
        Case {
            title: "5 million events of 10,000 workers: a rare literal",
            target: "1x ripgrep",
            ours: vec![
                "grep",
                "--since-hours",
                "1000000",
                "--data-dir",
                store,
                "\"duration_ms\":11100,",
            ],
            peer: vec![
                "rg",
                "-uuu",
                "--no-heading",
                "-F",
                "\"duration_ms\":11100,",
                store,
            ],
            answer: matches,
            rounds: ROUNDS,
        },
        Case {
            title: "the same workers: calls of ten seconds and more",
            target: "0.5x ripgrep's regex",
            ours: vec![
                "slow",
                "--where",
                "duration_ms >= 10000",
                "--limit",
                "10000000",
                "--format",
                "jsonl",
                "--data-dir",
                store,
            ],
            peer: vec![
                "rg",
                "-uuu",
                "--no-heading",
                "\"duration_ms\":[0-9]{5,}",
                store,
            ],
            answer: lines,
            rounds: ROUNDS,
        },
    ]
}

fn of_a_log(log: &str) -> [Case<'_>; 4] {
    [
        Case {
            title: "1 million log lines: grep counts those of model calls",
            target: "1x ripgrep",
            ours: vec!["grep", "-s", "--count", "llm_call_complete", log],
            peer: vec!["rg", "-c", "llm_call_complete", log],
            answer: |it| it.trim().to_owned(),
            rounds: ROUNDS,
        },
        Case {
            title: "1 million log lines: grep finds those of one worker",
            target: "1x ripgrep",
            ours: vec![
                "grep",
                "-s",
                "worker_id=2025-12-15T04-08-08_77-backup ",
                log,
            ],
            peer: vec!["rg", "-F", "worker_id=2025-12-15T04-08-08_77-backup ", log],
            answer: str::to_owned,
            rounds: ROUNDS,
        },
        Case {
            title: "1 million log lines: a report on model calls",
            target: "1x ripgrep, which reads no field",
            ours: vec![
                "report",
                "--by",
                "event",
                "--where",
                "event = 'llm_call'",
                "--format",
                "csv",
                log,
            ],
            peer: vec!["rg", "-c", "llm_call_complete", log],
            answer: count,
            rounds: ROUNDS,
        },
        Case {
            title: "1 million log lines: the calls of one worker",
            target: "1x ripgrep, which reads no field",
            ours: vec![
                "slow",
                "--worker",
                "2025-12-15T04-08-08_77-backup",
                "--limit",
                "10000000",
                "--format",
                "jsonl",
                log,
            ],
            peer: vec!["rg", "-F", "worker_id=2025-12-15T04-08-08_77-backup ", log],
            answer: lines,
            rounds: ROUNDS,
        },
    ]
}

fn compare(case: &Case<'_>) {
    println!("\n{}\n  target: at most {}", case.title, case.target);
    let program = std::env::current_exe().expect("the program's path");
    let program = program.with_file_name("triscope");
    let (mut mine, mut theirs) = (Best::NONE, Best::NONE);
    for _ in 0..case.rounds {
        let Some(ours) = answer(&program, &case.ours, &mut mine) else {
            return println!("  `triscope` is not beside this program: not measured");
        };
        let Some(peer) = answer(Path::new(case.peer[0]), &case.peer[1..], &mut theirs) else {
            return println!("  {} is not installed: not compared", case.peer[0]);
        };
        assert_eq!((case.answer)(&ours), (case.answer)(&peer), "the answers");
    }
    row("triscope", mine, None);
    row(case.peer[0], theirs, None);
    row("triscope / peer", mine, Some(theirs));
}

/// What a program prints, `None` where there is none.
fn answer(program: &Path, arguments: &[&str], best: &mut Best) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::null());
    let (begun, before) = (Instant::now(), childrens_cpu());
    let output = command.output().ok()?;
    best.take(begun.elapsed().as_secs_f64(), childrens_cpu() - before);
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).ok()
}

/// CPU seconds of all children that have ended, to a hundredth.
fn childrens_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything, the third field is the first; these are the 16th and 17th.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(13).take(2);
    ticks.filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn lines(text: &str) -> String {
    text.lines().count().to_string()
}

/// Ours begins with their number; the peer has a line for each.
fn matches(text: &str) -> String {
    match text.split_once(" match") {
        Some((number, _)) if number.parse::<u64>().is_ok() => number.to_owned(),
        _ => lines(text),
    }
}

/// The column of ours, or the peer's bare number.
fn column(text: &str, name: &str, row: &str) -> String {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(at) = head.split(',').position(|it| it == name) else {
        return text.trim().to_owned();
    };
    let row = lines.find(|it| it.split(',').any(|it| it == row));
    let cell = row.and_then(|it| it.split(',').nth(at));
    cell.unwrap_or_default().to_owned()
}

fn count(text: &str) -> String {
    column(text, "count", "llm_call")
}

fn total_of_model_calls(text: &str) -> String {
    column(text, "total_ms", "llm_call")
}
