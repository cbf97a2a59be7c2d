//! What is read: files, workers' directories, data directories, standard input; and how a worker's file is opened
//! without being led elsewhere.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, FileType as FileKind},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::FileExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use serde::Deserialize;

use crate::Source;

/// The names that a worker's events are found under; the plain one first.
const METRICS: [&str; 3] = ["metrics.jsonl", "metrics.jsonl.gz", "metrics.jsonl.zst"];
const METADATA: &str = "metadata.json";
/// A longer `metadata.json` was not written by us.
const MAX_METADATA_BYTES: u64 = 64 << 20;

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file of events or log lines (plain, gzip or zstd), a worker's directory, or a data directory.
    Path(PathBuf),
    /// A data directory, of whose workers only those in the directories with these names are read.
    Workers(PathBuf, Vec<OsString>),
    /// Standard input.
    Stdin,
}

/// What was found at a path.
#[derive(Debug)]
pub(crate) enum Found {
    File(Opened),
    /// A directory full of workers.
    Workers(Dir),
}

/// An open source.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    /// A plain file, which can be read at several places at once, and its length.
    Plain(File, u64),
    /// Anything else, from its beginning to its end.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(file, len) => f.debug_tuple("Plain").field(file).field(len).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A directory held open by its descriptor.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    pub(crate) path: PathBuf,
}

/// Opens what the user named: links are followed, as the user chose it.
pub(crate) fn open_path(path: &Path, with_metadata: bool) -> io::Result<Found> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        let dir = Dir::open(path)?;
        return match dir.metrics_file() {
            Ok(file) => {
                let name = fs::canonicalize(path).ok();
                let name = name.as_deref().and_then(Path::file_name).map(text_of);
                dir.opened(file, name, with_metadata).map(Found::File)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Workers(dir)),
            Err(error) => Err(error),
        };
    }
    let file = File::open(path)?;
    let mut source = Source::new(path.to_owned());
    let is_metrics = path
        .file_name()
        .is_some_and(|it| METRICS.iter().any(|name| it == *name));
    if is_metrics
        && let Some(dir) = fs::canonicalize(path)
            .ok()
            .as_deref()
            .and_then(Path::parent)
    {
        source.worker = dir.file_name().map(text_of);
        if with_metadata {
            // The user named the file, and not what lies beside it.
            source.take_metadata(Dir::open(dir).and_then(|it| it.plain_file(METADATA)));
        }
    }
    Ok(Found::File(Opened {
        source,
        content: content(file, kind.is_file())?,
    }))
}

pub(crate) fn open_stdin() -> Opened {
    Opened {
        source: Source::new(PathBuf::from("(stdin)")),
        content: Content::Stream(unpacked(Box::new(io::stdin()))),
    }
}

impl Dir {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            fd: openat(CWD, path, flags, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// Opens the events of the worker `name` below this directory.
    pub(crate) fn open_worker(&self, name: &OsStr, with_metadata: bool) -> io::Result<Opened> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = Dir {
            fd: openat(&self.fd, name, flags, Mode::empty())?,
            path: self.path.join(name),
        };
        let file = dir.metrics_file()?;
        dir.opened(file, Some(text_of(name)), with_metadata)
    }

    fn opened(
        &self,
        (name, file): (&str, File),
        worker: Option<String>,
        with_metadata: bool,
    ) -> io::Result<Opened> {
        let mut source = Source::new(self.path.join(name));
        source.worker = worker;
        if with_metadata {
            source.take_metadata(self.plain_file(METADATA));
        }
        Ok(Opened {
            source,
            content: content(file, true)?,
        })
    }

    fn metrics_file(&self) -> io::Result<(&'static str, File)> {
        let mut not_found = None;
        for name in METRICS {
            match self.plain_file(name) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    not_found.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(not_found.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Opens a plain file with one link. Non-blocking, as opening a FIFO without a writer would wait for one.
    fn plain_file(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::empty())?;
        let stat = fstat(fd.as_fd())?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_nlink <= 1 => Ok(fd.into()),
            FileType::RegularFile => Err(io::Error::other("it has a second hard link")),
            _ => Err(io::Error::other("it is not a plain file")),
        }
    }
}

impl Source {
    /// A worker without readable metadata has neither owner nor status.
    fn take_metadata(&mut self, file: io::Result<File>) {
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            owner: Option<String>,
            #[serde(default)]
            status: Option<String>,
        }
        let read = |file: File| {
            let mut json = Vec::new();
            file.take(MAX_METADATA_BYTES).read_to_end(&mut json)?;
            Ok(serde_json::from_slice::<Metadata>(&json)?)
        };
        match file.and_then(read) {
            Ok(metadata) => {
                // Whose a worker is when its metadata does not say.
                self.owner = metadata.owner.or_else(|| Some("local".to_owned()));
                self.status = metadata.status;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.metadata_fault = Some(error.to_string()),
        }
    }

    /// Where its worker's metadata is.
    pub(crate) fn metadata_path(&self) -> PathBuf {
        self.path.with_file_name(METADATA)
    }
}

fn text_of(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

fn content(file: File, is_plain: bool) -> io::Result<Content> {
    if !is_plain {
        return Ok(Content::Stream(unpacked(Box::new(file))));
    }
    let mut magic = [0; 4];
    let len = file.metadata()?.len();
    let read = file.read_at(&mut magic, 0)?;
    Ok(match packing(&magic[..read]) {
        Packing::None => Content::Plain(file, len),
        packing => Content::Stream(packing.reader(Box::new(file))),
    })
}

#[derive(Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

fn packing(beginning: &[u8]) -> Packing {
    match beginning {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
        _ => Packing::None,
    }
}

impl Packing {
    fn reader(self, packed: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match self {
            Self::None => packed,
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Self::Zstd => Box::new(Zstd::Before(Some(packed))),
        }
    }
}

/// What a stream holds: if it begins as gzip or zstd does, what was packed; anything else as it stands.
pub fn unpacked(stream: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    Box::new(Unpacked::Unknown(Some(stream)))
}

enum Unpacked {
    Unknown(Option<Box<dyn Read + Send>>),
    Known(Box<dyn Read + Send>),
}

impl Read for Unpacked {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Self::Unknown(stream) = self {
            let Some(mut stream) = stream.take() else {
                return Ok(0);
            };
            let mut magic = Vec::with_capacity(4);
            stream.by_ref().take(4).read_to_end(&mut magic)?;
            let packing = packing(&magic);
            let whole = io::Cursor::new(magic).chain(stream);
            *self = Self::Known(packing.reader(Box::new(whole)));
        }
        match self {
            Self::Known(reader) => reader.read(bytes),
            Self::Unknown(_) => Ok(0),
        }
    }
}

type Frame =
    ruzstd::decoding::StreamingDecoder<Box<dyn Read + Send>, ruzstd::decoding::FrameDecoder>;

/// A zstd file is one frame or several in a row.
enum Zstd {
    Before(Option<Box<dyn Read + Send>>),
    Within(Option<Box<Frame>>),
}

impl Read for Zstd {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Before(rest) => {
                    let Some(mut rest) = rest.take() else {
                        return Ok(0);
                    };
                    let mut first = Vec::with_capacity(1);
                    if rest.by_ref().take(1).read_to_end(&mut first)? == 0 {
                        return Ok(0);
                    }
                    let frame = Frame::new(Box::new(io::Cursor::new(first).chain(rest)) as Box<_>);
                    *self = Self::Within(Some(Box::new(frame.map_err(io::Error::other)?)));
                }
                Self::Within(frame) => {
                    let Some(decoder) = frame else { return Ok(0) };
                    match decoder.read(bytes)? {
                        0 if !bytes.is_empty() => {
                            let rest = frame.take().map(|it| it.into_inner());
                            *self = Self::Before(rest);
                        }
                        read => return Ok(read),
                    }
                }
            }
        }
    }
}

/// The workers in a data directory, one by one: there may be a million.
#[derive(Debug)]
pub(crate) enum Names {
    All(fs::ReadDir),
    /// Those that were asked for.
    Of(PathBuf, std::vec::IntoIter<OsString>),
}

/// An entry of a data directory.
#[derive(Debug)]
pub(crate) enum Name {
    Worker(OsString),
    /// Something in the place of a worker that is passed over, and why; without a name, the rest of the directory.
    Refused(OsString, String),
}

impl Names {
    pub(crate) fn of(dir: &Dir) -> io::Result<Self> {
        fs::read_dir(&dir.path).map(Self::All)
    }

    pub(crate) fn some(dir: &Dir, names: Vec<OsString>) -> Self {
        Self::Of(dir.path.clone(), names.into_iter())
    }

    /// The next name and what it is of.
    fn entry(&mut self) -> Option<io::Result<(OsString, io::Result<FileKind>)>> {
        match self {
            Self::All(entries) => Some(entries.next()?.map(|it| (it.file_name(), it.file_type()))),
            Self::Of(dir, names) => {
                let name = names.next()?;
                let kind = fs::symlink_metadata(dir.join(&name)).map(|it| it.file_type());
                Some(Ok((name, kind)))
            }
        }
    }
}

impl Iterator for Names {
    type Item = Name;

    fn next(&mut self) -> Option<Name> {
        loop {
            let (name, kind) = match self.entry()? {
                Ok(entry) => entry,
                Err(error) => return Some(Name::Refused(OsString::new(), error.to_string())),
            };
            if name.as_bytes().starts_with(b".") {
                continue; // triscope's own.
            }
            match kind {
                Ok(kind) if kind.is_dir() => return Some(Name::Worker(name)),
                Ok(kind) if kind.is_symlink() => {
                    let reason = "a symbolic link, not followed".to_owned();
                    return Some(Name::Refused(name, reason));
                }
                Ok(_) => {}
                // Gone since its name was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Some(Name::Refused(name, error.to_string())),
            }
        }
    }
}
