//! The walk of one search through the workers' files, on all cores.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, Read},
    num::NonZero,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use grep_searcher::{Searcher, Sink, SinkMatch};
use metrics_core::WorkerId;

use super::{Match, SearchOptions, SearchResult, pattern::Pattern};
use crate::{
    ArtifactStore, Metadata, StoreError, WorkerFilter, WorkerReader,
    confined::{Dir, Unproven},
    file_names,
    list::{Second, Seconds},
    liveness::Pulses,
};

/// A moderate piece, as nobody asks whether the search is over while it is searched.
const PIECE: usize = 64 << 10;

/// One search, shared by the threads that carry it out.
pub(super) struct Walk {
    store: ArtifactStore,
    /// The data directory.
    dir: Dir,
    pattern: Pattern,
    options: SearchOptions,
    state: Mutex<State>,
    /// There are more workers, or nothing more is looked up.
    looked_up: Condvar,
    over: Condvar,
}

/// A worker's place: its second, the newest first, and its place among those of that second.
type Order = (usize, usize);

struct State {
    seconds: Seconds,
    n_seconds: usize,
    /// Seconds whose workers are being looked up.
    looking_up: usize,
    /// Workers that nobody searches yet.
    workers: BTreeMap<Order, WorkerId>,
    /// Workers that are being searched.
    searching: usize,
    n_searched: usize,
    /// The first matches in the order of the answer, and one more, which tells that there are more.
    matches: BTreeMap<(Order, usize), Match>,
    skipped: Vec<(Order, String)>,
    is_over: bool,
    /// Why it stopped early.
    stopped: Option<&'static str>,
}

enum Task {
    /// Find out in which order the workers of a second were made.
    LookUp(usize, Second),
    Search(Order, WorkerId),
}

impl Walk {
    pub(super) fn new(
        store: ArtifactStore,
        dir: Dir,
        pattern: Pattern,
        options: SearchOptions,
        seconds: Seconds,
    ) -> Self {
        let state = State {
            seconds,
            n_seconds: 0,
            looking_up: 0,
            workers: BTreeMap::new(),
            searching: 0,
            n_searched: 0,
            matches: BTreeMap::new(),
            skipped: Vec::new(),
            is_over: false,
            stopped: None,
        };
        Self {
            store,
            dir,
            pattern,
            options,
            state: Mutex::new(state),
            looked_up: Condvar::new(),
            over: Condvar::new(),
        }
    }

    /// Searches until all is done or, at `deadline`, time is up.
    ///
    /// A pattern can be slow in the middle of a piece, where nobody asks whether the search is over. The answer does not
    /// wait for that; the thread ends behind that piece, or that line if it is longer.
    pub(super) fn run(self, deadline: Option<Instant>) -> Result<SearchResult, StoreError> {
        let walk = Arc::new(self);
        let is_late = || deadline.is_some_and(|it| Instant::now() >= it);
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let n_threads = cores.min(walk.state().seconds.n_names());
        for n in (0..n_threads).take_while(|_| !is_late()) {
            let shared = Arc::clone(&walk);
            let thread = thread::Builder::new().name("triscope-search".to_owned());
            let started = thread.spawn(move || shared.work());
            if let Err(error) = started
                && n == 0
            {
                let path = walk.store.data_dir();
                return Err(StoreError::io("start a thread to search", path)(error));
            }
        }
        if n_threads == 0 {
            walk.state().is_over = true;
        }
        Ok(walk.wait(deadline))
    }

    fn wait(&self, deadline: Option<Instant>) -> SearchResult {
        let mut state = self.state();
        while !state.is_over {
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.over.wait(state),
                Some(Duration::ZERO) => {
                    (state.is_over, state.stopped) = (true, Some("the time limit was reached"));
                    break;
                }
                Some(left) => self
                    .over
                    .wait_timeout(state, left)
                    .map(|(state, _)| state)
                    .map_err(|it| PoisonError::new(it.into_inner().0)),
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
        let mut matches = std::mem::take(&mut state.matches);
        let mut stopped = state.stopped;
        let mut last = None;
        if matches.len() > self.options.max_matches {
            last = matches.pop_last().map(|((order, _), _)| order);
            stopped = Some("the limit on matches was reached");
        }
        let mut skipped = std::mem::take(&mut state.skipped);
        skipped.sort();
        // What threads came upon behind the last match is not the same each time.
        if let Some(last) = last {
            skipped.retain(|(order, _)| *order <= last);
        }
        SearchResult {
            matches: matches.into_values().collect(),
            workers_searched: state.n_searched,
            stopped,
            skipped: skipped.into_iter().map(|(_, what)| what).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one thread does.
    fn work(&self) {
        let _broken_off = BreakOff(self);
        let mut searcher = super::searcher(true);
        let filter = WorkerFilter {
            since: self.options.since,
            owner: self.options.owner.clone(),
            ..WorkerFilter::default()
        };
        let mut pulses = Pulses::default();
        let mut state = self.state();
        while let Some(task) = self.next(state) {
            match task {
                Task::LookUp(n_second, second) => {
                    let list = self.store.read_second(&second, &filter, &mut pulses);
                    state = self.state();
                    for (n, metadata) in list.workers.into_iter().enumerate() {
                        state.workers.insert((n_second, n), metadata.worker_id);
                    }
                    for problem in list.problems {
                        state.skipped.push(((n_second, 0), problem.to_string()));
                    }
                    state.looking_up -= 1;
                    self.looked_up.notify_all();
                }
                Task::Search(order, worker_id) => {
                    self.search(order, &worker_id, &filter, &mut pulses, &mut searcher);
                    state = self.state();
                    state.searching -= 1;
                }
            }
        }
    }

    fn search(
        &self,
        order: Order,
        worker_id: &WorkerId,
        filter: &WorkerFilter,
        pulses: &mut Pulses,
        searcher: &mut Searcher,
    ) {
        let outcome = self.store.if_there(&self.dir, worker_id, |worker| {
            let (metadata, text, opened) = metadata_of(worker, pulses)?;
            if !filter.matches(&metadata) {
                return Ok(());
            }
            self.state().n_searched += 1;
            let search = WorkerSearch {
                walk: self,
                worker,
                order,
                job_id: Cell::new(metadata.job_id),
                metadata: &opened,
                is_metadata_own: Cell::new(false),
                n_matches: Cell::new(0),
            };
            search.run(&text, searcher)
        });
        if let Some(Err(problem)) = outcome {
            self.state().skipped.push((order, problem.to_string()));
        }
    }

    /// What to do next; `None` if that is nothing.
    fn next(&self, mut state: MutexGuard<'_, State>) -> Option<Task> {
        loop {
            if state.is_over {
                return None;
            }
            let max = self.options.max_matches;
            if let Some((order, worker_id)) = state.workers.pop_first() {
                if state.may_matter((order, 0), max) {
                    state.searching += 1;
                    return Some(Task::Search(order, worker_id));
                }
                state.workers.clear();
                continue;
            }
            let n_second = state.n_seconds;
            if state.may_matter(((n_second, 0), 0), max)
                && let Some(second) = state.seconds.next()
            {
                state.n_seconds += 1;
                if let Some(worker_id) = second.only_worker() {
                    state.searching += 1;
                    return Some(Task::Search((n_second, 0), worker_id));
                }
                state.looking_up += 1;
                return Some(Task::LookUp(n_second, second));
            }
            if state.looking_up == 0 {
                if state.searching == 0 {
                    state.is_over = true;
                    self.over.notify_all();
                }
                return None;
            }
            let woken = self.looked_up.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What `metadata.json` says, its text, and the file, which may not be the worker's own.
fn metadata_of(
    worker: &WorkerReader,
    pulses: &mut Pulses,
) -> Result<(Metadata, Vec<u8>, Unproven), StoreError> {
    let read = || {
        let opened = worker.open_unproven(file_names::METADATA).ok()?;
        let text = worker.metadata_text(&opened.file).ok()?;
        Some((worker.parse_metadata(&text).ok()?, text, opened))
    };
    if let Some(whole) = read().filter(|(it, ..)| it.status.is_final()) {
        return Ok(whole);
    }
    // One that seems to run may have died, which whoever looks writes down. And what is wrong is only told of a file that is
    // the worker's own.
    worker.metadata_with(pulses)?;
    read().ok_or_else(|| worker.damaged("it changes all the time".to_owned()))
}

impl State {
    /// Whether a match at that place would be in the answer.
    fn may_matter(&self, place: (Order, usize), max_matches: usize) -> bool {
        let last = self.matches.last_key_value();
        !self.is_over
            && (self.matches.len() <= max_matches || last.is_some_and(|(it, _)| place < *it))
    }
}

/// Sees to it that nobody waits for a thread that is gone.
struct BreakOff<'a>(&'a Walk);

impl Drop for BreakOff<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.state();
            (state.is_over, state.stopped) = (true, Some("the search broke off"));
            self.0.over.notify_all();
            self.0.looked_up.notify_all();
        }
    }
}

/// The search of one worker's files.
struct WorkerSearch<'a> {
    walk: &'a Walk,
    worker: &'a WorkerReader,
    order: Order,
    job_id: Cell<Option<u64>>,
    /// What `job_id` is from.
    metadata: &'a Unproven,
    is_metadata_own: Cell<bool>,
    n_matches: Cell<usize>,
}

impl WorkerSearch<'_> {
    /// Searches all files; of `metadata.json` what was read of it.
    fn run(&self, metadata: &[u8], searcher: &mut Searcher) -> Result<(), StoreError> {
        for name in self.worker.files()? {
            if !self.goes_on() {
                break;
            }
            let outcome = if name == file_names::METADATA {
                self.file(&name, metadata, self.metadata, searcher)
            } else {
                let opened = self.worker.open_unproven(&name);
                opened.and_then(|it| self.file(&name, &it.file, &it, searcher))
            };
            match outcome {
                Ok(()) => {}
                Err(StoreError::Refused { problem, .. }) => {
                    let path = self.worker.path().join(&name);
                    self.skip(format!("`{}`: {problem}", path.display()));
                }
                Err(error) => self.skip(error.to_string()),
            }
        }
        Ok(())
    }

    fn file(
        &self,
        name: &str,
        text: impl Read,
        opened: &Unproven,
        searcher: &mut Searcher,
    ) -> Result<(), StoreError> {
        let pattern = &self.walk.pattern;
        let mut sink = Collect {
            name,
            unproven: Some(opened),
            is_refused: false,
            search: self,
        };
        let mut outcome = searcher.search_reader(pattern, Piecewise(text, self), &mut sink);
        if sink.is_refused {
            // It was moved away or replaced; or it was slipped in, which opening it with care tells.
            let file = self.worker.open_file(name)?;
            sink.unproven = None;
            outcome = searcher.search_reader(pattern, Piecewise(&file, self), &mut sink);
        }
        outcome.map_err(StoreError::io("search", self.worker.path().join(name)))
    }

    fn skip(&self, what: String) {
        self.walk.state().skipped.push((self.order, what));
    }

    /// Whether another match would be in the answer.
    fn goes_on(&self) -> bool {
        let place = (self.order, self.n_matches.get());
        let max = self.walk.options.max_matches;
        self.walk.state().may_matter(place, max)
    }

    /// The job, of metadata that is the worker's own. That takes longer than to read a small file, so it is looked at where
    /// there is something to tell.
    fn job_id(&self) -> Result<Option<u64>, StoreError> {
        if !self.is_metadata_own.get() {
            if !self.worker.is_own(self.metadata) {
                self.job_id.set(self.worker.metadata_as_written()?.job_id);
            }
            self.is_metadata_own.set(true);
        }
        Ok(self.job_id.get())
    }
}

/// A text that ends where the search is over.
struct Piecewise<'a, R>(R, &'a WorkerSearch<'a>);

impl<R: Read> Read for Piecewise<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self(text, search) = self;
        if !search.goes_on() {
            return Ok(0);
        }
        let piece = bytes.len().min(PIECE);
        text.read(&mut bytes[..piece])
    }
}

/// Collects a file's matching lines.
struct Collect<'a> {
    name: &'a str,
    /// The file, until it is known to be the worker's own.
    unproven: Option<&'a Unproven>,
    is_refused: bool,
    search: &'a WorkerSearch<'a>,
}

impl Sink for Collect<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        let search = self.search;
        if let Some(file) = self.unproven.take()
            && !search.worker.is_own(file)
        {
            self.is_refused = true;
            return Ok(false);
        }
        let walk = search.walk;
        let max = walk.options.max_matches;
        let place = (search.order, search.n_matches.get());
        let found = Match {
            worker_id: search.worker.id().clone(),
            job_id: search.job_id().map_err(io::Error::other)?,
            file: self.name.to_owned(),
            line: found.line_number().unwrap_or(0),
            text: walk.pattern.excerpt(found.bytes(), walk.options.max_chars),
        };
        let mut state = walk.state();
        if !state.may_matter(place, max) {
            return Ok(false);
        }
        state.matches.insert(place, found);
        if state.matches.len() > max.saturating_add(1) {
            state.matches.pop_last();
        }
        search.n_matches.set(place.1 + 1);
        Ok(state.may_matter((place.0, place.1 + 1), max))
    }
}
