//! The tools of workers, through the program: what a user sees on all tiers, and what is refused.

mod files;
mod http;
mod shell;
mod ssh;

/// What `seq 1 100000` prints.
fn numbers() -> String {
    let lines: Vec<_> = (1..=100_000).map(|it| it.to_string()).collect();
    lines.join("\n") + "\n"
}
