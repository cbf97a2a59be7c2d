//! What is left to read: inputs, then the workers of a data directory, then the parts of a large file. Nothing is listed
//! ahead, as there may be a million workers.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Filter, Input, Source,
    lines::Range,
    source::{Content, Dir, Found, Name, Names, Opened, open_path, open_stdin},
};

/// So much of a large file is read at a time by one thread.
const PART_BYTES: u64 = 8 << 20;

pub(super) enum Task {
    /// A worker to be opened; whoever takes it says how that went.
    Open(Closed),
    Part(Part),
    /// What cannot be read, why, and whether it was asked for by name.
    Refused(PathBuf, String, bool),
}

/// A worker of a data directory.
pub(super) struct Closed {
    dir: Arc<Dir>,
    name: std::ffi::OsString,
}

/// A part of a source, or all of it.
pub(super) struct Part {
    pub(super) source: Arc<Source>,
    pub(super) text: Text,
    pub(super) number: u32,
    pub(super) range: Range,
    pub(super) is_one_of_many: bool,
    /// A file that ends before this byte has shrunk.
    pub(super) must_reach: u64,
}

pub(super) enum Text {
    Plain(Arc<File>),
    Stream(Box<dyn Read + Send>),
}

pub(super) struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
    filter: &'a Filter,
}

struct State<'a> {
    inputs: std::slice::Iter<'a, Input>,
    workers: Option<(Arc<Dir>, Names)>,
    files: VecDeque<Large>,
    /// Threads that may yet bring parts.
    opening: usize,
    next_serial: u64,
}

/// A file of which some parts are still to be read.
struct Large {
    source: Arc<Source>,
    file: Arc<File>,
    next: u32,
    len: u64,
}

impl<'a> Queue<'a> {
    pub(super) fn new(inputs: &'a [Input], filter: &'a Filter) -> Self {
        Self {
            state: Mutex::new(State {
                inputs: inputs.iter(),
                workers: None,
                files: VecDeque::new(),
                opening: 0,
                next_serial: 0,
            }),
            changed: Condvar::new(),
            filter,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first task, and whether there is anything else to do.
    pub(super) fn first(&self) -> (Option<Task>, bool) {
        let mut state = self.state();
        let first = state.next(self.filter);
        let more = !state.files.is_empty() || state.workers.is_some() || state.inputs.len() > 0;
        (first, more)
    }

    /// The next task; `None` once there is none and none will come.
    pub(super) fn next(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if let Some(task) = state.next(self.filter) {
                return Some(task);
            }
            if state.opening == 0 {
                self.changed.notify_all();
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The first part of a worker's file; its other parts are for everybody.
    pub(super) fn opened(&self, opened: Opened) -> Part {
        let mut state = self.state();
        state.opening -= 1;
        let part = state.begin(opened);
        self.changed.notify_all();
        part
    }

    /// A worker that cannot be opened, or need not be.
    pub(super) fn not_opened(&self) {
        self.state().opening -= 1;
        self.changed.notify_all();
    }
}

impl State<'_> {
    fn next(&mut self, filter: &Filter) -> Option<Task> {
        loop {
            if let Some(large) = self.files.front_mut() {
                let part = large.part();
                if u64::from(large.next) * PART_BYTES >= large.len {
                    self.files.pop_front();
                }
                return Some(Task::Part(part));
            }
            if let Some((dir, names)) = &mut self.workers {
                match names.next() {
                    Some(Name::Worker(name)) => {
                        self.opening += 1;
                        let dir = Arc::clone(dir);
                        return Some(Task::Open(Closed { dir, name }));
                    }
                    Some(Name::Refused(path, reason)) => {
                        return Some(Task::Refused(dir.path.join(path), reason, false));
                    }
                    None => self.workers = None,
                }
                continue;
            }
            let input = self.inputs.next()?;
            match self.open(input, filter) {
                Ok(Some(part)) => return Some(Task::Part(part)),
                Ok(None) => {}
                Err(error) => {
                    let path = match input {
                        Input::Path(path) | Input::Workers(path, _) => path.clone(),
                        Input::Stdin => PathBuf::new(),
                    };
                    return Some(Task::Refused(path, error.to_string(), true));
                }
            }
        }
    }

    /// Opens an input: a file's first part, or all the workers of a directory.
    fn open(&mut self, input: &Input, filter: &Filter) -> io::Result<Option<Part>> {
        let found = match input {
            Input::Stdin => Found::File(open_stdin()),
            Input::Path(path) | Input::Workers(path, _) => {
                open_path(path, filter.needs_metadata())?
            }
        };
        Ok(match found {
            Found::File(opened) => Some(self.begin(opened)),
            Found::Workers(dir) => {
                let names = match input {
                    Input::Workers(_, names) => Names::some(&dir, names.clone()),
                    _ => Names::of(&dir)?,
                };
                self.workers = Some((Arc::new(dir), names));
                None
            }
        })
    }

    fn begin(&mut self, opened: Opened) -> Part {
        let Opened {
            mut source,
            content,
        } = opened;
        source.serial = self.next_serial;
        self.next_serial += 1;
        let source = Arc::new(source);
        match content {
            Content::Stream(stream) => Part {
                source,
                text: Text::Stream(stream),
                number: 0,
                range: Range::ALL,
                is_one_of_many: false,
                must_reach: 0,
            },
            Content::Plain(file, len) => {
                let mut large = Large {
                    source,
                    file: Arc::new(file),
                    next: 0,
                    len,
                };
                let first = large.part();
                if len > PART_BYTES {
                    self.files.push_back(large);
                }
                first
            }
        }
    }
}

impl Large {
    fn part(&mut self) -> Part {
        let number = self.next;
        self.next += 1;
        let from = u64::from(number) * PART_BYTES;
        let is_last = from + PART_BYTES >= self.len;
        Part {
            source: Arc::clone(&self.source),
            text: Text::Plain(Arc::clone(&self.file)),
            number,
            range: Range {
                from,
                // What the file gets while it is read is read too, if it belongs to a line that was there.
                to: if is_last {
                    self.len.max(1)
                } else {
                    from + PART_BYTES
                },
            },
            is_one_of_many: self.len > PART_BYTES,
            must_reach: if is_last { self.len } else { from + PART_BYTES },
        }
    }
}

impl Closed {
    /// Opens its events; `None` if the filter wants none of them.
    pub(super) fn open(&self, filter: &Filter) -> io::Result<Option<Opened>> {
        if !filter.wants_worker(&self.name) {
            return Ok(None);
        }
        let opened = self.dir.open_worker(&self.name, filter.needs_metadata())?;
        Ok(Some(opened))
    }

    /// Whether the whole directory is gone, as one that was pruned since its name was read.
    pub(super) fn is_gone(&self) -> bool {
        !self.path().exists()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path.join(&self.name)
    }
}
