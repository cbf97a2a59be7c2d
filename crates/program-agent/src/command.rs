//! What shall run: found before there is a worker, so that a slip of the pen leaves none behind.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// Why a command cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nothing was given.
    #[error("no command was given; say what shall run, such as `python3 agent.py`")]
    Empty,
    /// There is no such program.
    #[error("`{0}` is not found; check the spelling, or give its path")]
    NotFound(String),
    /// It is there, and cannot be run.
    #[error("`{path}` cannot be run: {problem}")]
    NotExecutable {
        /// Where it is.
        path: String,
        /// Why not, and what to do.
        problem: &'static str,
    },
}

/// A program and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct ProgramCommand {
    /// As it was given, for the program itself to see.
    pub(crate) name: OsString,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

impl ProgramCommand {
    pub(crate) fn find(command: impl IntoIterator<Item = OsString>) -> Result<Self, CommandError> {
        let mut words = command.into_iter();
        let name = words.next().filter(|it| !it.is_empty());
        let name = name.ok_or(CommandError::Empty)?;
        Ok(Self {
            path: find(&name, env::var_os("PATH").as_deref())?,
            name,
            arguments: words.collect(),
        })
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &OsStr> {
        let arguments = self.arguments.iter().map(OsString::as_os_str);
        std::iter::once(self.name.as_os_str()).chain(arguments)
    }

    /// As one would type it into a shell.
    pub(crate) fn line(&self) -> String {
        let words: Vec<_> = self.words().map(quoted).collect();
        words.join(" ")
    }
}

fn find(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, CommandError> {
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match problem(&path) {
            None => Ok(path),
            Some(NOT_THERE) => Err(CommandError::NotFound(shown(name))),
            Some(problem) => Err(CommandError::NotExecutable {
                path: shown(name),
                problem,
            }),
        };
    }
    let dirs: Vec<_> = path.map(env::split_paths).into_iter().flatten().collect();
    let mut candidates = dirs.iter().map(|it| it.join(name));
    let found = candidates.find(|it| problem(it).is_none());
    found.ok_or_else(|| CommandError::NotFound(shown(name)))
}

const NOT_THERE: &str = "it is not there";

fn problem(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Err(_) => Some(NOT_THERE),
        Ok(it) if it.is_dir() => Some("it is a directory"),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => {
            Some("it is not executable; `chmod +x` it, or name its interpreter before it")
        }
        Ok(_) => None,
    }
}

fn shown(name: &OsStr) -> String {
    let mut shown = String::new();
    for it in name.to_string_lossy().chars().take(200) {
        if it.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", it.escape_default());
        } else {
            shown.push(it);
        }
    }
    shown
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "%+,-./:=@_".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
