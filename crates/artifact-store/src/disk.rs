//! The few file operations below the writer and the whole files: the one place where a test can make a disk fail.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Operations on names.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Opens a plain file that only its owner can read. Follows no link and waits for nobody.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn Output>>;
    /// Makes one directory, open to its owner only.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, over another one if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in the directory `path` would survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// What stands at `path`; a link is not followed.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;
}

/// Operations on one open file.
pub(crate) trait Output: fmt::Debug + Send {
    /// Appends a part of `bytes`, as `write(2)` does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Reads some bytes from `at` on, as `pread(2)` does.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// Cuts the file.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Waits until the content would survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
    fn stat(&self) -> io::Result<FileStat>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// For reading and appending; made if it is missing.
    Append,
    /// For writing; it must not be there yet.
    New,
}

/// Which file it is, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStat {
    /// Device and inode.
    pub(crate) id: (u64, u64),
    pub(crate) len: u64,
}

impl From<fs::Metadata> for FileStat {
    fn from(it: fs::Metadata) -> Self {
        Self {
            id: (it.dev(), it.ino()),
            len: it.len(),
        }
    }
}

/// Appends all of `bytes`; an interrupted write goes on.
pub(crate) fn write_all(file: &mut dyn Output, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether this process, or the machine, may open no more files until some are closed.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// The machine's own files.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn Output>> {
        Ok(Box::new(SystemFile(open_plain(path, how)?)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        create_private_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        fs::symlink_metadata(path).map(FileStat::from)
    }
}

/// Opens a plain file that only its owner can read, whatever the umask. Follows no link and waits for nobody.
pub(crate) fn open_plain(path: &Path, how: Open) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match how {
        Open::Append => options.read(true).append(true).create(true),
        Open::New => options.write(true).create_new(true),
    };
    // Opening a FIFO would wait for its reader.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// Makes one directory, open to its owner only.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// A file of the machine's own.
#[derive(Debug)]
pub(crate) struct SystemFile(pub(crate) File);

impl Output for SystemFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(bytes, at)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.0.metadata().map(FileStat::from)
    }
}

#[cfg(test)]
pub(crate) mod fake;
