//! The commands, a module each where there is something to them.

mod demo;
mod demo_server;
mod read;
mod run;

use std::path::Path;

use anyhow::Context as _;
use artifact_store::IfMissing;
use supervisor_tools::ToolFailure;

use crate::{
    app::App,
    cli::{Cli, Command},
    exit::Exit,
    output,
};

pub(crate) async fn run(cli: Cli) -> Exit {
    let app = match cli.command {
        Command::Demo => demo::open(&cli.common),
        // The worker's tools work where the program was called.
        Command::Run(_) => std::env::current_dir()
            .context("cannot tell the current directory")
            .and_then(|root| App::open(&cli.common, IfMissing::Create, &root)),
        _ => App::open(&cli.common, IfMissing::Refuse, Path::new(".")),
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => return output::fail(Exit::Unusable, &error),
    };
    let exit = match cli.command {
        Command::Demo => demo::demo(&app).await,
        Command::Run(arguments) => run::run(&app, arguments).await,
        Command::Workers(arguments) => read::workers(&app, arguments).await,
        Command::Result(arguments) => read::result(&app, arguments).await,
        Command::File(arguments) => read::file(&app, arguments).await,
        Command::Grep(arguments) => read::grep(&app, arguments).await,
        Command::Meta(arguments) => read::meta(&app, arguments).await,
    };
    // Dropping the app waits for the last log lines.
    exit.unwrap_or_else(|failure| failed(&failure))
}

/// Says why a tool refused: on stderr, so that stdout holds answers only.
fn failed(failure: &ToolFailure) -> Exit {
    output::note(&failure.to_string());
    match failure {
        ToolFailure::Broken(_) => Exit::Unusable,
        _ => Exit::JobFailed,
    }
}
