//! The project's chores: `cargo xtask <verb>`, with nothing but cargo needed.
//!
//! Each verb is one file. What a verb checks is said there; this file only picks the verb.

#![expect(
    clippy::print_stdout,
    reason = "a program: standard output is its product"
)]
#![expect(
    clippy::print_stderr,
    reason = "a program: usage errors go to standard error"
)]

use std::{env, process::ExitCode};

mod bench;
mod exec;
mod fuzz;
mod generate;
mod prices;
mod tidy;
mod verify;
mod workspace;

/// What a wrong call answers.
const USAGE_ERROR: u8 = 2;

struct Verb {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<ExitCode>,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "verify",
        about: "format, lints, docs and every test; `verify --help` tells its options",
        run: verify::run,
    },
    Verb {
        name: "bench",
        about: "what recording costs, against peers in the same run; `bench NAME…` for a part",
        run: bench::run,
    },
    Verb {
        name: "generate",
        about: "made-up events for trying things out; `generate` alone tells its options",
        run: generate::run,
    },
    Verb {
        name: "fuzz",
        about: "looks for input that breaks a parser; `fuzz --help` tells its options",
        run: fuzz::run,
    },
    Verb {
        name: "prices",
        about: "takes the prices of models from the Python package genai-prices",
        run: prices::run,
    },
    Verb {
        name: "tidy",
        about: "the project's own rules for its files; the last step of `verify`",
        run: tidy::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args_os()
        .skip(1)
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let Some((name, rest)) = args.split_first() else {
        eprint!("{}", verb_list());
        return ExitCode::from(USAGE_ERROR);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", verb_list());
        return ExitCode::SUCCESS;
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        eprint!("error: no verb `{name}`\n\n{}", verb_list());
        return ExitCode::from(USAGE_ERROR);
    };
    (verb.run)(rest).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn verb_list() -> String {
    let verbs: Vec<String> = VERBS
        .iter()
        .map(|verb| format!("  {:9} {}\n", verb.name, verb.about))
        .collect();
    format!(
        "usage: cargo xtask <verb> [options]\n\nverbs:\n{}",
        verbs.concat()
    )
}
