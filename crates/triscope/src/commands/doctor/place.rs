//! Where the data is, and whether it can be written.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use artifact_store::{ArtifactStore, DATA_DIR_VARIABLE, IfMissing, StoreOptions};
use rustix::fs::{Access, access, statvfs};
use supervisor_tools::one_line;

use super::finding::{Finding, or_ok};

const DATA_DIRECTORY: &str = "data directory";
const DISK_SPACE: &str = "disk space";
const OWN_FILES: &str = "own files";

/// As many events as this may wait in memory for a disk: less room than that will not take them.
const LITTLE_BYTES: u64 = 64 << 20;

/// The data directory that the arguments and the environment lead to, and the store in it.
///
/// The finding alone where there is none that can be used; nothing is made there.
pub(super) fn open(explicit: Option<&Path>) -> (Option<ArtifactStore>, Finding) {
    let unusable = |path: Option<PathBuf>, found: &str, advice: &str| {
        let finding = Finding::fail(DATA_DIRECTORY, one_line(found), advice);
        let path = path.map(|it| finding.clone().at(it));
        (None, path.unwrap_or(finding))
    };
    let data_dir = match artifact_store::data_dir(explicit) {
        Ok(data_dir) => data_dir,
        Err(error) => {
            return unusable(None, &error.to_string(), "name a directory with --data-dir");
        }
    };
    let (chosen, named) = match explicit {
        Some(_) => ("named by --data-dir", true),
        None if env::var_os(DATA_DIR_VARIABLE).is_some_and(|it| !it.is_empty()) => {
            ("named by SWARMLET_DATA_PATH", true)
        }
        None => ("the usual one, as none is named", false),
    };
    let shown = one_line(&data_dir.display().to_string());
    let can_write = access(&data_dir, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if data_dir.is_dir() && can_write && !data_dir.join(".triscope").exists() {
        let found = format!("`{shown}` ({chosen}) holds nothing of triscope's");
        let advice =
            "name the directory that the workers ran in, with --data-dir or SWARMLET_DATA_PATH";
        return unusable(Some(data_dir), &found, advice);
    }
    let options = StoreOptions {
        if_missing: IfMissing::Refuse,
        ..StoreOptions::default()
    };
    match ArtifactStore::open_with(&data_dir, options) {
        Ok(store) => {
            let found = format!("`{shown}` ({chosen}) can be written");
            (Some(store), Finding::ok(DATA_DIRECTORY, found).at(data_dir))
        }
        Err(error) => {
            let advice = if named {
                "mend that, or name another directory"
            } else {
                "run a worker first (triscope demo), or name the directory with --data-dir or SWARMLET_DATA_PATH"
            };
            unusable(Some(data_dir), &format!("{error} ({chosen})"), advice)
        }
    }
}

pub(super) fn disk_space(store: &ArtifactStore) -> Vec<Finding> {
    let path = store.data_dir();
    let finding = match statvfs(path) {
        Err(error) => Finding::warn(
            DISK_SPACE,
            format!("cannot be told: {error}"),
            "look at it with df",
        ),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            // Some file systems have no limit on files, and say 0 of both.
            let no_files_left = disk.f_files > 0 && disk.f_favail == 0;
            if free < LITTLE_BYTES || no_files_left {
                let found = if no_files_left {
                    "no file can be made any more".to_owned()
                } else {
                    format!("{} MiB left", free >> 20)
                };
                let advice = "make room: events that cannot be written wait in memory for a while, and are then lost";
                Finding::warn(DISK_SPACE, found, advice)
            } else {
                Finding::ok(DISK_SPACE, format!("{} MiB left", free >> 20))
            }
        }
    };
    vec![finding.at(path)]
}

/// The directory with the log, the job book and the locks.
pub(super) fn own_files(store: &ArtifactStore) -> Vec<Finding> {
    let own = store.own_dir();
    let mut problems = Vec::new();
    for dir in [own.clone(), own.join("run")] {
        if access(&dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            let found = format!(
                "`{}` cannot be written",
                one_line(&dir.display().to_string())
            );
            let advice = "change its owner or mode: the job book, the log and the locks are there";
            problems.push(Finding::fail(OWN_FILES, found, advice).at(dir));
        }
    }
    let unfinished = store.unfinished_files().unwrap_or_default();
    for name in unfinished {
        let path = own.join(&name);
        if fs::exists(&path).unwrap_or(false) {
            let found = format!("`{}` was begun and not finished", one_line(&name));
            let advice =
                "a process was killed while it wrote: the file can be deleted once nothing runs";
            problems.push(Finding::warn(OWN_FILES, found, advice).at(path));
        }
    }
    or_ok(problems, OWN_FILES, "can be written; nothing unfinished")
}
