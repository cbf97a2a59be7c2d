//! Reported skips against the tests that ran.

use super::*;
use crate::verify::libtest::Parser;

fn binaries() -> Vec<Binary> {
    let mut parser = Parser::default();
    let output = "     Running it/main.rs (target/debug/deps/it-0123456789abcdef)\n\
        running 3 tests\n\
        test cli::pipes ... ok\n\
        test cli::prints ... ok\n\
        test cli::stops ... FAILED\n\
        failures:\n\
        test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
    for line in output.lines() {
        parser.line(line);
    }
    parser.finish(false).0
}

fn outcomes(binaries: &[Binary]) -> Vec<&Outcome> {
    binaries
        .iter()
        .flat_map(|it| &it.tests)
        .map(|test| &test.outcome)
        .collect()
}

#[test]
fn a_reported_skip_is_no_pass() {
    let mut binaries = binaries();
    let text = "cli::pipes\tno `jq` here\ncli::pipes\tno `jq` here\nit::cli::prints\tno `ps`\n";
    assert_eq!(apply(text, &mut binaries), [""; 0]);
    let skipped = |reason: &str| Outcome::Skipped(reason.to_owned());
    assert_eq!(
        outcomes(&binaries),
        [
            &skipped("no `jq` here"),
            &skipped("no `ps`"),
            &Outcome::Failed
        ]
    );
}

#[test]
fn a_failed_test_stays_failed() {
    let mut binaries = binaries();
    assert_eq!(apply("cli::stops\tno `kill`\n", &mut binaries), [""; 0]);
    assert_eq!(outcomes(&binaries)[2], &Outcome::Failed);
}

#[test]
fn a_skip_that_cannot_be_placed_is_a_problem() {
    let mut binaries = binaries();
    assert_eq!(
        apply("cli::gone\tno `jq`\nno tab\n", &mut binaries),
        [
            "a skip of `cli::gone`, but no such test ran (no `jq`)",
            "a skip without a tab and a reason: `no tab`",
        ]
    );
    assert_eq!(outcomes(&binaries), outcomes(&self::binaries()));
}
