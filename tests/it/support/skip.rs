//! Tests that need a program that is not installed: they end early, and the suite counts them as skipped.

use std::{env, fs::OpenOptions, io::Write as _, path::Path};

/// Names the file that the suite reads skips from; set by `cargo xtask verify`.
const SKIP_FILE: &str = "TRISCOPE_SKIP_FILE";

/// Why a test cannot run here, if one of `programs` is not installed.
pub(crate) fn missing_program(programs: &[&str]) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_installed = |program: &str| env::split_paths(&path).any(|it| it.join(program).is_file());
    let missing = programs.iter().find(|it| !is_installed(it))?;
    Some(format!("`{missing}` is not installed"))
}

/// Says that the test that `here` lies in did not run. `here` is the type name of a function in the test.
#[expect(clippy::print_stderr, reason = "shown with `--nocapture`")]
pub(crate) fn skip(here: &str, reason: &str) {
    let test = test_name(here);
    eprintln!("skipped {test}: {reason}");
    if let Some(file) = env::var_os(SKIP_FILE) {
        append(Path::new(&file), &format!("{test}\t{reason}\n"));
    }
}

/// `it::tier2_recipes::slowest_calls::{{closure}}::here` is in `tier2_recipes::slowest_calls`.
fn test_name(here: &str) -> &str {
    let path = here
        .split_once("::")
        .map_or(here, |(_crate_name, path)| path);
    let path = path.strip_suffix("::here").unwrap_or(path);
    path.strip_suffix("::{{closure}}").unwrap_or(path)
}

fn append(file: &Path, line: &str) {
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut it| it.write_all(line.as_bytes()));
    // A skip that nobody counts would pass for a success.
    written.unwrap_or_else(|error| panic!("cannot write `{}`: {error}", file.display()));
}

#[test]
fn a_skip_names_its_test() {
    fn here() {}
    assert_eq!(
        test_name(std::any::type_name_of_val(&here)),
        "support::skip::a_skip_names_its_test"
    );
    assert_eq!(
        test_name("it::tier2_recipes::slowest::{{closure}}::here"),
        "tier2_recipes::slowest"
    );
}

#[test]
fn only_a_missing_program_is_missed() {
    assert_eq!(missing_program(&["sh"]), None);
    assert_eq!(
        missing_program(&["sh", "no-such-program"]).as_deref(),
        Some("`no-such-program` is not installed")
    );
}
