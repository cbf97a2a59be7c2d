//! `cargo xtask generate OUT …`: writes made-up events, the same for the same seed.

use std::process::ExitCode;

pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut words = vec!["generate".to_owned()];
    words.extend_from_slice(args);
    crate::bench::run_program(&words)
}
