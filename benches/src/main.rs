//! What triscope costs, against peers in the same run. Run by `cargo xtask bench [NAME…]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod allocations;
mod codec;
mod line;
mod overhead;
mod peer;
mod record;
mod rounds;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|it| it == name);
    let all: [(&str, fn()); 4] = [
        ("codec", codec::run),
        ("line", line::run),
        ("record", record::run),
        // Last, as it installs a log for the whole process.
        ("overhead", overhead::run),
    ];
    for (name, run) in all {
        if wanted(name) {
            run();
        }
    }
}
