//! What triscope costs, against peers in the same run. Run by `cargo xtask bench [NAME…]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod allocations;
mod analysis;
mod choice;
mod codec;
mod corpus;
mod file;
mod http;
mod line;
mod list;
mod overhead;
mod peer;
mod programs;
mod queue;
mod record;
mod rounds;

use std::process::ExitCode;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("generate", rest)) = asked.split_first().map(|(name, rest)| (&**name, rest)) {
        return corpus::generate(rest);
    }
    let all: [(&str, fn()); 13] = [
        ("analysis", analysis::run),
        ("programs", programs::run),
        ("codec", codec::run),
        ("line", line::run),
        ("record", record::run),
        ("file", file::run),
        ("write-through", file::write_through),
        ("delay", file::delay),
        ("sustained", file::sustained),
        ("list", list::run),
        ("http", http::run),
        ("queue", queue::run),
        // Last, as it installs a log for the whole process.
        ("overhead", overhead::run),
    ];
    if let Some(code) = choice::answer(&asked, &all.map(|(name, _)| name)) {
        return code;
    }
    for (name, run) in all {
        if choice::is_wanted(&asked, name) {
            run();
        }
    }
    ExitCode::SUCCESS
}
