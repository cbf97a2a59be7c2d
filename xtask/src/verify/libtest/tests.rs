//! Outputs of `cargo test`, whole and broken.

use super::*;

fn parse(output: &str, is_success: bool) -> (Vec<Binary>, Vec<String>) {
    let mut parser = Parser::default();
    for line in output.lines() {
        parser.line(line);
    }
    parser.finish(is_success)
}

/// `binary: name=P ...` with `P`assed, `F`ailed or the reason of a skip.
fn shown(binaries: &[Binary]) -> Vec<String> {
    let show = |test: &Test| match &test.outcome {
        Outcome::Passed => format!(" {}=P", test.name),
        Outcome::Failed => format!(" {}=F", test.name),
        Outcome::Skipped(reason) => format!(" {}=({reason})", test.name),
    };
    let line = |binary: &Binary| {
        format!(
            "{}:{}",
            binary.name,
            binary.tests.iter().map(show).collect::<String>()
        )
    };
    binaries.iter().map(line).collect()
}

const TWO_CRATES: &str = "
   Compiling metrics-core v0.0.0 (crates/metrics-core)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.51s
     Running unittests src/lib.rs (target/debug/deps/metrics_core-1a2b3c4d5e6f7081)

running 3 tests
test clock::tests::goes_on ... ok
test line::tests::long has been running for over 60 seconds
test line::tests::long ... ignored, takes an hour ... or two
test line::tests::old ... ignored

test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.25s

     Running unittests src/main.rs (target/debug/deps/triscope-1a2b3c4d5e6f7081)

running 1 test
test panics - should panic ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.50s

";

#[test]
fn tests_are_found_under_their_crate() {
    let (binaries, problems) = parse(TWO_CRATES, true);
    assert_eq!(
        shown(&binaries),
        [
            "metrics-core: clock::tests::goes_on=P \
             line::tests::long=(takes an hour ... or two) line::tests::old=(marked `#[ignore]`)",
            "triscope: panics=P",
        ]
    );
    assert_eq!(binaries[1].elapsed, Duration::from_millis(1500));
    assert_eq!(problems, [""; 0]);
}

#[test]
fn progress_is_told_as_it_happens() {
    let mut parser = Parser::default();
    let output = FAILING
        .lines()
        .filter_map(|line| parser.line(line))
        .collect::<Vec<_>>();
    let failed = Progress::Failed {
        test: "cli::runs_cargo".to_owned(),
    };
    let ended = Progress::Ended {
        binary: "it".to_owned(),
        summary: "2 passed, 1 failed in 0.40 s".to_owned(),
    };
    assert_eq!(output, [failed, ended]);
}

/// The failed test ran a `cargo test` of its own and shows what that printed.
const FAILING: &str = "
     Running it/main.rs (target/debug/deps/it-1a2b3c4d5e6f7081)

running 3 tests
test tier1_duration::shown ... ok
test tier2_metrics::one_line ... ok
test cli::runs_cargo ... FAILED

failures:

---- cli::runs_cargo stdout ----
     Running unittests src/lib.rs (target/debug/deps/inner-1a2b3c4d5e6f7081)
running 1 test
test inner ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

failures:
    cli::runs_cargo

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.40s

error: test failed, to rerun pass `-p triscope-tests --test it`
";

#[test]
fn the_output_of_a_failed_test_is_not_read_as_tests() {
    let (binaries, problems) = parse(FAILING, false);
    assert_eq!(
        shown(&binaries),
        ["it: tier1_duration::shown=P tier2_metrics::one_line=P cli::runs_cargo=F"]
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn merged_and_single_doctests_of_a_crate_are_one() {
    let output = "
   Doc-tests log_format

running 1 test
test crates/log-format/src/lib.rs - (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test crates/log-format/src/lib.rs - install (line 9) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s

all doctests ran in 0.41s; merged doctests compilation took 0.20s
";
    let (binaries, problems) = parse(output, true);
    assert_eq!(
        shown(&binaries),
        ["log-format: crates/log-format/src/lib.rs - (line 3)=P \
          crates/log-format/src/lib.rs - install (line 9) - compile fail=P"]
    );
    assert_eq!(binaries[0].elapsed, Duration::from_millis(410));
    assert_eq!(problems, [""; 0]);
}

#[test]
fn a_binary_that_crashes_is_a_problem() {
    let output = "
     Running unittests src/lib.rs (target/debug/deps/a-1a2b3c4d5e6f7081)
running 2 tests
test one ... ok
error: test failed, to rerun pass `-p a --lib`
     Running unittests src/lib.rs (target/debug/deps/b-1a2b3c4d5e6f7081)
running 0 tests
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running unittests src/lib.rs (target/debug/deps/c-1a2b3c4d5e6f7081)
error: test failed, to rerun pass `-p c --lib`
";
    let (binaries, problems) = parse(output, false);
    assert_eq!(shown(&binaries), ["a: one=P", "b:", "c:"]);
    assert_eq!(
        problems,
        [
            "`a` ended in the middle of its tests",
            "`c` ended before its first test"
        ]
    );
}

#[test]
fn a_binary_that_exits_with_success_half_way_is_a_problem() {
    let output = "     Running it/main.rs (target/debug/deps/it-1a2b3c4d5e6f7081)
running 2 tests
test one ... ok
";
    assert_eq!(
        parse(output, true).1,
        ["`it` ended in the middle of its tests"]
    );
}

#[test]
fn lines_with_other_output_in_them_are_still_counted() {
    let output = "     Running it/main.rs (target/debug/deps/it-1a2b3c4d5e6f7081)
running 4 tests
test cli::one ... from a child
ok
from a childtest cli::two ... ok
test cli::three ... ok
from a childtest cli::four ... FAILED
failures:
test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
    let (binaries, problems) = parse(output, false);
    assert_eq!(
        shown(&binaries),
        ["it: cli::one=P cli::three=P (line not readable)=P (line not readable)=F"]
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn more_lines_than_tests_are_a_problem() {
    let output = "     Running it/main.rs (target/debug/deps/it-1a2b3c4d5e6f7081)
running 1 test
test from_a_child ... ok
test cli::one ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
    let problems = parse(output, true).1;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("`it` printed more test lines than it counts: ok. 1"));
}

#[test]
fn a_build_that_fails_has_no_binaries() {
    let output = "error: could not compile `a` (lib) due to 1 previous error\n";
    assert_eq!(parse(output, false), (Vec::new(), Vec::new()));
}
