//! The few file operations below the writer: the one place where a test can make a disk fail.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::whole_file::open_to_append;

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
        repair_tail(&mut file, path)?;
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

/// Moves what stands after the last line end to `metrics.torn` beside the file.
fn repair_tail(file: &mut File, path: &Path) -> io::Result<()> {
    const CHUNK: u64 = 4096;
    let len = file.metadata()?.len();
    let mut end = len;
    let mut chunk = Vec::new();
    while end > 0 {
        // The first look is at the last byte alone: nearly always it is a line end.
        let start = if end == len {
            len - 1
        } else {
            end.saturating_sub(CHUNK)
        };
        chunk.clear();
        file.seek(SeekFrom::Start(start))?;
        (&*file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end == len {
        return Ok(());
    }
    file.seek(SeekFrom::Start(end))?;
    let mut torn = open_to_append(&path.with_extension("torn"))?;
    let before = torn.metadata()?.len();
    let moved = io::copy(&mut (&*file).take(len - end), &mut torn)
        .and_then(|_| torn.write_all(b"\n"))
        .and_then(|()| file.set_len(end));
    if moved.is_err() {
        // It will be tried again; the tail shall not stand there twice.
        let _ = torn.set_len(before);
    }
    moved
}
