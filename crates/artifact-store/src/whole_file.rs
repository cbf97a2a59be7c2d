//! Making files that only their owner can read, and writing small ones so that a reader always finds a whole one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;
use uuid::Uuid;

/// How the name of a file that is being written ends.
pub(crate) const UNFINISHED: &str = ".new";

/// Writes `content` aside and renames it to `path`. Files are readable by their owner only, whatever the umask.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    // A name of its own, as two writers of one file would else rename each other's half.
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}{UNFINISHED}", Uuid::new_v4().simple()));
    let aside = Path::new(&aside);
    let written = private(OpenOptions::new().write(true).create_new(true))
        .open(aside)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(aside, path));
    if written.is_err() {
        let _ = fs::remove_file(aside);
    }
    written
}

/// Opens a plain file for reading and appending, making it if it is missing. Follows no link and waits for nobody.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    // Opening a FIFO would wait for its reader.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = private(OpenOptions::new().read(true).append(true).create(true))
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// Readable by its owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Makes one directory, open to its owner only.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(path)
}
