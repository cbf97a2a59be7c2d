//! The reading side of one worker's directory; works while its writer runs, in this process or another.

use std::{
    fs::File,
    io::{self, BufReader, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use metrics_core::{EventReader, WorkerId};

use crate::{
    StoreError,
    confined::{Dir, Entry, Refusal, Unproven},
    death::Deaths,
    liveness::Pulses,
    metadata::Metadata,
    whole_file::UNFINISHED,
    worker::file_names,
};

/// The most that one read of a file gives, in bytes.
pub const MAX_READ_BYTES: usize = 1 << 20;
/// A longer `metadata.json` was not written by us.
const MAX_METADATA_BYTES: u64 = 64 << 20;

/// One worker's directory, held open.
#[derive(Debug)]
pub struct WorkerReader {
    worker_id: WorkerId,
    path: PathBuf,
    dir: Dir,
    deaths: Arc<Deaths>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Where the next part begins: behind the last byte of this one.
    pub next_offset: u64,
    /// The file's size, in bytes, when it was read.
    pub total_bytes: u64,
}

impl FilePart {
    /// Whether the file goes on behind this part.
    pub fn is_cut(&self) -> bool {
        self.next_offset < self.total_bytes
    }
}

impl WorkerReader {
    pub(crate) fn new(worker_id: WorkerId, path: PathBuf, dir: Dir, deaths: Arc<Deaths>) -> Self {
        Self {
            worker_id,
            path,
            dir,
            deaths,
        }
    }

    /// The worker's id, as its directory is called.
    pub fn id(&self) -> &WorkerId {
        &self.worker_id
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `metadata.json` says. A worker whose process is dead is `failed`, with [`WORKER_DIED`](crate::WORKER_DIED) as
    /// its error; the first one to find that out writes it down, with all else that the worker left unfinished.
    ///
    /// Of such a worker `finished_at` is its last sign of life, and `events` what its file holds. What was lost on the way to
    /// the file is not known, so `events_lost` stays absent.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not say what it should or is not a plain file; otherwise as
    /// [`open_file`](Self::open_file).
    pub fn metadata(&self) -> Result<Metadata, StoreError> {
        self.metadata_with(&mut Pulses::default())
    }

    /// [`metadata`](Self::metadata), for one of many workers.
    pub(crate) fn metadata_with(&self, pulses: &mut Pulses) -> Result<Metadata, StoreError> {
        let metadata = self.metadata_as_written()?;
        self.deaths.settle(self, metadata, pulses)
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What `metadata.json` says, whether the worker lives or not.
    pub(crate) fn metadata_as_written(&self) -> Result<Metadata, StoreError> {
        let file = self
            .open_file(file_names::METADATA)
            .map_err(|error| match error {
                // Said of the file, which nobody asked for by its path.
                StoreError::Refused { problem, .. } => self.damaged(format!("it {problem}")),
                error => error,
            })?;
        self.parse_metadata(&self.metadata_text(&file)?)
    }

    /// The text of the open `metadata.json`.
    pub(crate) fn metadata_text(&self, file: &File) -> Result<Vec<u8>, StoreError> {
        let too_long = || self.damaged(format!("longer than {MAX_METADATA_BYTES} bytes"));
        let error = |it| StoreError::io("read", self.path.join(file_names::METADATA))(it);
        let len = file.metadata().map_err(error)?.len();
        if len > MAX_METADATA_BYTES {
            return Err(too_long());
        }
        // With some room behind, it is read by one call, and the end by another.
        let room = usize::try_from(len).unwrap_or(0) + 64;
        let mut json = Vec::with_capacity(room);
        file.take(MAX_METADATA_BYTES + 1)
            .read_to_end(&mut json)
            .map_err(error)?;
        if json.len() as u64 > MAX_METADATA_BYTES {
            return Err(too_long());
        }
        Ok(json)
    }

    /// What the text of `metadata.json` says.
    pub(crate) fn parse_metadata(&self, json: &[u8]) -> Result<Metadata, StoreError> {
        let metadata: Metadata =
            serde_json::from_slice(json).map_err(|it| self.damaged(it.to_string()))?;
        if metadata.worker_id != self.worker_id {
            let reason = format!("it belongs to worker `{}`", metadata.worker_id);
            return Err(self.damaged(reason));
        }
        Ok(metadata)
    }

    pub(crate) fn damaged(&self, reason: String) -> StoreError {
        StoreError::Damaged {
            path: self.path.join(file_names::METADATA),
            reason,
        }
    }

    /// A reader over `metrics.jsonl`.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn events(&self) -> Result<EventReader<BufReader<File>>, StoreError> {
        let file = self.open_file(file_names::METRICS)?;
        Ok(EventReader::new(BufReader::with_capacity(64 << 10, file)))
    }

    /// The part of a file that begins at `offset`: at most `max_bytes` (at least 4, so that any character fits, and never
    /// more than 1 MiB), cut at a line end, or inside a longer line at the end of a character. Empty at or beyond the
    /// file's end.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn read_file(
        &self,
        file: &str,
        offset: u64,
        max_bytes: usize,
    ) -> Result<FilePart, StoreError> {
        let opened = self.open_file(file)?;
        let error = |it| StoreError::io("read", self.path.join(file))(it);
        let mut bytes = vec![0; max_bytes.clamp(4, MAX_READ_BYTES)];
        let read = read_full(&opened, &mut bytes, offset).map_err(error)?;
        bytes.truncate(read);
        let read_to = offset.saturating_add(read as u64);
        let len = opened.metadata().map_err(error)?.len();
        let total_bytes = if read == 0 {
            // What a growing file got since then is for the next read.
            len.min(offset)
        } else {
            // A shrinking file ends where reading ended.
            len.max(read_to)
        };
        if read_to < total_bytes {
            bytes.truncate(cut(&bytes));
        }
        Ok(FilePart {
            next_offset: offset.saturating_add(bytes.len() as u64),
            text: String::from_utf8(bytes)
                .unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()),
            offset,
            total_bytes,
        })
    }

    /// The files of the worker, as relative paths, sorted; without those that are being written aside.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn files(&self) -> Result<Vec<String>, StoreError> {
        let mut files = self.all_files()?;
        files.retain(|it| !it.ends_with(UNFINISHED));
        Ok(files)
    }

    pub(crate) fn all_files(&self) -> Result<Vec<String>, StoreError> {
        let error = || StoreError::io("list", &self.path);
        let mut files = Vec::new();
        for Entry { name, is_dir, .. } in self.dir.entries().map_err(error())? {
            if !is_dir {
                files.push(name);
            } else if let Ok(subdir) = self.dir.subdir(&name) {
                let below = subdir.entries().map_err(error())?;
                files.extend(below.into_iter().map(|it| format!("{name}/{}", it.name)));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Opens a plain file by its path relative to the worker's directory.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a path that leads out of the directory (`..`, an absolute path, a symbolic link) or
    /// to something that is not a plain file with one link; [`StoreError::FileNotFound`], naming the files there are;
    /// [`StoreError::Io`].
    pub fn open_file(&self, file: &str) -> Result<File, StoreError> {
        self.dir.file(file).map_err(|it| self.not_opened(file, it))
    }

    /// As [`open_file`](Self::open_file), for now: before anything of the file is told, see whether it [is
    /// own](Self::is_own), and otherwise open it in full.
    pub(crate) fn open_unproven(&self, file: &str) -> Result<Unproven, StoreError> {
        let opened = self.dir.open_unproven(file);
        opened.map_err(|it| self.not_opened(file, it))
    }

    /// Whether nothing else was slipped in; also not the same file moved away meanwhile.
    pub(crate) fn is_own(&self, opened: &Unproven) -> bool {
        self.dir.is_own(opened).unwrap_or(false)
    }

    fn not_opened(&self, file: &str, refusal: Refusal) -> StoreError {
        match refusal {
            Refusal::NotConfined(problem) => StoreError::Refused {
                file: file.chars().take(200).collect(),
                problem,
            },
            Refusal::NotFound => StoreError::FileNotFound {
                worker_id: self.worker_id.clone(),
                file: file.chars().take(200).collect(),
                files: self.files().unwrap_or_default(),
            },
            Refusal::Io(source) => StoreError::Io {
                action: "open",
                path: self.path.join(file),
                source,
            },
        }
    }
}

/// Reads until `bytes` is full or the file ends.
fn read_full(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        let at = offset.saturating_add(read as u64);
        if i64::try_from(at.saturating_add(bytes.len() as u64)).is_err() {
            break; // No file is that long, and the system calls such an offset invalid.
        }
        match file.read_at(&mut bytes[read..], at) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Where to cut a part that is not the file's last: behind a line end, else behind a whole character.
fn cut(bytes: &[u8]) -> usize {
    if let Some(at) = memchr::memrchr(b'\n', bytes) {
        return at + 1;
    }
    // A character has at most four bytes; the last one begins at the last byte that does not go on with another.
    let beginnings = bytes.iter().rev().take(4);
    match beginnings
        .enumerate()
        .find(|(_, byte)| **byte & 0xC0 != 0x80)
    {
        Some((behind, _)) => {
            let at = bytes.len() - 1 - behind;
            let unfinished =
                std::str::from_utf8(&bytes[at..]).is_err_and(|it| it.error_len().is_none());
            // A part is never empty: reading would not get on.
            if unfinished && at > 0 {
                at
            } else {
                bytes.len()
            }
        }
        None => bytes.len(),
    }
}
