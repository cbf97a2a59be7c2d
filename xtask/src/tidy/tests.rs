//! Each rule on a text that keeps it and one that breaks it.

use super::*;

fn findings(path: &str, text: &str) -> Vec<String> {
    check_text(path, text)
        .iter()
        .map(Finding::to_string)
        .collect()
}

#[test]
fn a_rust_file_opens_with_its_module_doc() {
    let broken = ["the first line is no `//!`; say what lives in this file"];
    for path in [
        "crates/a/src/lib.rs",
        "xtask/src/main.rs",
        "tests/it/main.rs",
        "crates/a/build.rs",
    ] {
        assert_eq!(findings(path, "//! Clocks.\n"), [""; 0]);
        assert_eq!(
            findings(path, "\n//! Clocks.\n"),
            broken.map(|it| format!("{path}:1: {it}"))
        );
        assert_eq!(
            findings(path, ""),
            broken.map(|it| format!("{path}:1: {it}"))
        );
    }
    assert_eq!(findings("docs/example.rs", "fn main() {}\n"), [""; 0]);
    assert_eq!(findings("crates/a/rs", "text\n"), [""; 0]);
}

#[test]
fn unfinished_work_is_named_with_its_line() {
    assert_eq!(
        findings("docs/guide.md", "One.\nTODO: two, FIXME\n"),
        [
            "docs/guide.md:2: `TODO` in the tree; finish it or file it",
            "docs/guide.md:2: `FIXME` in the tree; finish it or file it",
        ]
    );
    assert_eq!(findings(".ci/run", "# XXX\n").len(), 1);
    assert_eq!(
        findings(".ci/run", "mktemp -d job.XXXXXX; TODOS=1; todo\n"),
        [""; 0]
    );
    assert_eq!(findings("xtask/src/tidy.rs", "//! TODO\n"), [""; 0]);
}

#[test]
fn pages_name_no_folder_of_one_machine() {
    for line in [
        "cd /home/ada/x",
        "`/tmp/x`",
        "(/root/.cargo)",
        "/work",
        "in /work.",
        "/work/main",
        "--dir=/tmp/a",
    ] {
        assert_eq!(findings("README.md", line).len(), 1, "{line}");
        assert_eq!(findings("a.txt", line), [""; 0], "{line}");
    }
    let fine = [
        "docs/work/plan",
        "~/work",
        "./tmp/x",
        "https://example.org/home/",
        "/worker/7",
        "/work-dir",
        "$HOME/x",
        "the home/ folder",
        "/tmp is cleared at boot",
        "{data_dir}/tmp/x",
        "<dir>/tmp/x",
    ];
    for line in fine {
        assert_eq!(findings("README.md", line), [""; 0], "{line}");
    }
}

#[test]
fn every_crate_has_a_readme() {
    let paths = [
        "Cargo.toml",
        "crates/a/Cargo.toml",
        "crates/a/README.md",
        "crates/b/Cargo.toml",
        "crates/b/x/Cargo.toml",
        "xtask/Cargo.toml",
    ];
    let shown: Vec<String> = missing_readmes(&paths.map(str::to_owned))
        .iter()
        .map(Finding::to_string)
        .collect();
    assert_eq!(shown, ["crates/b/README.md: this crate has no README.md"]);
}
