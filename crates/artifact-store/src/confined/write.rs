//! Changing a directory that is held open, as confined as reading it is.

use std::{
    fs::File,
    io::{self, Write as _},
};

use metrics_core::Timestamp;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, renameat, statat, unlinkat},
    io::Errno,
};
use uuid::Uuid;

use super::{Dir, PLAIN_FILE, check_plain, refuse, type_of};
use crate::{confined::Refusal, whole_file::UNFINISHED};

/// Readable by its owner only.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Dir {
    /// Opens the plain file `name` for reading and appending, making it if it is missing.
    pub(crate) fn file_to_append(&self, name: &str) -> Result<File, Refusal> {
        let flags = PLAIN_FILE | OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let fd = openat(&self.fd, name, flags, PRIVATE).map_err(refuse)?;
        check_plain(&fstat(&fd).map_err(refuse)?)?;
        Ok(File::from(fd))
    }

    /// Writes `content` aside and renames it to `name`.
    pub(crate) fn write_whole(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let aside = format!("{name}.{}{UNFINISHED}", Uuid::new_v4().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.fd, &*aside, flags, PRIVATE)?);
        let written = file
            .write_all(content)
            .and_then(|()| Ok(renameat(&self.fd, &*aside, &self.fd, name)?));
        if written.is_err() {
            let _ = self.remove(&aside);
        }
        written
    }

    /// Removes the file `name`, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// When any file in this directory was last written, also one directory further down. What is being written aside does
    /// not count yet.
    pub(crate) fn last_written(&self) -> io::Result<Option<Timestamp>> {
        let mut latest = None;
        for (name, is_dir) in self.names()? {
            if name.ends_with(UNFINISHED) {
                continue;
            }
            let stat = statat(&self.fd, &*name, AtFlags::SYMLINK_NOFOLLOW);
            latest = latest.max(stat.ok().and_then(|it| written_at(&it)));
            if is_dir && let Ok(subdir) = self.subdir(&name) {
                for (name, _) in subdir.names()? {
                    let stat = statat(&subdir.fd, &*name, AtFlags::SYMLINK_NOFOLLOW);
                    latest = latest.max(stat.ok().and_then(|it| written_at(&it)));
                }
            }
        }
        Ok(latest)
    }
}

/// When a file was last written. A link says nothing.
fn written_at(stat: &Stat) -> Option<Timestamp> {
    if type_of(stat) == FileType::Symlink {
        return None;
    }
    let micros = i64::try_from(stat.st_mtime_nsec).ok()? / 1000;
    let seconds = stat.st_mtime.checked_mul(1_000_000)?;
    Some(Timestamp::from_unix_micros(seconds.saturating_add(micros)))
}
