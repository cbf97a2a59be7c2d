//! The thread that makes the index and settles what has ended, so that no answer waits for it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use super::{
    MAX_CHANGES,
    calls::{self, Budget},
    file::{self, IndexFile, Lock, Unusable},
    names::{self, Names},
    newest::Change,
    settled::{self, Settled},
};
use crate::{confined::Dir, data_dir::OWN_DIR};

/// Workers that are written with one turn, some milliseconds long.
const BATCH: usize = 500;
/// The same where nothing but their names is written.
const NAMES_BATCH: usize = 2000;
/// More bytes of events than this, some tenths of a second's reading, are not read for one batch.
const BATCH_BYTES: u64 = calls::MAX_BYTES;
/// A larger file of events is left until all workers have been read that have none.
const SMALL_BYTES: u64 = 64 << 10;
/// How long it waits for a turn.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much longer it may work once its store is at its end, so that programs that only list get on with it, too. As long
/// again at most for writing what it has read: killed in that, the whole index would be made anew.
const LAST_WORK: Duration = Duration::from_millis(500);

/// At most one thread that fills.
#[derive(Debug)]
pub(super) struct Filler {
    data_dir: PathBuf,
    own_dir: PathBuf,
    is_over: Arc<AtomicBool>,
    /// Hangs up when the thread is at its end.
    thread: Mutex<Option<Receiver<()>>>,
}

impl Filler {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        Self {
            own_dir: data_dir.join(OWN_DIR),
            data_dir,
            is_over: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Starts to fill, unless it is being done.
    pub(super) fn start(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let is_running = |it: &Receiver<()>| it.try_recv() == Err(mpsc::TryRecvError::Empty);
        if thread.as_ref().is_some_and(is_running) {
            return;
        }
        let (at_the_end, ended) = mpsc::channel::<()>();
        let filling = self.filling();
        let started = thread::Builder::new()
            .name("triscope-index".to_owned())
            .spawn(move || {
                let _at_the_end = at_the_end;
                // Whatever stands in the way, the next list starts it again.
                let _ = filling.fill();
            });
        *thread = started.is_ok().then_some(ended);
    }

    #[cfg(test)]
    pub(super) fn fill_here(&self, is_over: impl Fn() -> bool + Send + 'static) {
        let filling = Filling {
            is_over: Box::new(is_over),
            ..self.filling()
        };
        let _ = filling.fill();
    }

    fn filling(&self) -> Filling {
        let is_over = Arc::clone(&self.is_over);
        Filling {
            data_dir: self.data_dir.clone(),
            own_dir: self.own_dir.clone(),
            is_over: Box::new(move || is_over.load(Ordering::Relaxed)),
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let thread = self.thread.get_mut();
        if let Some(ended) = thread.unwrap_or_else(PoisonError::into_inner) {
            // The thread sends nothing: it hangs up.
            if ended.recv_timeout(LAST_WORK) == Err(RecvTimeoutError::Timeout) {
                self.is_over.store(true, Ordering::Relaxed);
                let _ = ended.recv_timeout(LAST_WORK);
            }
        }
    }
}

struct Filling {
    data_dir: PathBuf,
    own_dir: PathBuf,
    is_over: Box<dyn Fn() -> bool + Send>,
}

impl Filling {
    fn fill(&self) -> Result<(), Unusable> {
        let mut index = {
            let lock = self.turn()?;
            match open(&self.own_dir, &lock) {
                Ok(index) => index,
                Err(Unusable) => IndexFile::create(&self.own_dir, &lock)?,
            }
        };
        self.add_names(&mut index)?;
        let unsettled = "SELECT id FROM worker WHERE status IS NULL ORDER BY second DESC";
        self.settle(&mut index, unsettled, SMALL_BYTES)?;
        self.write(&mut index, file::set_full)?;
        // A list needs no more. In no order, so that a file that takes longer than there is time keeps back no other.
        let unseen = "SELECT id FROM worker
            WHERE last_end IS NULL AND calls IS NULL AND status IS NOT NULL ORDER BY random()";
        self.settle(&mut index, unseen, calls::MAX_BYTES)
    }

    fn add_names(&self, index: &mut IndexFile) -> Result<(), Unusable> {
        // As where others catch up: in the turn that they are written in.
        let lock = self.turn()?;
        let names = Names::read(&self.dir()?, settled::now())?;
        index.state()?;
        let difference = names.difference(index)?;
        if difference.gone.len() > MAX_CHANGES.max(difference.n_kept) {
            // Anew is quicker, and a file does not shrink.
            *index = IndexFile::create(&self.own_dir, &lock)?;
            drop(lock);
            return self.add_names(index);
        }
        // What is gone is taken out in the turn that it was found in: it may be there again in the next one.
        index.write(&lock, |it| {
            difference.apply_gone(it)?;
            file::set_names(it, None)
        })?;
        drop(lock);
        for new in difference.new.chunks(NAMES_BATCH) {
            self.write(index, |it| names::insert(it, new))?;
        }
        self.write(index, |it| file::set_names(it, difference.stamp))
    }

    /// Reads the workers whose ids `sql` selects, and writes them batch by batch.
    fn settle(&self, index: &mut IndexFile, sql: &str, max_bytes: u64) -> Result<(), Unusable> {
        let ids = {
            let _lock = self.turn()?;
            let mut statement = index.connection.prepare(sql)?;
            let ids = statement.query_map([], |row| row.get(0))?;
            ids.collect::<rusqlite::Result<Vec<String>>>()?
        };
        let dir = self.dir()?;
        let mut rest = &*ids;
        while !rest.is_empty() {
            self.go_on()?;
            let mut budget = Budget::new(max_bytes, BATCH_BYTES, &self.is_over);
            let (mut changes, mut n_done) = (Vec::new(), 0);
            for id in rest.iter().take(BATCH) {
                if !budget.goes_on() {
                    break;
                }
                let settled = Settled::read_with_calls(&dir, id, &mut budget);
                if budget.is_spent() {
                    break; // The next batch begins with it.
                }
                changes.extend(settled.map(Change::Settle));
                n_done += 1;
            }
            rest = &rest[n_done..];
            if !changes.is_empty() {
                self.write_at_last(index, |it| changes.iter().try_for_each(|one| one.apply(it)))?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        index: &mut IndexFile,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Unusable> {
        self.go_on()?;
        self.write_at_last(index, change)
    }

    /// The same, also when it is over, so that nothing has been read in vain.
    fn write_at_last(
        &self,
        index: &mut IndexFile,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Unusable> {
        let lock = self.lock()?;
        index.state()?; // Deleted or replaced meanwhile, it is no use any more.
        index.write(&lock, change)
    }

    fn turn(&self) -> Result<Lock, Unusable> {
        self.go_on()?;
        self.lock()
    }

    fn lock(&self) -> Result<Lock, Unusable> {
        let is_over = (self.is_over)();
        let patience = if is_over { super::PATIENCE } else { PATIENCE };
        Lock::exclusive(&self.own_dir, patience)
    }

    fn go_on(&self) -> Result<(), Unusable> {
        if (self.is_over)() {
            Err(Unusable)
        } else {
            Ok(())
        }
    }

    fn dir(&self) -> Result<Dir, Unusable> {
        Dir::open(&self.data_dir).map_err(|_| Unusable)
    }
}

/// The file that is there, if it can be used.
fn open(own_dir: &Path, lock: &Lock) -> Result<IndexFile, Unusable> {
    let index = IndexFile::open(own_dir, lock)?;
    index.state()?;
    Ok(index)
}
