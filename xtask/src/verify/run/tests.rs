//! Steps that need a program which is or is not there, and what the commands of a step are told.

use std::{env, fs};

use super::{SEED, SEED_VARIABLE, run};
use crate::{
    exec::Invocation,
    verify::steps::{Step, Suite},
    workspace::Workspace,
};

fn sh(script: &str) -> Invocation {
    Invocation::new("sh", "sh").args(&["-c", script])
}

#[test]
fn a_step_without_the_program_that_it_needs_is_skipped_and_others_run() {
    let workspace = Workspace::find().unwrap();
    fs::create_dir_all(workspace.scratch()).unwrap();
    let result = |name: &str, probe: &str| {
        let step = Step::commands(name, vec![sh("exit 3")]).with_need(sh(probe), "no such program");
        run(&workspace, &step, false)
    };
    let without = result("test-without-need", "exit 127");
    assert_eq!(without.skipped.as_deref(), Some("no such program"));
    assert!(without.is_green() && without.problems.is_empty());
    assert_eq!(without.verdict(), "skip");
    let with = result("test-with-need", "exit 0");
    assert_eq!(with.skipped, None);
    assert_eq!(with.verdict(), "FAILED");
}

#[test]
fn property_tests_are_told_where_to_begin() {
    let workspace = Workspace::find().unwrap();
    let log = workspace.scratch().join("test-seed.log");
    fs::create_dir_all(workspace.scratch()).unwrap();
    let _ = fs::remove_file(&log);
    let script = format!("echo begin at ${SEED_VARIABLE}");
    run(
        &workspace,
        &Step::tests("test-seed", Suite::Unit, vec![sh(&script)]),
        false,
    );
    let seed = env::var(SEED_VARIABLE).unwrap_or_else(|_| SEED.to_owned());
    let said = fs::read_to_string(&log).unwrap();
    assert!(
        said.lines().any(|it| it == format!("begin at {seed}")),
        "{said}"
    );
}
