//! The few file operations below the writer: the one place where a test can make a disk fail.

use std::{
    fmt,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::{torn, whole_file::open_to_append};

/// Opens files for appending.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Opens `path` for appending, making it if it is missing; its last line is whole when this returns.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>>;
}

/// One open file.
pub(crate) trait Output: fmt::Debug + Send {
    /// Appends a part of `bytes`, as `write(2)` does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Whether the file is still the one at `path`.
    fn is_at(&self, path: &Path) -> bool;
    /// Whether no name leads to the file any more, so that what is written to it is gone.
    fn is_deleted(&self) -> bool;
    /// Drops the last `bytes` of the file.
    fn drop_tail(&mut self, bytes: u64) -> io::Result<()>;
}

/// The machine's own files.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        let mut file = open_to_append(path)?;
        torn::move_tail(&mut file, || open_to_append(&path.with_extension("torn")))?;
        Ok(Box::new(SystemFile(file)))
    }
}

#[derive(Debug)]
struct SystemFile(File);

impl Output for SystemFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn is_at(&self, path: &Path) -> bool {
        let id = |it: std::fs::Metadata| (it.dev(), it.ino());
        match (self.0.metadata(), std::fs::symlink_metadata(path)) {
            (Ok(open), Ok(there)) => id(open) == id(there),
            _ => false,
        }
    }

    fn is_deleted(&self) -> bool {
        self.0.metadata().is_ok_and(|it| it.nlink() == 0)
    }

    fn drop_tail(&mut self, bytes: u64) -> io::Result<()> {
        let len = self.0.metadata()?.len();
        self.0.set_len(len.saturating_sub(bytes))
    }
}
