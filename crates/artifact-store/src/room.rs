//! Room on the disk for a worker's end: a small file that is given back when the disk is full by then.
//!
//! Without it a worker whose events filled the disk could not even say how many of them are lost.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    disk::{Open, write_all},
    whole_file::{Files, UNFINISHED},
};

/// For a short result and what the metadata gets at the end.
const LEAST: usize = 8 << 10;
/// The most for the metadata itself, whose length is that of the task.
const MOST_METADATA: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Room {
    path: PathBuf,
    is_kept: AtomicBool,
}

impl Room {
    /// None yet, in the worker's directory `dir`.
    pub(crate) fn none(dir: &Path) -> Self {
        Self {
            path: dir.join(format!("room{UNFINISHED}")),
            is_kept: AtomicBool::new(false),
        }
    }

    /// Keeps room for a metadata file of so many bytes. A disk that has none left is no reason to fail.
    pub(crate) fn keep(&self, files: &Files, metadata_bytes: usize) {
        let zeros = vec![0; LEAST + metadata_bytes.min(MOST_METADATA)];
        let Ok(mut file) = files.disk.open(&self.path, Open::New) else {
            return;
        };
        let written = write_all(&mut *file, &zeros);
        self.is_kept.store(true, Ordering::Relaxed);
        if written.is_err() {
            self.give_back(files);
        }
    }

    /// Gives the room back to the disk; whether there was any.
    pub(crate) fn give_back(&self, files: &Files) -> bool {
        self.is_kept.swap(false, Ordering::Relaxed) && files.disk.remove(&self.path).is_ok()
    }
}
