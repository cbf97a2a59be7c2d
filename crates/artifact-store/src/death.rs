//! Workers whose process died: the first one to find out writes it down.
//!
//! In the order of the [`Step`]s, so that a finder that is killed leaves something that the next one brings to the same
//! end: what is written into `metrics.jsonl` is known again there, and the metadata, written last, speaks of nothing that is
//! not there.

pub(crate) mod reaper_lock;

use std::{
    collections::HashSet,
    fmt,
    io::{self, BufRead, BufReader, Seek as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use metrics_core::{Event, EventReader, LineContent, Timestamp, WorkerId};

use self::reaper_lock::ReaperLock;
use crate::{
    METADATA_FORMAT, Metadata, Status, StoreError, WorkerReader,
    activity::{self, OpenCall},
    confined::{Dir, Refusal},
    file_names,
    liveness::{Liveness, Machine, Pulses},
    run, torn,
    whole_file::UNFINISHED,
};

/// The error of a worker whose process died.
pub const WORKER_DIED: &str = "worker process died";

/// A worker that was found dead and marked as such.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkerDeath {
    /// The worker.
    pub worker_id: WorkerId,
    /// The events that its calls in flight became.
    pub events: Vec<Event<'static>>,
}

type Tell = Box<dyn Fn(&WorkerDeath) + Send + Sync>;

/// What a store and its readers share to find dead workers.
pub(crate) struct Deaths {
    run_dir: PathBuf,
    machine: Machine,
    tell: OnceLock<Tell>,
}

/// How far marking has come: a test stops it behind each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// `finished_at` is written, as what follows changes the times of the files it is read from.
    Timed,
    /// The torn tail is in `metrics.torn`.
    Repaired,
    /// Calls in flight are events.
    Recorded,
    /// `activity.json` is gone, and so is what was being written aside.
    Cleared,
    /// The metadata says it.
    Marked,
}

impl Deaths {
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self {
            run_dir: run::run_dir(data_dir),
            machine: Machine::this(),
            tell: OnceLock::new(),
        }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn on_death(&self, tell: Tell) -> bool {
        self.tell.set(tell).is_ok()
    }

    pub(crate) fn liveness(&self, metadata: &Metadata, pulses: &mut Pulses) -> Liveness {
        if metadata.status.is_final() {
            return Liveness::Ended;
        }
        let Some(run) = &metadata.run else {
            return Liveness::Unknown;
        };
        if run::is_own(run) {
            return Liveness::Alive;
        }
        let verdict = self.machine.verdict(metadata);
        verdict.unwrap_or_else(|| self.run_liveness(run, pulses))
    }

    pub(crate) fn run_liveness(&self, run: &str, pulses: &mut Pulses) -> Liveness {
        pulses.liveness(&self.run_dir, run)
    }

    /// What `metadata`, just read, is to be taken for: of a dead worker the mark, written down where that can be done.
    pub(crate) fn settle(
        &self,
        worker: &WorkerReader,
        metadata: Metadata,
        pulses: &mut Pulses,
    ) -> Result<Metadata, StoreError> {
        if self.liveness(&metadata, pulses) != Liveness::Dead {
            return Ok(metadata);
        }
        // One that is taken is no reason to wait: its holder may be stopped.
        let lock = ReaperLock::try_take(&self.run_dir);
        // It may have ended before its process did, or been marked meanwhile.
        let mut metadata = worker.metadata_as_written()?;
        loop {
            if self.liveness(&metadata, pulses) != Liveness::Dead {
                return Ok(metadata);
            }
            let traces = Traces::examine(worker, &metadata);
            if lock.is_none() {
                // Its marking by another one changes the metadata first of all, and then what was looked at.
                let now = worker.metadata_as_written()?;
                if now != metadata {
                    metadata = now;
                    continue;
                }
            }
            let marked = traces.mark(&metadata);
            if lock.is_some()
                && metadata.format <= METADATA_FORMAT
                && traces.error.is_none()
                && traces.write(worker, &metadata, &mut |_| Ok(())).is_ok()
            {
                drop(lock);
                self.say(&WorkerDeath {
                    worker_id: metadata.worker_id,
                    events: traces.cut_off,
                });
            }
            return Ok(marked);
        }
    }

    fn say(&self, death: &WorkerDeath) {
        if let Some(tell) = self.tell.get() {
            // Somebody else's code may panic; who reads must not notice.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(death)));
        }
    }
}

/// What a dead worker left.
pub(crate) struct Traces {
    /// Its last sign of life.
    finished_at: Timestamp,
    /// Its calls in flight, as events, without those that are in the file.
    cut_off: Vec<Event<'static>>,
    file: MetricsTraces,
    /// Not all of it could be read, so nothing is written yet.
    error: Option<io::Error>,
}

/// What `metrics.jsonl` holds.
#[derive(Debug, Default)]
struct MetricsTraces {
    n_lines: u64,
    /// Something stands behind the last line end.
    is_torn: bool,
    /// It is no plain file, so that nothing can be added.
    is_foreign: bool,
}

impl Traces {
    pub(crate) fn examine(worker: &WorkerReader, metadata: &Metadata) -> Self {
        let started_at = metadata.started_at.unwrap_or(metadata.created_at);
        let mut file = MetricsTraces::default();
        let mut error = None;
        // A finder that came this far and no further has noted the time already.
        let finished_at = metadata.finished_at.unwrap_or_else(|| {
            let last_written = worker.dir().last_written().unwrap_or_else(|it| {
                error = Some(it);
                None
            });
            last_written.unwrap_or(started_at)
        });
        let finished_at = finished_at.max(started_at);
        let calls = activity::read(worker.dir()).and_then(|mut calls| {
            file.read(worker.dir(), &mut calls)?;
            Ok(calls)
        });
        let calls = calls.unwrap_or_else(|it| {
            error = Some(it);
            Vec::new()
        });
        Self {
            finished_at,
            cut_off: calls
                .into_iter()
                .map(|it| it.into_event(finished_at))
                .collect(),
            file,
            error,
        }
    }

    fn mark(&self, metadata: &Metadata) -> Metadata {
        let started_at = metadata.started_at.unwrap_or(metadata.created_at);
        let micros = self.finished_at.unix_micros() - started_at.unix_micros();
        let micros = u64::try_from(micros).unwrap_or(0);
        Metadata {
            status: Status::Failed,
            error: Some(WORKER_DIED.to_owned()),
            finished_at: Some(self.finished_at),
            duration_ms: Some(micros / 1000),
            duration_us: Some(micros),
            events: Some(self.file.n_lines + self.cut_off.len() as u64),
            events_lost: None,
            ..metadata.clone()
        }
    }

    /// Writes the mark and all that goes before it. An error leaves the rest to the next finder.
    pub(crate) fn write(
        &self,
        worker: &WorkerReader,
        metadata: &Metadata,
        reached: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> io::Result<()> {
        let dir = worker.dir();
        let write = |metadata: &Metadata| {
            let mut json = serde_json::to_vec_pretty(metadata)?;
            json.push(b'\n');
            dir.write_whole(file_names::METADATA, &json)
        };
        if !self.file.is_foreign && (self.file.is_torn || !self.cut_off.is_empty()) {
            write(&Metadata {
                finished_at: Some(self.finished_at),
                ..metadata.clone()
            })?;
            reached(Step::Timed)?;
            let append = |name| dir.file_to_append(name).map_err(Refusal::into_io);
            let mut metrics = append(file_names::METRICS)?;
            torn::move_tail(&mut metrics, || append(file_names::TORN))?;
            reached(Step::Repaired)?;
            let mut lines = Vec::new();
            for event in &self.cut_off {
                event.encode(&mut lines);
                lines.push(b'\n');
            }
            metrics.write_all(&lines)?;
            reached(Step::Recorded)?;
        }
        // Its calls are events now, so nothing is lost if this is as far as it goes.
        let names = dir.names()?.into_iter().map(|(name, _)| name);
        for name in names.filter(|it| it == file_names::ACTIVITY || it.ends_with(UNFINISHED)) {
            // What cannot be removed, as a directory, is in nobody's way.
            let _ = dir.remove(&name);
        }
        reached(Step::Cleared)?;
        write(&self.mark(metadata))?;
        reached(Step::Marked)
    }
}

impl MetricsTraces {
    /// Counts the lines and strikes out the calls that are among them, or cannot be added.
    fn read(&mut self, worker: &Dir, calls: &mut Vec<OpenCall>) -> io::Result<()> {
        let mut file = match worker.file(file_names::METRICS) {
            Ok(file) => BufReader::with_capacity(64 << 10, file),
            Err(Refusal::NotFound) => return Ok(()),
            Err(Refusal::Io(error)) => return Err(error),
            Err(Refusal::NotConfined(_)) => {
                self.is_foreign = true;
                calls.clear();
                return Ok(());
            }
        };
        loop {
            let bytes = file.fill_buf()?;
            let Some(last) = bytes.last() else { break };
            self.is_torn = *last != b'\n';
            self.n_lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            let n_bytes = bytes.len();
            file.consume(n_bytes);
        }
        if calls.is_empty() {
            return Ok(());
        }
        file.rewind()?;
        let starts: HashSet<_> = calls.iter().map(OpenCall::start_ts).collect();
        let mut reader = EventReader::new(file);
        while let Some(line) = reader.next_line()? {
            if let LineContent::Event(event) = &line.content
                && starts.contains(&event.time().start_ts())
                && let Some(at) = calls.iter().position(|it| it.is(event))
            {
                calls.remove(at);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Deaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deaths")
            .field("run_dir", &self.run_dir)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
