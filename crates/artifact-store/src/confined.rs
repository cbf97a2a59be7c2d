//! Opening files below a directory, and changing it, without ever leaving it.
//!
//! Each component is opened below the descriptor of the one before, never following a link, so that no swap between a
//! check and an open can lead out: what is checked is what was opened.

mod write;

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, renameat, statat},
    io::Errno,
};

/// How often a name that another file took between opening it and looking at it is opened again.
const TRIES: usize = 20;

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

impl Refusal {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::NotConfined(problem) => io::Error::other(format!("it {problem}")),
            Self::NotFound => io::ErrorKind::NotFound.into(),
            Self::Io(error) => error,
        }
    }
}

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Whether it is a directory itself, and no link to one.
    pub(crate) is_dir: bool,
}

/// A plain file that was opened in a directory or below it.
#[derive(Debug)]
pub(crate) struct Unproven {
    pub(crate) file: File,
    /// What was seen of it when it was opened.
    pub(crate) stat: Stat,
    below: Option<Dir>,
    name: String,
}

/// A directory held open by its descriptor.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    stat: Stat,
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
        Self::from_fd(openat(&self.fd, name, DIRECTORY, Mode::empty()).map_err(refuse)?)
    }

    /// Opens the plain file at `path`, relative to this directory.
    pub(crate) fn file(&self, path: &str) -> Result<File, Refusal> {
        for _ in 0..TRIES {
            let opened = self.open_unproven(path)?;
            // Replaced since it was opened a moment ago, as `metadata.json` is at each change, it has no name at all any
            // more: so the one it was opened by was its only one, and a file that is replaced without a pause is read all
            // the same.
            if self.is_own(&opened)? || fstat(&opened.file).map_err(refuse)?.st_nlink == 0 {
                return Ok(opened.file);
            }
        }
        Err(Refusal::NotConfined("is replaced all the time"))
    }

    /// Opens the plain file at `path`, relative to this directory, for now. Before anything of its content is told, it has to
    /// be seen that nothing else [was slipped in](Self::is_own).
    pub(crate) fn open_unproven(&self, path: &str) -> Result<Unproven, Refusal> {
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
            self.check_filesystem(&next.fd, &next.stat)?;
            below = Some(next);
        }
        let dir = below.as_ref().unwrap_or(self);
        let fd = openat(&dir.fd, name, PLAIN_FILE, Mode::empty()).map_err(refuse)?;
        let stat = fstat(&fd).map_err(refuse)?;
        check_plain(&stat)?;
        Ok(Unproven {
            file: File::from(fd),
            stat,
            below,
            name: name.to_owned(),
        })
    }

    /// Whether a file that was opened here is an entry of this directory ever since, and no other name of another file.
    pub(crate) fn is_own(&self, opened: &Unproven) -> Result<bool, Refusal> {
        let Unproven {
            file,
            stat,
            below,
            name,
        } = opened;
        self.check_filesystem(file, stat)?;
        // One look at the open file is not enough: it may have come in as a second link that was taken away
        // before the look. If it still is the entry that was opened, it was there all the time, and counted.
        below.as_ref().unwrap_or(self).still_holds(name, file, stat)
    }

    /// What was seen of it when it was opened.
    #[cfg(feature = "index")]
    pub(crate) fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Looks at `path`, relative to this directory, without opening it. Links in it are followed, but for the last name.
    #[cfg(feature = "index")]
    pub(crate) fn look_at(&self, path: &str) -> io::Result<Stat> {
        Ok(statat(&self.fd, path, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// What is in this directory; names that are not UTF-8 are left out.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_entry(|name, file_type, _| {
            if let Ok(name) = name.to_str() {
                entries.push(Entry {
                    name: name.to_owned(),
                    is_dir: file_type == Some(FileType::Directory),
                });
            }
        })?;
        Ok(entries)
    }

    /// Hands all that is in this directory to `take`: its name, what it is unless it is gone meanwhile, and its inode.
    pub(crate) fn each_entry(
        &self,
        mut take: impl FnMut(&CStr, Option<FileType>, u64),
    ) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let file_type = match entry.file_type() {
                // Not every filesystem tells.
                FileType::Unknown => {
                    let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
                    stat.ok().map(|it| type_of(&it))
                }
                known => Some(known),
            };
            take(name, file_type, entry.ino());
        }
        Ok(())
    }

    /// Opens the directory `name` in this one, unless something is mounted there.
    pub(crate) fn own_subdir(&self, name: &str) -> Result<Self, Refusal> {
        let subdir = self.subdir(name)?;
        self.check_filesystem(&subdir.fd, &subdir.stat)?;
        Ok(subdir)
    }

    /// What this directory and all that is below it takes on the disk, as `du` counts. Refused if something is mounted
    /// there.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64, Refusal> {
        let mut bytes = bytes_on_disk(&self.stat);
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat.map_err(refuse)?,
            };
            if is_mount(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                return Err(Refusal::NotConfined("something is mounted in it"));
            }
            bytes += if type_of(&stat) == FileType::Directory {
                let below = openat(&self.fd, name, DIRECTORY, Mode::empty()).map_err(refuse)?;
                Self::from_fd(below)?.bytes_on_disk()?
            } else {
                bytes_on_disk(&stat)
            };
        }
        Ok(bytes)
    }

    /// Moves the directory `name` in this one to `to`, where it gets the name `to_name`.
    pub(crate) fn move_to(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        Ok(renameat(&self.fd, name, &to.fd, to_name)?)
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Refusal> {
        let stat = fstat(&fd).map_err(refuse)?;
        Ok(Self { fd, stat })
    }

    /// Whether `fd`, opened as `name` in this directory, is the same entry of it ever since.
    fn still_holds(&self, name: &str, fd: &File, opened: &Stat) -> Result<bool, Refusal> {
        self.wait_for_changes();
        if let (Some(mut path), Some(now)) = (path_of(&self.fd), path_of(fd)) {
            // An entry that was removed is told as such for ever, even if its name is there again.
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
            return Ok(now == path);
        }
        // Without `/proc`: the next best, which a swap at the right moments can get by.
        let named = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(refuse)?;
        check_plain(&named)?;
        check_plain(&fstat(fd).map_err(refuse)?)?;
        Ok((named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino))
    }

    /// Waits until a removal that is under way in this directory is over: an entry stays visible for a moment after its
    /// file has lost the link. Reading a directory takes the lock that changing it holds.
    fn wait_for_changes(&self) {
        #[cfg(target_os = "linux")]
        {
            let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
            // What it reads, and how far, means nothing: `names` reads by a descriptor of its own.
            let _ = rustix::fs::RawDir::new(&self.fd, &mut buffer).next();
        }
    }

    /// Refuses what is mounted somewhere below this directory.
    fn check_filesystem(&self, fd: &impl AsFd, stat: &Stat) -> Result<(), Refusal> {
        if stat.st_dev != self.stat.st_dev || is_mount(fd, c"", AtFlags::EMPTY_PATH) {
            return Err(Refusal::NotConfined("is on another filesystem"));
        }
        Ok(())
    }
}

/// Whether something is mounted right there; a bind mount may be of the same filesystem.
#[cfg(target_os = "linux")]
fn is_mount(fd: &impl AsFd, name: &CStr, flags: AtFlags) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    // An old kernel does not know.
    statx(fd, name, flags, StatxFlags::empty())
        .is_ok_and(|it| it.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: &impl AsFd, _: &CStr, _: AtFlags) -> bool {
    false
}

/// The path of an open file as the kernel keeps it; says so if the entry that was opened is gone.
fn path_of(fd: &impl AsFd) -> Option<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new()).ok()?;
    Some(path.into_bytes())
}

fn bytes_on_disk(stat: &Stat) -> u64 {
    const BLOCK: u64 = 512; // In all of stat's answers, whatever the filesystem's own are.
    u64::try_from(stat.st_blocks).map_or(0, |it| it.saturating_mul(BLOCK))
}

fn type_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn check_plain(stat: &Stat) -> Result<(), Refusal> {
    match type_of(stat) {
        FileType::RegularFile if stat.st_nlink <= 1 => Ok(()),
        FileType::RegularFile => Err(Refusal::NotConfined("has a second hard link")),
        FileType::Directory => Err(Refusal::NotConfined("is a directory")),
        _ => Err(Refusal::NotConfined("is not a plain file")),
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
