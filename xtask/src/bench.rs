//! `cargo xtask bench [NAME…]`: builds the benchmarks as fast as they get and runs them on this terminal.

use std::process::{Command, ExitCode};

use crate::workspace::Workspace;

pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    // Some of them measure the program.
    let build = [
        "build",
        "--profile",
        "bench",
        "--locked",
        "--package",
        "triscope",
    ];
    let status = Command::new(workspace.cargo_program())
        .args(build)
        .current_dir(workspace.root())
        .status()?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    run_program(args)
}

/// The benchmarks' program, whose words are also those of other verbs.
pub(crate) fn run_program(args: &[String]) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    let status = Command::new(workspace.cargo_program())
        .args([
            "run",
            "--profile",
            "bench",
            "--locked",
            "--package",
            "triscope-bench",
            "--",
        ])
        .args(args)
        .current_dir(workspace.root())
        .status()?;
    // A name that is none is the benchmarks' own to tell.
    let code = status.code().and_then(|it| u8::try_from(it).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
