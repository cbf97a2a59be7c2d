//! Which benchmarks are asked for, by the names on the command line.

use std::process::ExitCode;

/// What a wrong call answers.
const USAGE_ERROR: u8 = 2;

/// Whether the benchmark `name` is wanted: all are where none is named.
pub(crate) fn is_wanted(asked: &[String], name: &str) -> bool {
    asked.is_empty() || asked.iter().any(|it| it == name)
}

/// Answers a call for help, or for a benchmark that is not among `names`; `None` if there is something to run.
#[expect(clippy::print_stderr, reason = "a program: usage errors go there")]
pub(crate) fn answer(asked: &[String], names: &[&str]) -> Option<ExitCode> {
    let usage = format!(
        "usage: cargo xtask bench [NAME…]\n\nnames: {}; without one, all",
        names.join(", ")
    );
    if asked
        .iter()
        .any(|it| matches!(it.as_str(), "--help" | "-h"))
    {
        println!("{usage}");
        return Some(ExitCode::SUCCESS);
    }
    let unknown = asked.iter().find(|it| !names.contains(&it.as_str()))?;
    eprintln!("error: no benchmark `{unknown}`\n\n{usage}");
    Some(ExitCode::from(USAGE_ERROR))
}

#[cfg(test)]
mod tests {
    use super::{ExitCode, answer, is_wanted};

    #[test]
    fn known_names_run_and_others_are_an_error() {
        let names = ["codec", "record"];
        let asked = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        for words in [&[][..], &["codec"], &["record", "codec"]] {
            assert_eq!(answer(&asked(words), &names), None, "{words:?}");
        }
        assert_eq!(answer(&asked(&["--help"]), &names), Some(ExitCode::SUCCESS));
        for words in [&["odd"][..], &["codec", "odd"], &["--fast"], &[""]] {
            let code = answer(&asked(words), &names);
            assert_eq!(code, Some(ExitCode::from(2)), "{words:?}");
        }
        assert!(is_wanted(&[], "codec") && is_wanted(&asked(&["codec"]), "codec"));
        assert!(!is_wanted(&asked(&["codec"]), "record"));
    }
}
