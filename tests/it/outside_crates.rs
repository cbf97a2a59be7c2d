//! The crates as projects outside the workspace use them: each of the small projects in `tests/outside` is built and run,
//! and pulls in only what it needs.
//!
//! They are built from a copy below `target`, which leaves the sources as they are, with the workspace's own `Cargo.lock`:
//! the versions are those that have just been built, so cargo needs no network. Only what depends on more than the
//! workspace does has a `Cargo.lock` of its own.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Finished, finish};

/// What no crate pulls in but one that is allowed to: what is above it, what is beside it, and what is heavy. `cc` stands
/// for the need of a C compiler.
const NEVER: [&str; 20] = [
    "artifact-store",
    "axum",
    "cc",
    "clap",
    "flate2",
    "hyper",
    "libsqlite3-sys",
    "log-format",
    "metrics-collector",
    "offline-model",
    "reqwest",
    "rusqlite",
    "ruzstd",
    "supervisor-tools",
    "tokio",
    "tracing",
    "tracing-subscriber",
    "triscope",
    "worker-runner",
    "worker-tools",
];

/// A copy of `tests/outside/<name>`, ready for cargo.
pub(crate) struct Project {
    name: &'static str,
    dir: PathBuf,
    /// One after the other, also those of other test processes: they build into one folder.
    _lock: File,
}

impl Project {
    pub(crate) fn new(name: &'static str) -> Self {
        Self::in_folder("tests/outside", name)
    }

    /// That of the workspace's folder `folder/name`.
    pub(crate) fn in_folder(folder: &str, name: &'static str) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = workspace.parent().expect("the tests lie in the workspace");
        let source = workspace.join(folder).join(name);
        let dir = outside_dir().join(name);
        fs::create_dir_all(&dir).expect("a folder below target can be made");
        let lock = File::create(outside_dir().join("lock")).expect("a file can be made");
        lock.lock().expect("a file can be locked");
        let manifest = read(&source.join("Cargo.toml"));
        let root = format!("\"{}/", workspace.display());
        let to_root = format!("\"../{}", "../".repeat(folder.split('/').count()));
        assert!(manifest.contains(&to_root), "{manifest}");
        write(&dir.join("Cargo.toml"), &manifest.replace(&to_root, &root));
        copy(&source.join("src"), &dir.join("src"));
        let readme = source.join("README.md");
        if readme.exists() {
            write(&dir.join("README.md"), &read(&readme));
        }
        let own_lock = source.join("Cargo.lock");
        let versions = if own_lock.exists() {
            own_lock
        } else {
            workspace.join("Cargo.lock")
        };
        write(&dir.join("Cargo.lock"), &read(&versions));
        Self {
            name,
            dir,
            _lock: lock,
        }
    }

    /// Runs cargo, with a network only where it does not do without.
    #[track_caller]
    fn cargo(&self, arguments: &[&str]) -> Finished {
        let run = |offline: bool| {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = Command::new(cargo);
            command
                .args(arguments)
                .args(offline.then_some("--offline"))
                .current_dir(&self.dir)
                .env("CARGO_TARGET_DIR", outside_dir().join("target"))
                .env("CARGO_PROFILE_DEV_DEBUG", "none");
            finish(&mut command)
        };
        let offline = run(true);
        if offline.code == 0 {
            offline
        } else {
            run(false).expect(0)
        }
    }

    /// Runs its own tests.
    #[track_caller]
    pub(crate) fn test(&self) {
        self.cargo(&["test", "--quiet"]);
    }

    /// Builds the program; gives where it is.
    #[track_caller]
    pub(crate) fn build(&self) -> PathBuf {
        self.cargo(&["build", "--quiet"]);
        outside_dir().join("target/debug").join(self.name)
    }

    /// Builds and runs the program; gives what it printed.
    #[track_caller]
    fn run(&self, argument: &Path) -> String {
        finish(Command::new(self.build()).arg(argument)).answer()
    }

    /// The packages that the program is made of, and those that building it takes; its own left out.
    #[track_caller]
    fn dependencies(&self) -> BTreeSet<String> {
        let tree = self.cargo(&[
            "tree",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]);
        let names = tree.stdout.lines().filter_map(|it| it.split(' ').next());
        let mut res: BTreeSet<_> = names.map(str::to_owned).collect();
        assert!(res.remove(self.name), "{tree:?}");
        res
    }

    /// Checks that of what no crate needs it pulls in exactly `allowed`.
    #[track_caller]
    fn assert_only(&self, allowed: &[&str]) {
        let dependencies = self.dependencies();
        let found = NEVER.into_iter().filter(|it| dependencies.contains(*it));
        assert_eq!(found.collect::<Vec<_>>(), allowed, "{dependencies:?}");
    }
}

fn outside_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

/// Copies a folder of sources; what is no longer there stays behind, as nothing names it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder below target can be made");
    for entry in fs::read_dir(from).expect("a folder of sources can be read") {
        let path = entry.expect("a folder of sources can be read").path();
        let copied = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            write(&copied, &read(&path));
        }
    }
}

/// Leaves a file alone that is as it should be: cargo builds again what has a new date.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|it| it == text) {
        return;
    }
    fs::write(path, text).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
}

#[test]
fn metrics_core_alone() {
    let project = Project::new("metrics-core-alone");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let answer = project.run(&path);
    let bytes = fs::metadata(&path).unwrap().len();
    assert_eq!(answer, format!("{bytes} bytes of events\n"));
    project.assert_only(&[]);
}

#[test]
fn metrics_collector_alone() {
    let project = Project::new("metrics-collector-alone");
    assert_eq!(project.run(Path::new("")), "2 and 2 events\n");
    project.assert_only(&["metrics-collector", "tokio", "tracing"]);
}

#[test]
fn metrics_collector_without_tokio() {
    let project = Project::new("metrics-collector-without-tokio");
    assert_eq!(project.run(Path::new("")), "2 events\n");
    project.assert_only(&["metrics-collector", "tracing"]);
}

#[test]
fn log_format_alone() {
    let project = Project::new("log-format-alone");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(project.run(&dir.path().join("my.log")), "1 failed\n");
    project.assert_only(&["log-format", "tracing", "tracing-subscriber"]);
}

#[test]
fn artifact_store_alone() {
    let project = Project::new("artifact-store-alone");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(project.run(dir.path()), "1 event, 1 match in result.txt\n");
    project.assert_only(&["artifact-store"]);
}

#[test]
fn worker_runner_alone() {
    let project = Project::new("worker-runner-alone");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(project.run(dir.path()), "The result is 42. 1 event\n");
    project.assert_only(&[
        "artifact-store",
        "metrics-collector",
        "tokio",
        "tracing",
        "worker-runner",
    ]);
}

#[test]
fn supervisor_tools_alone() {
    let project = Project::new("supervisor-tools-alone");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(project.run(dir.path()), "Did: back up the database.\n");
    project.assert_only(&[
        "artifact-store",
        "cc",
        "libsqlite3-sys",
        "metrics-collector",
        "rusqlite",
        "supervisor-tools",
        "tokio",
        "tracing",
        "worker-runner",
    ]);
}
