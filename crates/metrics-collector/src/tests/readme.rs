//! The README shows what is compiled and run.

#[test]
fn the_example_is_the_crates_doctest() {
    let visible: String = include_str!("../lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .filter(|line| !line.starts_with("# "))
        .flat_map(|line| [line, "\n"])
        .collect();
    let readme = include_str!("../../README.md");
    let (_, example) = readme.split_once("```rust\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert!(visible.contains(example), "{example}\n---\n{visible}");
}
