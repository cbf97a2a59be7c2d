//! What triscope costs, against peers in the same run. Run by `cargo xtask bench [NAME…]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod allocations;
mod codec;
mod file;
mod record;
mod rounds;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|it| it == name);
    let all: [(&str, fn()); 6] = [
        ("codec", codec::run),
        ("record", record::run),
        ("file", file::run),
        ("write-through", file::write_through),
        ("delay", file::delay),
        ("sustained", file::sustained),
    ];
    for (name, run) in all {
        if wanted(name) {
            run();
        }
    }
}
