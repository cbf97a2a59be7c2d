//! Which steps there are, in which order, and what each runs.
//!
//! A new step is one more entry in a list below: in [`standard_steps`] when everybody waits for it,
//! in [`heavy_steps`] when only `--full` does. A step of plain commands passes when each of them exits
//! with 0; a step of tests is also counted, test by test, from the lines `cargo test` prints.

use std::{fmt, path::PathBuf, time::Duration};

use super::options::Scope;
use crate::{exec::Invocation, workspace::Workspace};

/// How long a step may take, building included, unless it says otherwise.
const USUAL_LIMIT: Duration = Duration::from_mins(40);

/// How often `--full` repeats the integration tests in search of one that does not always pass.
const REPEATS: usize = 3;

/// One line of the run.
#[derive(Debug)]
pub(super) struct Step {
    /// One word, unique: also the name of the step's log.
    pub(super) name: String,
    pub(super) action: Action,
    /// After this long its running command is killed, and the step has failed.
    pub(super) limit: Duration,
    /// A folder that is made, or emptied, before the step.
    pub(super) fresh_dir: Option<PathBuf>,
    /// What not every machine has.
    pub(super) needs: Option<Need>,
}

/// A program that a step cannot do without.
#[derive(Debug)]
pub(super) struct Need {
    /// Fails where the program is not installed.
    pub(super) probe: Invocation,
    /// Why the step is skipped then.
    pub(super) reason: &'static str,
}

#[derive(Debug)]
pub(super) enum Action {
    /// Commands one after the other; the first that fails ends the step.
    Commands(Vec<Invocation>),
    /// The same, with tests in their output.
    Tests(Suite, Vec<Invocation>),
    /// The rules of [`crate::tidy`].
    Tidy,
}

/// Which tests a step runs, and so how they are grouped and counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Suite {
    Unit,
    Doc,
    Integration,
    /// The integration tests again: only what fails is counted, so that no test counts twice.
    Repeat,
}

impl Step {
    pub(super) fn commands(name: &str, commands: Vec<Invocation>) -> Self {
        Self::new(name, Action::Commands(commands))
    }

    pub(super) fn tests(name: &str, suite: Suite, commands: Vec<Invocation>) -> Self {
        Self::new(name, Action::Tests(suite, commands))
    }

    fn new(name: &str, action: Action) -> Self {
        Self {
            name: name.to_owned(),
            action,
            limit: USUAL_LIMIT,
            fresh_dir: None,
            needs: None,
        }
    }

    fn with_fresh_dir(mut self, dir: PathBuf) -> Self {
        self.fresh_dir = Some(dir);
        self
    }

    pub(super) fn with_need(mut self, probe: Invocation, reason: &'static str) -> Self {
        self.needs = Some(Need { probe, reason });
        self
    }
}

/// The step as `--list` shows it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.action {
            Action::Commands(commands) | Action::Tests(_, commands) => commands
                .iter()
                .try_for_each(|command| write!(f, "\n    {command}")),
            Action::Tidy => f.write_str("\n    cargo xtask tidy"),
        }
    }
}

/// The steps of one run.
pub(super) fn plan(workspace: &Workspace, scope: Scope) -> Vec<Step> {
    match scope {
        Scope::Tier(tier) => vec![integration(workspace, Part::Tier(tier))],
        Scope::Quick => {
            let mut res = standard_steps(workspace);
            res.retain(|step| !matches!(step.name.as_str(), "rustdoc" | "doctests"));
            res
        }
        Scope::Standard => standard_steps(workspace),
        Scope::Full => {
            let mut res = standard_steps(workspace);
            res.extend(heavy_steps(workspace));
            res
        }
    }
}

fn standard_steps(workspace: &Workspace) -> Vec<Step> {
    let cargo = |words: &str| workspace.cargo(&words.split(' ').collect::<Vec<_>>());
    let mut res = vec![
        Step::commands("fmt", vec![cargo("fmt --all --check")]),
        Step::commands(
            "clippy",
            vec![cargo(
                "clippy --workspace --all-targets --locked -- -D warnings",
            )],
        ),
        Step::commands(
            "rustdoc",
            vec![cargo("doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings")],
        ),
        Step::tests(
            "unit",
            Suite::Unit,
            // One failing crate does not hide the next one's failures.
            vec![cargo(
                "test --workspace --lib --bins --tests --exclude triscope-tests --locked --no-fail-fast",
            )],
        ),
        Step::tests(
            "doctests",
            Suite::Doc,
            vec![cargo("test --workspace --doc --locked --no-fail-fast")],
        ),
    ];
    // A run for each tier, so that each has its seconds.
    let parts = TIERS.map(Part::Tier).into_iter().chain([Part::Rest]);
    res.extend(parts.map(|part| integration(workspace, part)));
    res.push(Step::new("tidy", Action::Tidy));
    res
}

/// What takes too long, or too many processors, for every run.
fn heavy_steps(workspace: &Workspace) -> Vec<Step> {
    let mut res = Vec::new();
    for round in 1..=REPEATS {
        res.push(Step::tests(
            &format!("integration-again-{round}"),
            Suite::Repeat,
            vec![integration_tests(workspace, Part::All)],
        ));
    }
    let program = workspace.target().join("release/triscope");
    let demo_dir = workspace.scratch().join("demo");
    res.push(
        Step::commands(
            "release-demo",
            vec![
                workspace.cargo(&["build", "--release", "-p", "triscope", "--locked"]),
                Invocation::new(&program, workspace.shown(&program))
                    .args(&["demo", "--data-dir"])
                    .args(&[&demo_dir]),
            ],
        )
        .with_fresh_dir(demo_dir),
    );
    // The rules are in `deny.toml`. Its fourth check, for advisories, would have to fetch their list.
    let deny = &["deny", "--locked", "check", "bans", "licenses", "sources"];
    res.push(
        Step::commands("dependencies", vec![workspace.cargo(deny)]).with_need(
            workspace.cargo(&["deny", "--version"]),
            "cargo-deny is not installed; `cargo install --locked cargo-deny` brings it",
        ),
    );
    res
}

const TIERS: [u8; 3] = [1, 2, 3];

/// A part of the integration package.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The modules of one tier.
    Tier(u8),
    /// What belongs to no tier.
    Rest,
    All,
}

/// The program under test is built in the same step: no test may meet a stale one.
fn integration(workspace: &Workspace, part: Part) -> Step {
    let build = workspace.cargo(&["build", "-p", "triscope", "--locked"]);
    let name = match part {
        Part::Tier(tier) => format!("tier-{tier}"),
        Part::Rest => "capabilities".to_owned(),
        Part::All => "integration".to_owned(),
    };
    Step::tests(
        &name,
        Suite::Integration,
        vec![build, integration_tests(workspace, part)],
    )
}

fn integration_tests(workspace: &Workspace, part: Part) -> Invocation {
    let tests = workspace.cargo(&["test", "-p", "triscope-tests", "--test", "it", "--locked"]);
    match part {
        Part::Tier(tier) => tests.args(&["--".to_owned(), format!("tier{tier}_")]),
        Part::Rest => {
            let skips = TIERS.map(|tier| format!("--skip=tier{tier}_"));
            tests.args(&["--"]).args(&skips)
        }
        Part::All => tests,
    }
}

#[cfg(test)]
mod tests;
