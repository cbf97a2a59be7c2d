//! Opening files below a directory without ever leaving it.
//!
//! Each component is opened below the descriptor of the one before, never following a link, so that no swap between a
//! check and an open can lead out: what is checked is what was opened.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
// Non-blocking, as opening a FIFO without a writer would wait for one.
const PLAIN_FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Why a path was not opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It leads elsewhere, or is not a plain file.
    NotConfined(&'static str),
    /// Nothing is there.
    NotFound,
    /// The system said no.
    Io(io::Error),
}

/// A directory held open by its descriptor.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    device: u64,
}

impl Dir {
    /// Opens `path` as it stands: links in it are followed, as the caller chose it.
    pub(crate) fn open(path: &Path) -> Result<Self, Refusal> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::from_fd(openat(CWD, path, flags, Mode::empty()).map_err(refuse)?)
    }

    /// Opens the directory `name` in this one.
    pub(crate) fn subdir(&self, name: &str) -> Result<Self, Refusal> {
        check_component(name)?;
        let fd = openat(&self.fd, name, DIRECTORY, Mode::empty()).map_err(refuse)?;
        Self::from_fd(fd)
    }

    /// Opens the plain file at `path`, relative to this directory.
    pub(crate) fn file(&self, path: &str) -> Result<File, Refusal> {
        if path.is_empty() {
            return Err(Refusal::NotConfined("is empty"));
        }
        if path.starts_with('/') {
            return Err(Refusal::NotConfined("is an absolute path"));
        }
        if path.len() > 4096 {
            return Err(Refusal::NotConfined("is too long"));
        }
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        check_component(name)?;
        let mut below: Option<Self> = None;
        for parent in parents.split('/').filter(|_| !parents.is_empty()) {
            let next = below.as_ref().unwrap_or(self).subdir(parent)?;
            if next.device != self.device {
                return Err(Refusal::NotConfined("is on another filesystem"));
            }
            below = Some(next);
        }
        let dir = below.as_ref().unwrap_or(self);
        let file = File::from(openat(&dir.fd, name, PLAIN_FILE, Mode::empty()).map_err(refuse)?);
        let metadata = file.metadata().map_err(Refusal::Io)?;
        if !metadata.is_file() {
            return Err(Refusal::NotConfined(if metadata.is_dir() {
                "is a directory"
            } else {
                "is not a plain file"
            }));
        }
        if metadata.nlink() > 1 {
            return Err(Refusal::NotConfined("has a second hard link"));
        }
        if metadata.dev() != self.device {
            return Err(Refusal::NotConfined("is on another filesystem"));
        }
        Ok(file)
    }

    /// The names in this directory, with whether each is a directory itself; names that are not UTF-8 are left out.
    pub(crate) fn names(&self) -> io::Result<Vec<(String, bool)>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                let is_dir = entry.file_type() == rustix::fs::FileType::Directory;
                names.push((name.to_owned(), is_dir));
            }
        }
        Ok(names)
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Refusal> {
        let stat = rustix::fs::fstat(&fd).map_err(refuse)?;
        #[allow(clippy::useless_conversion, reason = "the type differs by platform")]
        let device = u64::try_from(stat.st_dev).unwrap_or(0);
        Ok(Self { fd, device })
    }
}

fn check_component(name: &str) -> Result<(), Refusal> {
    match name {
        "" => Err(Refusal::NotConfined("holds an empty name")),
        "." | ".." => Err(Refusal::NotConfined("holds `.` or `..`")),
        _ if name.contains('/') => Err(Refusal::NotConfined("holds a `/`")),
        _ if name.contains('\0') => Err(Refusal::NotConfined("holds a NUL byte")),
        _ => Ok(()),
    }
}

fn refuse(error: Errno) -> Refusal {
    match error {
        Errno::NOENT => Refusal::NotFound,
        // What `O_NOFOLLOW` and `O_DIRECTORY` answer for a link.
        Errno::LOOP | Errno::MLINK => Refusal::NotConfined("is a symbolic link"),
        Errno::NOTDIR => Refusal::NotConfined("leads through something that is not a directory"),
        Errno::NXIO => Refusal::NotConfined("is not a plain file"),
        Errno::NAMETOOLONG => Refusal::NotConfined("is too long"),
        other => Refusal::Io(other.into()),
    }
}
