//! `cargo xtask tidy`: the project's own rules for its files, also a step of `verify`.
//!
//! A rule looks at one file's path and text, or at the list of all files, and names what to change.
//! What the compiler, clippy or rustfmt can say is left to them.

use std::{fmt, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{USAGE_ERROR, workspace::Workspace};

/// The folders whose Rust files open with a module doc.
const RUST_FOLDERS: &[&str] = &["crates/", "xtask/", "tests/"];

/// Words that mark unfinished work; finished work goes in, the rest into the tracker.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX"];

/// Files and folders that may contain those words.
const MAY_SAY_UNFINISHED: &[&str] = &[
    "xtask/src/tidy.rs", // The rule itself,
    "xtask/src/tidy/",   // and its tests.
];

/// Folders of one machine; a page that names them reads wrong on every other one.
const MACHINE_FOLDERS: &[&str] = &["/home/", "/root/", "/Users/", "/tmp/", "/work/", "/work"];

/// One broken rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    path: String,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// The verb.
pub(crate) fn run(args: &[String]) -> Result<std::process::ExitCode> {
    if !args.is_empty() {
        eprintln!("usage: cargo xtask tidy (no options)");
        return Ok(USAGE_ERROR.into());
    }
    let findings = check(&Workspace::find()?)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} findings", findings.len());
    Ok(u8::from(!findings.is_empty()).into())
}

/// Checks every file that is tracked or would be with `git add`.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let paths = files(workspace.root())?;
    let mut res = missing_readmes(&paths);
    for path in &paths {
        let bytes = fs::read(workspace.root().join(path))
            .with_context(|| format!("failed to read `{path}`"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            res.extend(check_text(path, &text));
        }
    }
    Ok(res)
}

/// Regular files below `root`, as paths from there. New files count before they are committed.
fn files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("failed to start `git`, which tells the project's files")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`git ls-files` failed: {}",
        complaint.trim()
    );
    let mut res: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split_terminator('\0')
        .filter(|path| {
            root.join(path)
                .symlink_metadata()
                .is_ok_and(|it| it.is_file())
        })
        .map(str::to_owned)
        .collect();
    res.sort();
    res.dedup(); // A file in conflict is listed once a side.
    Ok(res)
}

fn missing_readmes(paths: &[String]) -> Vec<Finding> {
    let crate_dirs = paths.iter().filter_map(|path| {
        let dir = path.strip_suffix("/Cargo.toml")?;
        (dir.strip_prefix("crates/")?.split('/').count() == 1).then_some(dir)
    });
    crate_dirs
        .map(|dir| format!("{dir}/README.md"))
        .filter(|readme| !paths.contains(readme))
        .map(|path| Finding {
            path,
            line: None,
            message: "this crate has no README.md".into(),
        })
        .collect()
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let mut res = Vec::new();
    let mut find = |line: usize, message: String| {
        res.push(Finding {
            path: path.to_owned(),
            line: Some(line),
            message,
        });
    };
    if has_extension(path, "rs")
        && RUST_FOLDERS.iter().any(|folder| path.starts_with(folder))
        && !text.starts_with("//!")
    {
        find(
            1,
            "the first line is no `//!`; say what lives in this file".into(),
        );
    }
    let may_say_unfinished = MAY_SAY_UNFINISHED
        .iter()
        .any(|allowed| path.starts_with(allowed));
    for (line_number, line) in (1..).zip(text.lines()) {
        if !may_say_unfinished {
            for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
                find(
                    line_number,
                    format!("`{word}` in the tree; finish it or file it"),
                );
            }
        }
        if has_extension(path, "md")
            && let Some(folder) = MACHINE_FOLDERS.iter().find(|it| has_absolute(line, it))
        {
            find(
                line_number,
                format!("`{folder}` is a folder of one machine"),
            );
        }
    }
    res
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|it| it == extension)
}

/// `mktemp` patterns and longer names do not count.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !ends_in_word(&line[..at]) && !starts_with_word(&line[at + word.len()..]))
}

/// Whether `folder` is the start of a path, rather than a part of a longer path or an address.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = &line[..at];
        let in_longer_path =
            ends_in_word(before) || before.ends_with(['.', '~', '-', '/', '}', '>']);
        let in_longer_name = !folder.ends_with('/')
            && (starts_with_word(&line[at + folder.len()..])
                || line[at + folder.len()..].starts_with(['-', '/']));
        !in_longer_path && !in_longer_name
    })
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(is_word)
}

fn starts_with_word(text: &str) -> bool {
    text.starts_with(is_word)
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

#[cfg(test)]
mod tests;
