//! Writing small files so that a reader always finds a whole one, and in durable stores also after a power cut.

use std::{io, path::Path, sync::Arc};

use uuid::Uuid;

use crate::disk::{Disk, Open, Output, write_all};

/// How the name of a file that is being written ends.
pub(crate) const UNFINISHED: &str = ".new";

/// The disk, and whether its answer is waited for.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) disk: Arc<dyn Disk>,
    /// What is written shall survive a power cut.
    pub(crate) durable: bool,
}

impl Files {
    /// The same for what means nothing any more after a power cut.
    pub(crate) fn passing(&self) -> Self {
        Self {
            durable: false,
            ..self.clone()
        }
    }

    /// Writes `content` aside and renames it to `path`. Files are readable by their owner only, whatever the umask.
    pub(crate) fn write_whole(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        // A name of its own, as two writers of one file would else rename each other's half.
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}{UNFINISHED}", Uuid::new_v4().simple()));
        let aside = Path::new(&aside);
        let written = self
            .write_new(aside, content)
            .and_then(|()| self.disk.rename(aside, path));
        if written.is_err() {
            let _ = self.disk.remove(aside);
        }
        written?;
        self.sync_name(path)
    }

    /// Appends `line` to a file, which is made if it is missing; with an error nothing of it stays, as the next line
    /// would be glued to it.
    pub(crate) fn append_line(&self, path: &Path, line: &[u8]) -> io::Result<()> {
        let mut file = self.disk.open(path, Open::Append)?;
        let before = file.stat()?.len;
        let written = write_all(&mut *file, line).and_then(|()| self.sync(&mut *file));
        if written.is_err() {
            let _ = file.set_len(before);
        }
        written?;
        match before {
            0 => self.sync_name(path),
            _ => Ok(()),
        }
    }

    /// Makes a file that must not be there yet.
    pub(crate) fn write_new(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = self.disk.open(path, Open::New)?;
        write_all(&mut *file, content)?;
        self.sync(&mut *file)
    }

    /// In a durable store: waits until the content of `file` would survive a power cut.
    pub(crate) fn sync(&self, file: &mut dyn Output) -> io::Result<()> {
        if self.durable { file.sync() } else { Ok(()) }
    }

    /// In a durable store: waits until the name `path` would survive a power cut.
    pub(crate) fn sync_name(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) if self.durable && dir.as_os_str().is_empty() => {
                self.disk.sync_dir(".".as_ref())
            }
            Some(dir) if self.durable => self.disk.sync_dir(dir),
            _ => Ok(()),
        }
    }
}
