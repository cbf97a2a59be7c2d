//! A log file that other programs rotate, truncate, fill up or write to as well.

#[cfg(test)]
#[cfg(unix)] // Apart, so that clippy knows it for a test.
mod tests;
mod unfinished;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::LogError;
use crate::sink::LineSink;
use crate::sink::file::unfinished::ends_mid_line;

/// A file that is appended to; created with mode 0600, missing folders with 0700.
///
/// Before each batch the path is compared with the open file: after a rename or a removal (`logrotate`)
/// the file is opened anew. A half line at the end, ours or another writer's, is closed with a space
/// and `\n`, so that no reader takes it for a whole one.
#[derive(Debug)]
pub struct FileSink {
    /// Absolute, so that a later change of the working directory moves nothing.
    path: PathBuf,
    file: File,
    /// Where the file should end if nobody else writes to it, in bytes; `None` if not a regular file.
    end: Option<u64>,
}

impl FileSink {
    /// Opens or creates the file at `path`; never waits for a reader or a lock.
    ///
    /// # Errors
    /// Every variant of [`LogError`] that has a path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LogError> {
        let path = path.as_ref();
        let open_error = |source| LogError::Open {
            path: path.to_owned(),
            source,
        };
        let path = std::path::absolute(path).map_err(open_error)?;
        if path.is_dir() {
            return Err(LogError::IsDirectory { path });
        }
        if let Some(parent) = path.parent() {
            create_private_dirs(parent).map_err(|source| LogError::CreateDirectory {
                path: parent.to_owned(),
                source,
            })?;
        }
        match open_for_append(&path) {
            // The end is unknown, so the first batch looks for a half line.
            Ok((file, metadata)) => {
                let end = metadata.is_file().then_some(0);
                Ok(Self { path, file, end })
            }
            Err(source) if is_fifo(&path) => Err(LogError::FifoWithoutReader { path, source }),
            Err(source) => Err(LogError::Open { path, source }),
        }
    }

    /// Opens the path again if it is no longer our file.
    fn follow_rotation(&mut self) -> io::Result<Metadata> {
        let ours = self.file.metadata()?;
        let moved = match fs::metadata(&self.path) {
            Ok(at_path) => !is_same_file(&ours, &at_path),
            Err(error) => {
                use io::ErrorKind::{NotADirectory, NotFound};
                matches!(error.kind(), NotFound | NotADirectory) || !has_name(&ours)
            }
        };
        if !moved {
            return Ok(ours);
        }
        let reopened = self
            .path
            .parent()
            .map_or(Ok(()), create_private_dirs)
            .and_then(|()| open_for_append(&self.path));
        match reopened {
            Ok((file, metadata)) => {
                self.file = file;
                self.end = metadata.is_file().then_some(0);
                Ok(metadata)
            }
            // A renamed file still keeps lines; in a removed one they would vanish without a word.
            Err(_) if has_name(&ours) => Ok(ours),
            Err(error) => Err(error),
        }
    }
}

impl LineSink for FileSink {
    fn prepare(&mut self, mid_line: bool) -> io::Result<bool> {
        let metadata = self.follow_rotation()?;
        let Some(end) = self.end else {
            return Ok(mid_line);
        };
        if metadata.len() == end && !mid_line {
            return Ok(false);
        }
        self.end = Some(metadata.len());
        Ok(ends_mid_line(&self.file, &self.path).unwrap_or(mid_line))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.end = self.end.map(|it| it + len as u64);
        Ok(len)
    }
}

fn open_for_append(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Without O_NONBLOCK the open of a FIFO waits until somebody reads it.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        // The log thread may wait; a full FIFO is no reason to lose lines.
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
    }
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn create_private_dirs(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo())
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether the file still has a name in some folder.
#[cfg(unix)]
fn has_name(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 0
}

#[cfg(not(unix))]
fn is_fifo(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true // An open file cannot be renamed or removed there.
}

#[cfg(not(unix))]
fn has_name(_: &Metadata) -> bool {
    true
}
