//! Who has the book open: a lock beside it, shared by all that do, so that nobody moves the file away under another.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::JobBookError;

/// How long one waits for somebody who mends the book: they may have 100,000 workers to read.
const MENDING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one who would mend waits for others that are just trying to open the book.
const OPENING_TIMEOUT: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(2);

/// Says for as long as it lives that the book is in use. A process's end takes it back, whatever kind of end.
#[derive(Debug)]
pub(super) struct InUse(File);

impl InUse {
    /// Waits for whoever is mending the book.
    pub(super) fn shared(book: &Path) -> Result<Self, JobBookError> {
        let mut path = book.as_os_str().to_owned();
        path.push(".lock");
        let mut options = OpenOptions::new();
        // For reading too: so even a FIFO that somebody put there is opened without a wait.
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.open(path);
        let this = Self(file.map_err(|source| JobBookError::not_writable(book, source))?);
        this.share(book)?;
        Ok(this)
    }

    /// Makes this the only one, for `body`, and shares it again. `None` if others have the book open.
    pub(super) fn alone<T>(
        &self,
        book: &Path,
        body: impl FnOnce() -> Result<T, JobBookError>,
    ) -> Result<Option<T>, JobBookError> {
        let fault = |source| JobBookError::not_writable(book, source);
        // Let go first: of two that wait to be alone, each would else wait for the other.
        self.0.unlock().map_err(fault)?;
        let res = match wait(OPENING_TIMEOUT, || self.0.try_lock()) {
            Ok(()) => {
                let res = body();
                self.0.unlock().map_err(fault)?;
                res.map(Some)
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        };
        self.share(book)?;
        res
    }

    fn share(&self, book: &Path) -> Result<(), JobBookError> {
        wait(MENDING_TIMEOUT, || self.0.try_lock_shared()).map_err(|error| match error {
            TryLockError::WouldBlock => JobBookError::Busy {
                path: book.to_owned(),
                source: "another process is mending it".into(),
            },
            TryLockError::Error(source) => JobBookError::not_writable(book, source),
        })
    }
}

fn wait(
    timeout: Duration,
    mut try_lock: impl FnMut() -> Result<(), TryLockError>,
) -> Result<(), TryLockError> {
    let deadline = Instant::now() + timeout;
    loop {
        match try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            res => return res,
        }
    }
}
