//! `cargo xtask bench [NAME…]`: builds the benchmarks as fast as they get and runs them on this terminal.

use std::process::{Command, ExitCode};

use crate::workspace::Workspace;

pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
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
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
