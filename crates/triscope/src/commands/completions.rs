//! `triscope completions`: a script that completes commands and options in a shell.

use clap::CommandFactory as _;

use crate::{
    cli::{Cli, Completions},
    exit::Exit,
    output,
};

pub(crate) fn completions(arguments: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "triscope",
        &mut script,
    );
    output::print(&String::from_utf8_lossy(&script));
    Exit::Done
}
