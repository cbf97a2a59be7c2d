//! A disk in memory that answers as a test says.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use crate::writer::{Disk, output::Output};

/// Says how many of the bytes a write takes; may block. Gets the path, the number of the write, and the bytes.
type Answer = Box<dyn FnMut(&Path, usize, &[u8]) -> io::Result<usize> + Send>;

#[derive(Debug)]
pub(super) struct FakeDisk {
    state: Arc<State>,
    _alive: Sender<()>,
}

/// What a test sees of the disk, also when the writer is gone.
#[derive(Default)]
pub(super) struct State {
    files: Mutex<HashMap<PathBuf, Vec<u8>>>,
    answer: Mutex<Option<Answer>>,
    n_writes: AtomicUsize,
    n_open: AtomicUsize,
    most_open: AtomicUsize,
    /// Half lines that opening a file moved aside.
    pub(super) torn: Mutex<Vec<u8>>,
    pub(super) drop_tail_fails: AtomicBool,
    /// The next write goes to a file that was deleted just before.
    pub(super) deleted: AtomicBool,
}

/// Ends when the writer has let go of its disk: its thread is over.
pub(super) struct Ended(Receiver<()>);

impl Ended {
    pub(super) fn wait(&self) {
        let ended = self.0.recv_timeout(super::LONG);
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    pub(super) fn is_now(&self) -> bool {
        self.0.recv_timeout(Duration::ZERO) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    }
}

pub(super) fn fake_disk(
    answer: impl FnMut(&Path, usize, &[u8]) -> io::Result<usize> + Send + 'static,
) -> (FakeDisk, Arc<State>, Ended) {
    let state = Arc::new(State {
        answer: Mutex::new(Some(Box::new(answer))),
        ..State::default()
    });
    let (alive, ended) = channel();
    let disk = FakeDisk {
        state: Arc::clone(&state),
        _alive: alive,
    };
    (disk, state, Ended(ended))
}

impl State {
    pub(super) fn content(&self, path: impl AsRef<Path>) -> Vec<u8> {
        self.files().get(path.as_ref()).cloned().unwrap_or_default()
    }

    pub(super) fn tools(&self, path: impl AsRef<Path>) -> Vec<String> {
        super::tools(&self.content(path))
    }

    /// The most files that were open at a time.
    pub(super) fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    pub(super) fn n_open(&self) -> usize {
        self.n_open.load(Ordering::SeqCst)
    }

    fn files(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<u8>>> {
        self.files.lock().unwrap()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Disk for FakeDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        let mut files = self.state.files();
        let content = files.entry(path.to_owned()).or_default();
        let whole = memchr::memrchr(b'\n', content).map_or(0, |it| it + 1);
        self.state
            .torn
            .lock()
            .unwrap()
            .extend(content.drain(whole..));
        let n_open = self.state.n_open.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.most_open.fetch_max(n_open, Ordering::SeqCst);
        Ok(Box::new(FakeFile {
            path: path.to_owned(),
            state: Arc::clone(&self.state),
            deleted: false,
        }))
    }
}

#[derive(Debug)]
struct FakeFile {
    path: PathBuf,
    state: Arc<State>,
    deleted: bool,
}

impl Output for FakeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let number = self.state.n_writes.fetch_add(1, Ordering::SeqCst);
        // Outside the lock on the files, as it may block.
        let answer = self.state.answer.lock().unwrap().as_mut().unwrap()(&self.path, number, bytes);
        let taken = answer?.min(bytes.len());
        let mut files = self.state.files();
        if self.state.deleted.swap(false, Ordering::SeqCst) {
            files.remove(&self.path);
            self.deleted = true;
        }
        if self.deleted {
            return Ok(taken);
        }
        files
            .get_mut(&self.path)
            .unwrap()
            .extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn is_at(&self, _: &Path) -> bool {
        true
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn drop_tail(&mut self, bytes: u64) -> io::Result<()> {
        if self.state.drop_tail_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no truncation today"));
        }
        let mut files = self.state.files();
        let content = files.get_mut(&self.path).unwrap();
        content.truncate(content.len() - usize::try_from(bytes).unwrap());
        Ok(())
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        self.state.n_open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A gate that holds a disk up: says when it is reached, and lets through whoever has a pass.
pub(super) struct Gate {
    reached: Sender<()>,
    pass: Receiver<()>,
}

pub(super) struct GateKeeper {
    reached: Receiver<()>,
    pass: Sender<()>,
}

pub(super) fn gate() -> (Gate, GateKeeper) {
    let (reached, is_reached) = channel();
    let (pass, passes) = channel();
    (
        Gate {
            reached,
            pass: passes,
        },
        GateKeeper {
            reached: is_reached,
            pass,
        },
    )
}

impl Gate {
    /// Waits for a pass, or for the keeper to go.
    pub(super) fn enter(&self) {
        let _ = self.reached.send(());
        let _ = self.pass.recv();
    }
}

impl GateKeeper {
    pub(super) fn wait_until_reached(&self) {
        self.reached.recv_timeout(super::LONG).unwrap();
    }

    pub(super) fn let_one_through(&self) {
        self.pass.send(()).unwrap();
    }
}
