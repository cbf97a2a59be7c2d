//! One output of a program, on its way from the pipe to the disk.

use std::{
    fs::File,
    io::{self, Write as _},
};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use worker_runner::Redactor;

/// How much is read at once, and all that is ever held.
const CHUNK_BYTES: usize = 64 << 10;

/// Looks at what a program prints.
pub(crate) trait Watch {
    fn look(&mut self, bytes: &[u8]);
}

/// Nobody looks.
impl Watch for () {
    fn look(&mut self, _: &[u8]) {}
}

/// The reading end of an output, the file that it goes to, and who else looks at it.
#[derive(Debug)]
pub(crate) struct Output<R, W> {
    pipe: Option<R>,
    file: File,
    watcher: W,
    redaction: redactor::Stream,
    chunk: Vec<u8>,
    /// What of it is written.
    written: Vec<u8>,
    read: u64,
    kept: u64,
    /// Why the file takes no more. A gap in it would be worse than an early end.
    refused: Option<io::Error>,
}

impl<R: AsyncRead + Unpin, W: Watch> Output<R, W> {
    pub(crate) fn new(pipe: Option<R>, file: File, watcher: W, redactor: &Redactor) -> Self {
        Self {
            pipe,
            file,
            watcher,
            redaction: redactor.stream(),
            chunk: vec![0; CHUNK_BYTES],
            written: Vec::new(),
            read: 0,
            kept: 0,
            refused: None,
        }
    }

    /// Reads until nobody holds the other end of the pipe any more.
    ///
    /// May be dropped at any time and called again: no byte is lost. A program never waits for a disk that is full.
    pub(crate) async fn read_to_end(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut self.chunk).await {
                // An error on a pipe is no better than its end; what was read still counts.
                Ok(0) | Err(_) => self.pipe = None,
                Ok(n_bytes) => self.take(n_bytes),
            }
        }
    }

    /// Bytes that the program printed.
    pub(crate) fn bytes(&self) -> u64 {
        self.read
    }

    /// `result.txt holds the first 12 of 100 bytes: disk full`, if the file did not take all.
    pub(crate) fn loss(&self, name: &str) -> Option<String> {
        let error = self.refused.as_ref()?;
        let (kept, read) = (self.kept, self.read);
        Some(format!(
            "`{name}` holds the first {kept} of {read} bytes: {error}"
        ))
    }

    /// Closes the pipe.
    pub(crate) fn into_watcher(self) -> W {
        self.watcher
    }

    fn take(&mut self, n_bytes: usize) {
        self.read += n_bytes as u64;
        self.redaction
            .push(&self.chunk[..n_bytes], &mut self.written);
        self.write();
        self.watcher.look(&self.chunk[..n_bytes]);
    }

    /// Writes what was held back as it might have been the beginning of a secret.
    pub(crate) fn finish(&mut self) {
        self.redaction.finish(&mut self.written);
        self.write();
    }

    fn write(&mut self) {
        if self.refused.is_none() {
            match write_all(&mut self.file, &self.written) {
                Ok(()) => self.kept += self.written.len() as u64,
                Err((written, error)) => {
                    self.kept += written as u64;
                    self.refused = Some(error);
                }
            }
        }
        self.written.clear();
    }
}

/// Writes all of it, or says how much it was and why not more.
fn write_all(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}
