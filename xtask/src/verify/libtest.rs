//! Reads what `cargo test` prints: which binaries ran, which tests, and how each ended.
//!
//! The lines are meant for people and mixed with whatever the tests print, so each block of lines is
//! held against its own summary. What does not add up becomes a problem, never a guess: a test binary
//! that crashes, or that calls `exit(0)` half-way, must not look like a passing one.

use std::time::Duration;

use super::tally::Tally;

/// How one test ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// Did not run, and why.
    Skipped(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    /// The path within its binary, such as `tier1_duration::of_a_failed_worker`.
    pub(super) name: String,
    pub(super) outcome: Outcome,
}

/// The tests of one binary, or the doctests of one crate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binary {
    /// The crate's name for unit tests and doctests, the target's for others.
    pub(super) name: String,
    pub(super) tests: Vec<Test>,
    /// As libtest measured it, building excluded.
    pub(super) elapsed: Duration,
    has_run: bool,
}

/// Something worth a line while the tests run.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Failed { test: String },
    Ended { binary: String, summary: String },
}

/// The name of a test whose line something else was printed into.
pub(super) const UNREADABLE: &str = "(line not readable)";

/// Takes the output of one `cargo test` line by line.
#[derive(Debug, Default)]
pub(super) struct Parser {
    binaries: Vec<Binary>,
    problems: Vec<String>,
    block: Option<Block>,
}

/// The lines from `running 3 tests` to `test result: ...`.
#[derive(Debug)]
struct Block {
    /// The index of its first test.
    start: usize,
    /// After the tests, what the failed ones printed is repeated: any text, even that of a `cargo test`.
    in_captured_output: bool,
    /// A test whose line has been started, and interrupted by other output.
    pending: Option<String>,
}

/// One `test result:` line.
#[derive(Debug, PartialEq)]
struct Summary {
    counts: Tally,
    elapsed: Duration,
}

impl Parser {
    /// Takes one line, without its line end.
    pub(super) fn line(&mut self, line: &str) -> Option<Progress> {
        if let Some(summary) = line.strip_prefix("test result: ") {
            return self.end_block(summary);
        }
        if self
            .block
            .as_ref()
            .is_some_and(|block| block.in_captured_output)
        {
            return None;
        }
        if let Some(name) = started_binary(line) {
            self.close_block();
            let elapsed = Duration::ZERO;
            self.binaries.push(Binary {
                name,
                tests: Vec::new(),
                elapsed,
                has_run: false,
            });
        } else if is_block_start(line) {
            self.start_block();
        } else if let Some(elapsed) = all_doctests(line)
            && let Some(binary) = self.binaries.last_mut()
        {
            binary.elapsed = elapsed; // Of the blocks and what lies between them.
        } else if let Some(block) = &mut self.block {
            if line == "failures:" {
                block.in_captured_output = true;
            } else {
                return self.test_line(line);
            }
        }
        None
    }

    /// Ends the reading. `is_success` is what cargo's exit status said.
    pub(super) fn finish(mut self, is_success: bool) -> (Vec<Binary>, Vec<String>) {
        self.close_block();
        if !is_success {
            for binary in self.binaries.iter().filter(|binary| !binary.has_run) {
                self.problems
                    .push(format!("`{}` ended before its first test", binary.name));
            }
        }
        (self.binaries, self.problems)
    }

    fn start_block(&mut self) {
        if self.binaries.is_empty() {
            let name = "(unknown binary)".to_owned();
            let elapsed = Duration::ZERO;
            self.binaries.push(Binary {
                name,
                tests: Vec::new(),
                elapsed,
                has_run: false,
            });
        }
        self.close_block();
        if let Some(binary) = self.binaries.last_mut() {
            binary.has_run = true;
            let start = binary.tests.len();
            self.block = Some(Block {
                start,
                in_captured_output: false,
                pending: None,
            });
        }
    }

    fn test_line(&mut self, line: &str) -> Option<Progress> {
        let (block, binary) = (self.block.as_mut()?, self.binaries.last_mut()?);
        let (name, outcome) = match line
            .strip_prefix("test ")
            .and_then(|it| it.split_once(" ... "))
        {
            Some((name, text)) => {
                let name = name
                    .strip_suffix(" - should panic")
                    .unwrap_or(name)
                    .to_owned();
                let Some(outcome) = outcome(text) else {
                    block.pending = Some(name);
                    return None;
                };
                (name, outcome)
            }
            None => {
                let outcome = outcome(line)?;
                (block.pending.take()?, outcome)
            }
        };
        let progress = match outcome {
            Outcome::Failed => Some(Progress::Failed { test: name.clone() }),
            Outcome::Passed | Outcome::Skipped(_) => None,
        };
        binary.tests.push(Test { name, outcome });
        progress
    }

    fn end_block(&mut self, line_end: &str) -> Option<Progress> {
        let (block, binary) = (self.block.as_ref()?, self.binaries.last_mut()?);
        let Summary { counts, elapsed } = parse_summary(line_end)?;
        let read = Tally::of(&binary.tests[block.start..]);
        if block.in_captured_output && (counts.failed == 0 || !counts.covers(read)) {
            return None; // A failed test's own output; the real summary is still to come.
        }
        if !counts.covers(read) {
            let binary = &binary.name;
            self.problems.push(format!(
                "`{binary}` printed more test lines than it counts: {line_end}"
            ));
        }
        let unreadable = [
            (counts.passed.saturating_sub(read.passed), Outcome::Passed),
            (counts.failed.saturating_sub(read.failed), Outcome::Failed),
            (
                counts.skipped.saturating_sub(read.skipped),
                Outcome::Skipped(UNREADABLE.to_owned()),
            ),
        ];
        for (n_tests, outcome) in unreadable {
            let test = Test {
                name: UNREADABLE.to_owned(),
                outcome,
            };
            binary.tests.extend(std::iter::repeat_n(test, n_tests));
        }
        binary.elapsed += elapsed;
        self.block = None;
        let summary = format!("{counts} in {:.2} s", elapsed.as_secs_f64());
        Some(Progress::Ended {
            binary: binary.name.clone(),
            summary,
        })
    }

    /// A block that is still open at its binary's end has no summary.
    fn close_block(&mut self) {
        if self.block.take().is_some()
            && let Some(binary) = self.binaries.last()
        {
            self.problems.push(format!(
                "`{}` ended in the middle of its tests",
                binary.name
            ));
        }
    }
}

/// `     Running unittests src/lib.rs (target/debug/deps/metrics_core-0123456789abcdef)`, or
/// `   Doc-tests metrics_core`: cargo right-aligns the first word to twelve columns.
fn started_binary(line: &str) -> Option<String> {
    let name = match line.strip_prefix("     Running ") {
        Some(text) => {
            let (_, path) = text.strip_suffix(')')?.rsplit_once(" (")?;
            let file = path.rsplit(['/', '\\']).next()?;
            file.rsplit_once('-').map_or(file, |(name, _hash)| name)
        }
        None => line.strip_prefix("   Doc-tests ")?,
    };
    Some(name.replace('_', "-"))
}

fn is_block_start(line: &str) -> bool {
    let count = line
        .strip_prefix("running ")
        .and_then(|it| it.split_once(' '));
    count.is_some_and(|(number, unit)| {
        number.parse::<usize>().is_ok() && matches!(unit, "test" | "tests")
    })
}

fn outcome(text: &str) -> Option<Outcome> {
    match text {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Skipped("marked `#[ignore]`".to_owned())),
        _ => text
            .strip_prefix("ignored, ")
            .map(|reason| Outcome::Skipped(reason.to_owned())),
    }
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s`
fn parse_summary(text: &str) -> Option<Summary> {
    let (_verdict, parts) = text.split_once(". ")?;
    let mut parts = parts.split("; ");
    let mut count = |unit: &str| parts.next()?.strip_suffix(unit)?.trim().parse().ok();
    let counts = Tally {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
    };
    let elapsed = parts
        .last()?
        .strip_prefix("finished in ")
        .and_then(seconds)?;
    Some(Summary { counts, elapsed })
}

/// `all doctests ran in 0.41s; merged doctests compilation took 0.20s`
fn all_doctests(line: &str) -> Option<Duration> {
    let (text, _compilation) = line.strip_prefix("all doctests ran in ")?.split_once(';')?;
    seconds(text)
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
