//! Whole reports from the outputs of their steps.

use std::time::Duration;

use super::*;
use crate::verify::libtest::Parser;

fn step(name: &str, suite: Suite, output: &str, is_success: bool) -> StepResult {
    let mut parser = Parser::default();
    for line in output.lines() {
        parser.line(line);
    }
    let (binaries, problems) = parser.finish(is_success);
    StepResult {
        binaries,
        problems,
        suite: Some(suite),
        ..plain(name)
    }
}

fn plain(name: &str) -> StepResult {
    StepResult {
        name: name.to_owned(),
        suite: None,
        elapsed: Duration::from_millis(1500),
        binaries: Vec::new(),
        problems: Vec::new(),
        skipped: None,
        log: None,
    }
}

fn integration(lines: &str, result: &str) -> String {
    format!(
        "     Running it/main.rs (target/debug/deps/it-1a2b3c4d5e6f7081)\nrunning 4 tests\n{lines}\n\
         {result}; 0 measured; 0 filtered out; finished in 0.10s\n"
    )
}

const PASSING: &str = "test tier1_duration::shown ... ok\ntest tier3_log::greps ... ok\n\
    test cli::pipes ... ignored, no `jq` here\ntest bad_input::empty ... ok";

const UNIT: &str =
    "     Running unittests src/lib.rs (target/debug/deps/metrics_core-1a2b3c4d5e6f7081)
running 1 test
test clock::tests::goes_on ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.25s
";

#[test]
fn a_green_run_shows_what_was_verified() {
    let output = integration(PASSING, "test result: ok. 3 passed; 0 failed; 1 ignored");
    let report = Report {
        scope: Scope::Standard,
        results: vec![
            plain("fmt"),
            step("unit", Suite::Unit, UNIT, true),
            step("integration", Suite::Integration, &output, true),
        ],
    };
    let expected = "
steps
  fmt          ok          1.5 s
  unit         ok          1.5 s
  integration  ok          1.5 s

verified
                                  passed  failed skipped  seconds
tiers
  Tier 1 always visible                1       0       0        -
  Tier 2 progressive disclosure        0       0       0        -
  Tier 3 dev telemetry                 1       0       0        -
capabilities
  bad_input                            1       0       0        -
  cli                                  0       0       1        -
unit tests
  metrics-core                         1       0       0     0.25

skipped
  cli::pipes: no `jq` here

4 passed, 0 failed, 1 skipped
";
    assert_eq!(report.to_string(), expected);
    assert!(report.is_green());
}

#[test]
fn a_step_that_was_skipped_is_seen_and_counted() {
    let dependencies = StepResult {
        skipped: Some("cargo-deny is not installed".to_owned()),
        ..plain("dependencies")
    };
    let report = Report {
        scope: Scope::Full,
        results: vec![step("unit", Suite::Unit, UNIT, true), dependencies],
    };
    let text = report.to_string();
    let first = "\nsteps\n  unit          ok          1.5 s\n  dependencies  skip        1.5 s\n";
    assert!(text.starts_with(first), "{text}");
    let last =
        "\nskipped\n  dependencies: cargo-deny is not installed\n\n1 passed, 0 failed, 1 skipped\n";
    assert!(text.ends_with(last), "{text}");
    assert!(report.is_green());
}

#[test]
fn a_red_run_lists_every_failure_and_counts_steps_among_them() {
    let lines = "test tier1_duration::shown ... FAILED\nfailures:";
    let output = integration(lines, "test result: FAILED. 0 passed; 1 failed; 0 ignored");
    let clippy = StepResult {
        problems: vec!["`cargo clippy` ended with exit status: 101".to_owned()],
        log: Some("target/xtask/clippy.log".to_owned()),
        ..plain("clippy")
    };
    let report = Report {
        scope: Scope::Tier(1),
        results: vec![
            clippy,
            step("integration", Suite::Integration, &output, false),
        ],
    };
    let text = report.to_string();
    let expected = "
verified
                          passed  failed skipped  seconds
tiers
  Tier 1 always visible        0       1       0     0.10

failures
  clippy (log: target/xtask/clippy.log)
    `cargo clippy` ended with exit status: 101
  integration
    tier1_duration::shown

0 passed, 2 failed
";
    assert!(text.ends_with(expected), "{text}");
    assert!(!report.is_green());
}

#[test]
fn a_test_that_does_not_always_pass_is_named_and_counted_once_a_run() {
    let first = integration(PASSING, "test result: ok. 3 passed; 0 failed; 1 ignored");
    let lines = PASSING.replace("shown ... ok", "shown ... FAILED") + "\nfailures:";
    let second = integration(&lines, "test result: FAILED. 2 passed; 1 failed; 1 ignored");
    let report = Report {
        scope: Scope::Full,
        results: vec![
            step("integration", Suite::Integration, &first, true),
            step("integration-again-1", Suite::Repeat, &second, false),
        ],
    };
    let text = report.to_string();
    assert!(
        text.contains("\nflaky\n  tier1_duration::shown failed in 1 of 2 runs\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n3 passed, 1 failed, 1 skipped\n"),
        "{text}"
    );
}
