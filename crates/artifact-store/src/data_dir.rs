//! Where the data directory is.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy as _;
use rustix::fs::Access;

use crate::StoreError;

/// The environment variable that names the data directory.
pub const DATA_DIR_VARIABLE: &str = "SWARMLET_DATA_PATH";
const SYSTEM_DATA_DIR: &str = "/data/swarmlet/workers";

/// The directory of triscope's own files inside the data directory.
pub(crate) const OWN_DIR: &str = ".triscope";

/// The data directory: `explicit`, else `SWARMLET_DATA_PATH`, else `/data/swarmlet/workers` if that can be written, else
/// `triscope/workers` in the user's data directory.
///
/// # Errors
/// Only if none is named and the user has no home directory. Whether the directory is usable is for
/// [`ArtifactStore::open`](crate::ArtifactStore::open) to say: a named one never falls back to another.
pub fn data_dir(explicit: Option<&Path>) -> Result<PathBuf, StoreError> {
    if let Some(path) = explicit {
        return Ok(path.to_owned());
    }
    if let Some(path) = env::var_os(DATA_DIR_VARIABLE).filter(|it| !it.is_empty()) {
        return Ok(path.into());
    }
    let system = Path::new(SYSTEM_DATA_DIR);
    if system.is_dir() && is_writable(system) {
        return Ok(system.to_owned());
    }
    match etcetera::choose_base_strategy() {
        Ok(dirs) => Ok(dirs.data_dir().join("triscope/workers")),
        Err(_) => Err(StoreError::DataDir {
            path: system.to_owned(),
            problem: format!(
                "is not there and no home directory is known; name one with --data-dir or {DATA_DIR_VARIABLE}"
            ),
        }),
    }
}

/// Whether a data directory that is not there yet is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Make it, with its parents, readable by its owner only.
    Create,
    /// Refuse: nothing was ever written there, so the path is probably mistyped.
    Refuse,
}

/// Checks that `path` is a directory that can be written, and makes our own directories in it.
pub(crate) fn prepare(path: &Path, if_missing: IfMissing) -> Result<(), StoreError> {
    let problem = |problem: String| StoreError::DataDir {
        path: path.to_owned(),
        problem,
    };
    match fs::metadata(path) {
        Ok(it) if !it.is_dir() => {
            return Err(problem("is a file; name a directory instead".to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(problem(
                    "is a symbolic link to nowhere; remove it or make its target".to_owned(),
                ));
            }
            if if_missing == IfMissing::Refuse {
                return Err(problem(
                    "does not exist; check the path, or run a worker there first".to_owned(),
                ));
            }
            create_dirs(path)
                .map_err(|it| problem(format!("cannot be created: {it}; name another one")))?;
        }
        Err(error) => {
            return Err(problem(format!(
                "cannot be opened: {error}; name another one"
            )));
        }
    }
    if !is_writable(path) {
        return Err(problem(
            "cannot be written; change its owner or mode, or name another one".to_owned(),
        ));
    }
    let run_dir = path.join(OWN_DIR).join("run");
    create_dirs(&run_dir).map_err(|it| {
        problem(format!(
            "cannot be written: making `{}` failed: {it}",
            run_dir.display()
        ))
    })
}

fn create_dirs(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}
