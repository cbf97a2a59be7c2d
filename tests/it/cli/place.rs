//! Where one test runs the program: a folder of its own, with a data directory in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Background, Finished, assert_no_secrets, eventually, finish, triscope};

/// A folder that the program is called in, and a data directory that it is told of. When it goes, no secret may be there.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
    data_dir: PathBuf,
    keeps_secrets: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keeps_secrets {
            assert_no_secrets(&self.data_dir);
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with_data_dir("workers")
    }

    /// The data directory is called `name`; it is not made.
    pub(crate) fn with_data_dir(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let data_dir = folder.path().join(name);
        Self {
            folder,
            data_dir,
            keeps_secrets: false,
        }
    }

    /// A place where secrets may be found in the end: the program is told to keep them.
    pub(crate) fn that_keeps_secrets() -> Self {
        let mut place = Self::new();
        place.keeps_secrets = true;
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.data_dir.join(".triscope/triscope.log")
    }

    /// `triscope --data-dir … ARGUMENTS`, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = triscope(["--data-dir"]);
        command
            .arg(&self.data_dir)
            .args(arguments)
            .current_dir(self.folder());
        command
    }

    /// The same, to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Runs a worker that succeeds; gives its directory.
    #[track_caller]
    pub(crate) fn worker(&self, task: &str) -> PathBuf {
        let report = self.run(&["run", "--json", "--", task]).json();
        self.dir_of(&report)
    }

    /// Starts a worker that runs until the file `go` is in the folder; it is in its shell command already.
    #[track_caller]
    pub(crate) fn worker_until_go(&self) -> Background {
        let task = "run `touch busy; until [ -e go ] || ! [ -e busy ]; do sleep 0.01; done`";
        let running = Background::start(&mut self.command(&["run", task]));
        eventually("the worker's command", || self.has("busy"));
        running
    }

    /// Lets it end.
    pub(crate) fn go(&self) {
        fs::write(self.folder().join("go"), "").expect("a file can be made");
    }

    pub(crate) fn has(&self, file: &str) -> Option<()> {
        self.folder().join(file).exists().then_some(())
    }

    /// The directory of the worker that a report or row speaks of.
    #[track_caller]
    pub(crate) fn dir_of(&self, row: &Value) -> PathBuf {
        let worker_id = row["worker_id"].as_str();
        self.data_dir
            .join(worker_id.unwrap_or_else(|| panic!("no worker in {row}")))
    }

    /// What `workers --json` says.
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<Value> {
        match self.run(&["workers", "--json"]).json() {
            Value::Array(rows) => rows,
            other => panic!("no list: {other}"),
        }
    }

    /// The `metadata.json` of the one worker there is.
    #[track_caller]
    pub(crate) fn only_metadata(&self) -> Value {
        let rows = self.rows();
        let [row] = &rows[..] else {
            panic!("not one worker: {rows:?}");
        };
        metadata(&self.dir_of(row))
    }
}

/// A worker's `metadata.json`.
#[track_caller]
pub(crate) fn metadata(worker_dir: &Path) -> Value {
    let path = worker_dir.join("metadata.json");
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Checks that the program kept its manners: one of its own exit codes, and no panic.
#[track_caller]
pub(crate) fn answered(finished: Finished) -> Finished {
    assert!(matches!(finished.code, 0..=3), "{finished:#?}");
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains("panicked at"), "{finished:#?}");
    }
    finished
}
