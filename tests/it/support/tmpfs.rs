//! A small disk in memory, gone with the test.

use std::{ffi::CString, io, path::Path};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A mounted disk.
#[derive(Debug)]
pub(crate) struct Tmpfs(TempDir);

impl Tmpfs {
    /// Mounts a disk of so many bytes; an error where that is not permitted, as to all but root.
    pub(crate) fn mount(bytes: u64) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let size = CString::new(format!("size={bytes}"))?;
        mount(
            "none",
            dir.path(),
            "tmpfs",
            MountFlags::empty(),
            size.as_c_str(),
        )?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Whatever still uses it, it is not in the way of others any more.
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}
