//! `cargo xtask verify`: the whole suite, step by step, and what it proved on each tier.
//!
//! A failed step does not stop the others. The last line is the count of tests, for people and CI
//! alike; a step that fails for another reason than a test adds one to its failures.

use std::process::ExitCode;

use anyhow::Result;

use crate::{USAGE_ERROR, exec, workspace::Workspace};

mod libtest;
mod options;
mod report;
mod run;
mod skips;
mod steps;
mod table;
mod tally;

use options::{Options, Request};
use report::Report;

/// The verb.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = match options::parse(args) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Help) => {
            print!("{}", options::USAGE);
            return Ok(ExitCode::SUCCESS);
        }
        Err(message) => {
            eprint!("error: {message}\n\n{}", options::USAGE);
            return Ok(USAGE_ERROR.into());
        }
    };
    let workspace = Workspace::find()?;
    let steps = steps::plan(&workspace, options.scope);
    if options.list {
        for step in &steps {
            println!("{step}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let report = run_all(&workspace, &options, &steps)?;
    print!("{report}");
    Ok(if report.is_green() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_all(workspace: &Workspace, options: &Options, steps: &[steps::Step]) -> Result<Report> {
    exec::empty_dir(&workspace.scratch())?;
    let mut results = Vec::new();
    for (number, step) in (1..).zip(steps) {
        println!("[{number}/{}] {} ...", steps.len(), step.name);
        let result = run::run(workspace, step, options.verbose);
        println!(
            "[{number}/{}] {} {}, {:.1} s",
            steps.len(),
            step.name,
            result.verdict(),
            result.elapsed.as_secs_f64(),
        );
        results.push(result);
    }
    Ok(Report {
        scope: options.scope,
        results,
    })
}
