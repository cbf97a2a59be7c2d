//! Runs one step and keeps what it said.

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    libtest::{Binary, Outcome, Parser, Progress},
    skips,
    steps::{Action, Step, Suite},
    tally::Tally,
};
use crate::{
    exec::{self, Ended, Invocation},
    tidy,
    workspace::Workspace,
};

/// How many lines of a failed step's log are shown at its start, and again at its end: the compiler
/// says what is wrong first, tests say it last.
const SHOWN_LINES: usize = 300;

/// Where property tests take their random inputs from. `cargo xtask fuzz properties` looks for new ones.
const SEED_VARIABLE: &str = "PROPTEST_RNG_SEED";
/// The same inputs at each run: what is red is about the change.
const SEED: &str = "1";

/// What one step came to.
#[derive(Debug)]
pub(super) struct StepResult {
    pub(super) name: String,
    pub(super) suite: Option<Suite>,
    pub(super) elapsed: Duration,
    pub(super) binaries: Vec<Binary>,
    /// What failed beside the tests; each counts as one failure.
    pub(super) problems: Vec<String>,
    /// Why the step did not run; counts as one skipped test.
    pub(super) skipped: Option<String>,
    /// As shown to the reader; absent when the step has none.
    pub(super) log: Option<String>,
}

impl StepResult {
    pub(super) fn failed_tests(&self) -> impl Iterator<Item = &str> {
        let tests = self.binaries.iter().flat_map(|binary| &binary.tests);
        tests
            .filter(|test| test.outcome == Outcome::Failed)
            .map(|test| test.name.as_str())
    }

    pub(super) fn is_green(&self) -> bool {
        self.problems.is_empty() && self.failed_tests().next().is_none()
    }

    pub(super) fn verdict(&self) -> &'static str {
        if !self.is_green() {
            "FAILED"
        } else if self.skipped.is_some() {
            "skip"
        } else {
            "ok"
        }
    }
}

/// Runs `step`, printing a line for each test binary, and its log if it fails.
pub(super) fn run(workspace: &Workspace, step: &Step, verbose: bool) -> StepResult {
    let started = Instant::now();
    let log = workspace.scratch().join(format!("{}.log", step.name));
    let mut result = StepResult {
        name: step.name.clone(),
        suite: None,
        elapsed: Duration::ZERO,
        binaries: Vec::new(),
        problems: Vec::new(),
        skipped: None,
        log: None,
    };
    let runner = Runner {
        workspace,
        log: &log,
        deadline: started + step.limit,
        verbose,
    };
    if let Err(error) = runner.step(step, &mut result) {
        result.problems.push(format!("{error:#}"));
    }
    result.elapsed = started.elapsed();
    if log.is_file() {
        result.log = Some(workspace.shown(&log));
        if !result.is_green() && !verbose {
            print_log(&log);
        }
    }
    result
}

/// Each finding is shown at once; together they are one failure.
fn run_tidy(workspace: &Workspace, result: &mut StepResult) -> Result<()> {
    let findings = tidy::check(workspace)?;
    for finding in &findings {
        println!("    {finding}");
    }
    if !findings.is_empty() {
        let lines: Vec<String> = findings.iter().map(|it| format!("\n{it}")).collect();
        result
            .problems
            .push(format!("{} findings:{}", findings.len(), lines.concat()));
    }
    Ok(())
}

struct Runner<'a> {
    workspace: &'a Workspace,
    log: &'a Path,
    deadline: Instant,
    verbose: bool,
}

impl Runner<'_> {
    fn step(&self, step: &Step, result: &mut StepResult) -> Result<()> {
        if let Some(need) = &step.needs {
            let ended = self.command(&need.probe, &mut |_| None)?;
            if problem(&need.probe, &ended).is_some() {
                result.skipped = Some(need.reason.to_owned());
                return Ok(());
            }
        }
        if let Some(dir) = &step.fresh_dir {
            exec::empty_dir(dir)?;
        }
        match &step.action {
            Action::Commands(commands) => self.commands(commands, result),
            Action::Tests(suite, commands) => self.tests(*suite, commands, result),
            Action::Tidy => run_tidy(self.workspace, result),
        }
    }

    fn commands(&self, commands: &[Invocation], result: &mut StepResult) -> Result<()> {
        for command in commands {
            println!("    $ {command}");
            let ended = self.command(command, &mut |_| None)?;
            if let Some(problem) = problem(command, &ended) {
                result.problems.push(problem);
                break;
            }
        }
        Ok(())
    }

    fn tests(&self, suite: Suite, commands: &[Invocation], result: &mut StepResult) -> Result<()> {
        result.suite = Some(suite);
        let is_integration = matches!(suite, Suite::Integration | Suite::Repeat);
        let skip_file = self
            .workspace
            .scratch()
            .join(format!("{}.skips", result.name));
        fs::write(&skip_file, "")
            .with_context(|| format!("failed to write `{}`", skip_file.display()))?;
        for command in commands {
            println!("    $ {command}");
            let mut parser = Parser::default();
            let mut command_with_env = command.clone().env(skips::VARIABLE, &skip_file);
            if env::var_os(SEED_VARIABLE).is_none() {
                command_with_env = command_with_env.env(SEED_VARIABLE, SEED);
            }
            let ended = self.command(&command_with_env, &mut |line| parser.line(line))?;
            let problem = problem(command, &ended);
            let (binaries, problems) = parser.finish(problem.is_none());
            let has_failed_test = Tally::of(binaries.iter().flat_map(|it| &it.tests)).failed > 0;
            let is_explained = has_failed_test || !problems.is_empty();
            result.binaries.extend(binaries);
            result.problems.extend(problems);
            if let Some(problem) = problem {
                // Failing tests make cargo fail, too, and are counted already.
                if !is_explained || matches!(ended, Ended::TimedOut) {
                    result.problems.push(problem);
                }
                break;
            }
        }
        if is_integration && result.problems.is_empty() && !result.binaries.iter().any(has_executed)
        {
            result.problems.push("no test was executed".to_owned());
        }
        let skips = fs::read(&skip_file)
            .with_context(|| format!("failed to read `{}`", skip_file.display()))?;
        let skips = String::from_utf8_lossy(&skips);
        result
            .problems
            .extend(skips::apply(&skips, &mut result.binaries));
        Ok(())
    }

    fn command(
        &self,
        command: &Invocation,
        on_line: &mut dyn FnMut(&str) -> Option<Progress>,
    ) -> Result<Ended> {
        let mut show = |line: &str| match on_line(line) {
            _ if self.verbose => println!("{line}"),
            Some(Progress::Failed { test }) => println!("    FAILED {test}"),
            Some(Progress::Ended { binary, summary }) => println!("    {binary}: {summary}"),
            None => {}
        };
        exec::run(
            command,
            self.workspace.root(),
            self.log,
            self.deadline,
            &mut show,
        )
    }
}

fn has_executed(binary: &Binary) -> bool {
    binary
        .tests
        .iter()
        .any(|test| !matches!(test.outcome, Outcome::Skipped(_)))
}

fn problem(command: &Invocation, ended: &Ended) -> Option<String> {
    match ended {
        Ended::Exited(status) if status.success() => None,
        Ended::Exited(status) => Some(format!("`{command}` ended with {status}")),
        Ended::TimedOut => Some(format!("`{command}` was killed at the step's time limit")),
    }
}

/// Shows what a reader needs of a failed step's log.
fn print_log(log: &Path) {
    let Ok(bytes) = fs::read(log) else {
        return; // The step's own message says what is wrong with the log.
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().filter(|line| !is_routine(line)).collect();
    let cut = format!("... more in `{}`", log.display());
    if lines.len() > 2 * SHOWN_LINES {
        lines.splice(SHOWN_LINES..lines.len() - SHOWN_LINES, [cut.as_str()]);
    }
    for line in lines {
        println!("    | {line}");
    }
}

/// What is in the log of a passing step as well.
fn is_routine(line: &str) -> bool {
    let is_passed = line.starts_with("test ") && line.ends_with(" ... ok");
    let first_word = line.trim_start().split(' ').next().unwrap_or_default();
    let is_cargo = line.starts_with("   ")
        && matches!(
            first_word,
            "Compiling" | "Checking" | "Documenting" | "Downloaded" | "Downloading" | "Generated"
        );
    is_passed || is_cargo
}

#[cfg(test)]
mod tests;
