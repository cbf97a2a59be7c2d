//! Steps that need a program which is or is not there.

use std::fs;

use super::run;
use crate::{exec::Invocation, verify::steps::Step, workspace::Workspace};

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
