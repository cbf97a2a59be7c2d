//! Artifacts that somebody else writes, piece by piece, such as a program's output.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use crate::{StoreError, WorkerWriter};

impl WorkerWriter {
    /// Makes an empty file in the worker's directory, readable by its owner only, for reading and writing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a `name` that is a path; [`StoreError::Io`], also where such a file is there already.
    pub fn create_artifact(&self, name: &str) -> Result<File, StoreError> {
        let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
        if !is_plain {
            return Err(StoreError::Refused {
                file: name.chars().take(200).collect(),
                problem: "is not a plain file name",
            });
        }
        create_new(self.dir().join(name))
    }
}

/// Makes an empty file for its owner only, for reading and writing.
pub(crate) fn create_new(path: PathBuf) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true) // Follows no link, whatever lies there.
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io("create", path))
}
