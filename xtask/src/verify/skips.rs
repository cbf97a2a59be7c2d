//! Tests that looked for a program, did not find it, and returned early.
//!
//! libtest calls them passed. Each appends `module::test<TAB>reason` to the file that the environment
//! variable [`VARIABLE`] names, and so becomes a visible skip here.

use super::libtest::{Binary, Outcome};

/// Names the file; set for every step of tests, though it is the integration tests that use it.
pub(super) const VARIABLE: &str = "TRISCOPE_SKIP_FILE";

/// Turns the passed tests that `file_text` names into skipped ones.
///
/// The result is what could not be done: a line of another form, or of no test. A skip that is not
/// understood would be counted as a pass.
pub(super) fn apply(file_text: &str, binaries: &mut [Binary]) -> Vec<String> {
    let mut problems = Vec::new();
    for line in file_text.lines().filter(|line| !line.is_empty()) {
        let Some((name, reason)) = line.split_once('\t') else {
            problems.push(format!("a skip without a tab and a reason: `{line}`"));
            continue;
        };
        let mut tests = binaries.iter_mut().flat_map(|binary| {
            // `module_path!()` starts with the binary's own name, which libtest leaves out.
            let short = name
                .strip_prefix(&format!("{}::", binary.name))
                .unwrap_or(name);
            binary
                .tests
                .iter_mut()
                .filter(move |test| test.name == short || test.name == name)
        });
        match tests.next() {
            Some(test) if test.outcome == Outcome::Passed => {
                test.outcome = Outcome::Skipped(reason.trim().to_owned());
            }
            Some(_) => {} // Failed all the same, or named twice.
            None => problems.push(format!(
                "a skip of `{name}`, but no such test ran ({reason})"
            )),
        }
    }
    problems
}

#[cfg(test)]
mod tests;
