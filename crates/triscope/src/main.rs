//! The `triscope` program: arguments in, texts out; everything worth reusing is in the crates below.

mod app;
mod cli;
mod commands;
mod exit;
mod models;
mod output;
mod progress;
mod signals;
mod tools;

use std::time::Duration;

use clap::Parser as _;

use crate::{cli::Cli, exit::Exit};

/// What is left of calls in other threads takes milliseconds.
const LAST_MOMENT: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // clap knows which of its texts are errors.
        Err(error) => return output::print_clap(&error).into(),
    };
    if let Some(exit) = commands::at_once(&cli) {
        return exit.into();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(async {
                signals::survive_file_size_limit();
                commands::run(cli).await
            });
            // What still holds the store has to let go of it, or its process would pass for one that died. A tool that
            // blocks its thread must not keep the program alive for longer.
            runtime.shutdown_timeout(LAST_MOMENT);
            exit
        }
        Err(error) => output::fail(
            Exit::Unusable,
            &anyhow::Error::new(error).context("cannot start"),
        ),
    };
    exit.into()
}
