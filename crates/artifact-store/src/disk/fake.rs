//! A disk in memory that answers as a test says, knows what a power cut would leave, and what was asked of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use rustix::io::Errno;

use super::{Disk, FileStat, Open, Output};

/// Longer than anything should take, on the slowest machine.
const LONG: Duration = Duration::from_mins(1);

/// Says how many of the bytes a write takes; may block. Gets the path, the number of the write, and the bytes.
type Answer = Box<dyn FnMut(&Path, usize, &[u8]) -> io::Result<usize> + Send>;

/// Is asked before each operation.
type Fault = Box<dyn FnMut(Op<'_>) -> Fate + Send>;

/// An operation that changes something or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    Open(&'a Path),
    Write(&'a Path),
    Cut(&'a Path),
    Sync(&'a Path),
    CreateDir(&'a Path),
    Rename(&'a Path),
    Remove(&'a Path),
    SyncDir(&'a Path),
    Look(&'a Path),
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Fails(Errno),
    /// A write does half of it, anything else nothing; then it fails.
    Half,
    /// It is done, but the caller hears that it failed.
    DoneUnseen,
}

#[derive(Debug)]
pub(crate) struct FakeDisk {
    state: Arc<State>,
    _alive: Sender<()>,
}

/// What a test sees of the disk, also when the writer is gone.
#[derive(Default)]
pub(crate) struct State {
    files: Mutex<Files>,
    answer: Mutex<Option<Answer>>,
    fault: Mutex<Option<Fault>>,
    n_writes: AtomicUsize,
    n_open: AtomicUsize,
    most_open: AtomicUsize,
    /// The next write to that file waits here, and holds up no other one.
    hangs: Mutex<HashMap<PathBuf, Gate>>,
    /// Every third truncation fails, beginning with the next one.
    pub(crate) cut_fails: AtomicBool,
    n_cuts: AtomicUsize,
}

#[derive(Default)]
struct Files {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    inodes: HashMap<u64, Inode>,
    /// Of both, what would survive a power cut.
    durable_dirs: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, u64>,
}

#[derive(Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
}

/// Ends when the writer has let go of its disk: its threads are over.
pub(crate) struct Ended(Receiver<()>);

impl Ended {
    pub(crate) fn wait(&self) {
        let ended = self.0.recv_timeout(LONG);
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    pub(crate) fn is_now(&self) -> bool {
        self.0.recv_timeout(Duration::ZERO) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    }
}

pub(crate) fn fake_disk(
    answer: impl FnMut(&Path, usize, &[u8]) -> io::Result<usize> + Send + 'static,
) -> (FakeDisk, Arc<State>, Ended) {
    let state = Arc::new(State {
        answer: Mutex::new(Some(Box::new(answer))),
        ..State::default()
    });
    let (disk, ended) = state.disk();
    (disk, state, ended)
}

/// A disk on which `files` stand already.
pub(crate) fn disk_with(files: &BTreeMap<PathBuf, Vec<u8>>) -> (FakeDisk, Arc<State>, Ended) {
    let res = faulty_disk(|_| Fate::Done);
    for (path, content) in files {
        res.1.append(path, content);
    }
    res
}

/// A disk that takes everything, unless `fault` says otherwise.
pub(crate) fn faulty_disk(
    fault: impl FnMut(Op<'_>) -> Fate + Send + 'static,
) -> (FakeDisk, Arc<State>, Ended) {
    let res = fake_disk(|_, _, bytes| Ok(bytes.len()));
    res.1.set_fault(fault);
    res
}

impl State {
    /// Another disk with the same files, as the next process finds them.
    pub(crate) fn disk(self: &Arc<Self>) -> (FakeDisk, Ended) {
        let (alive, ended) = channel();
        let disk = FakeDisk {
            state: Arc::clone(self),
            _alive: alive,
        };
        (disk, Ended(ended))
    }

    pub(crate) fn set_fault(&self, fault: impl FnMut(Op<'_>) -> Fate + Send + 'static) {
        *self.fault.lock().unwrap() = Some(Box::new(fault));
    }

    /// Lets the next write to `path` hang until the keeper lets it through.
    pub(crate) fn hang(&self, path: impl AsRef<Path>) -> GateKeeper {
        let (gate, keeper) = gate();
        self.hangs
            .lock()
            .unwrap()
            .insert(path.as_ref().to_owned(), gate);
        keeper
    }

    pub(crate) fn content(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let files = self.files();
        let inode = files.names.get(path.as_ref());
        inode.map_or_else(Vec::new, |it| files.inodes[it].content.clone())
    }

    /// What stands where, if the process died now.
    pub(crate) fn after_kill(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = self.files();
        let content = |it: &u64| files.inodes[it].content.clone();
        let named = files.names.iter();
        named
            .map(|(path, it)| (path.clone(), content(it)))
            .collect()
    }

    /// What stands where if the power went now: of the content what was waited for; of the names either that too, or
    /// all, as a disk may be quicker with them than with content.
    pub(crate) fn after_power_cut(&self) -> [BTreeMap<PathBuf, Vec<u8>>; 2] {
        let files = self.files();
        let content = |it: &u64| files.inodes[it].durable.clone();
        let survives = |path: &Path| {
            let mut dirs = path.ancestors().filter(|it| files.dirs.contains(*it));
            dirs.all(|it| files.durable_dirs.contains(it))
        };
        let durable = files.durable_names.iter();
        let durable = durable
            .filter(|(path, _)| survives(path))
            .map(|(path, it)| (path.clone(), content(it)));
        let all = files.names.iter();
        let all = all.map(|(path, it)| (path.clone(), content(it)));
        [durable.collect(), all.collect()]
    }

    /// Gives `path` away to somebody else's file, or to nobody.
    pub(crate) fn replace(&self, path: impl AsRef<Path>, by: Option<&[u8]>) {
        let mut files = self.files();
        files.names.remove(path.as_ref());
        if let Some(content) = by {
            let inode = files.inode(path.as_ref());
            inode.content = content.to_owned();
        }
    }

    /// Renames a file behind the writer's back.
    pub(crate) fn mv(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let mut files = self.files();
        if let Some(inode) = files.names.remove(from.as_ref()) {
            files.names.insert(to.as_ref().to_owned(), inode);
        }
    }

    /// Cuts a file behind the writer's back.
    pub(crate) fn cut(&self, path: impl AsRef<Path>, len: usize) {
        self.files().inode(path.as_ref()).content.truncate(len);
    }

    /// Another writer appends to a file.
    pub(crate) fn append(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut files = self.files();
        files.inode(path.as_ref()).content.extend_from_slice(bytes);
    }

    /// The most files that were open at a time.
    pub(crate) fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    pub(crate) fn n_open(&self) -> usize {
        self.n_open.load(Ordering::SeqCst)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap()
    }

    fn fate(&self, op: Op<'_>) -> Fate {
        let mut fault = self.fault.lock().unwrap();
        fault.as_mut().map_or(Fate::Done, |it| it(op))
    }

    /// Lets `op` happen as its fate is.
    fn meet<T>(&self, op: Op<'_>, done: impl FnOnce(&mut Files) -> io::Result<T>) -> io::Result<T> {
        match self.fate(op) {
            Fate::Done => done(&mut self.files()),
            Fate::Fails(errno) => Err(errno.into()),
            Fate::Half => Err(Errno::IO.into()),
            Fate::DoneUnseen => {
                done(&mut self.files())?;
                Err(Errno::IO.into())
            }
        }
    }
}

impl Files {
    /// The file at `path`, which is made if it is missing.
    fn inode(&mut self, path: &Path) -> &mut Inode {
        let next = self.inodes.len() as u64;
        let id = *self.names.entry(path.to_owned()).or_insert(next);
        self.inodes.entry(id).or_default()
    }

    fn stat(&self, id: u64) -> FileStat {
        FileStat {
            id: (0, id),
            len: self.inodes[&id].content.len() as u64,
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Disk for FakeDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn Output>> {
        let inode = self.state.meet(Op::Open(path), |files| {
            if how == Open::New && files.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            files.inode(path);
            Ok(files.names[path])
        })?;
        let n_open = self.state.n_open.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.most_open.fetch_max(n_open, Ordering::SeqCst);
        Ok(Box::new(FakeFile {
            path: path.to_owned(),
            inode,
            state: Arc::clone(&self.state),
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state.meet(Op::CreateDir(path), |files| {
            if files.dirs.insert(path.to_owned()) {
                Ok(())
            } else {
                Err(io::ErrorKind::AlreadyExists.into())
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.meet(Op::Rename(to), |files| {
            let inode = files.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            files.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.meet(Op::Remove(path), |files| {
            files.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state.meet(Op::SyncDir(path), |files| {
            let is_inside = |it: &Path| it.parent() == Some(path);
            files.durable_names.retain(|it, _| !is_inside(it));
            let names = files.names.iter().filter(|(it, _)| is_inside(it));
            files
                .durable_names
                .extend(names.map(|(path, it)| (path.clone(), *it)));
            let dirs = files.dirs.iter().filter(|it| is_inside(it));
            files.durable_dirs.extend(dirs.cloned());
            Ok(())
        })
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.state.meet(Op::Look(path), |files| {
            let inode = files.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(files.stat(*inode))
        })
    }
}

#[derive(Debug)]
struct FakeFile {
    path: PathBuf,
    inode: u64,
    state: Arc<State>,
}

impl FakeFile {
    fn with<T>(&self, f: impl FnOnce(&mut Inode) -> T) -> T {
        f(self.state.files().inodes.get_mut(&self.inode).unwrap())
    }
}

impl Output for FakeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let hangs = self.state.hangs.lock().unwrap().remove(&self.path);
        if let Some(gate) = hangs {
            gate.enter();
        }
        let fate = self.state.fate(Op::Write(&self.path));
        let number = self.state.n_writes.fetch_add(1, Ordering::SeqCst);
        // Outside the lock on the files, as it may block.
        let answer = self.state.answer.lock().unwrap().as_mut().unwrap()(&self.path, number, bytes);
        let taken = answer?.min(bytes.len());
        let taken = match fate {
            Fate::Done | Fate::DoneUnseen => taken,
            Fate::Half => taken / 2,
            Fate::Fails(_) => 0,
        };
        self.with(|it| it.content.extend_from_slice(&bytes[..taken]));
        match fate {
            Fate::Done => Ok(taken),
            Fate::Fails(errno) => Err(errno.into()),
            Fate::Half | Fate::DoneUnseen => Err(Errno::IO.into()),
        }
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|it| {
            let rest = &it.content[usize::try_from(at).unwrap().min(it.content.len())..];
            let n = rest.len().min(bytes.len());
            bytes[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        if self.state.cut_fails.load(Ordering::SeqCst)
            && self
                .state
                .n_cuts
                .fetch_add(1, Ordering::SeqCst)
                .is_multiple_of(3)
        {
            return Err(io::Error::other("no truncation today"));
        }
        self.state.meet(Op::Cut(&self.path), |files| {
            let inode = files.inodes.get_mut(&self.inode).unwrap();
            inode.content.truncate(usize::try_from(len).unwrap());
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.state.meet(Op::Sync(&self.path), |files| {
            let inode = files.inodes.get_mut(&self.inode).unwrap();
            inode.durable = inode.content.clone();
            Ok(())
        })
    }

    fn stat(&self) -> io::Result<FileStat> {
        Ok(self.state.files().stat(self.inode))
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        self.state.n_open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A gate that holds a disk up: says when it is reached, and lets through whoever has a pass.
pub(crate) struct Gate {
    reached: Sender<()>,
    pass: Receiver<()>,
}

pub(crate) struct GateKeeper {
    reached: Receiver<()>,
    pass: Sender<()>,
}

pub(crate) fn gate() -> (Gate, GateKeeper) {
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
    pub(crate) fn enter(&self) {
        let _ = self.reached.send(());
        let _ = self.pass.recv();
    }
}

impl GateKeeper {
    pub(crate) fn wait_until_reached(&self) {
        self.reached.recv_timeout(LONG).unwrap();
    }

    pub(crate) fn let_one_through(&self) {
        self.pass.send(()).unwrap();
    }
}
