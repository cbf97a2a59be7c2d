//! All orders of all steps: recording, the hand-over to the thread, barriers, an end, on a disk that may fail.
//!
//! A step is what happens under one lock. A run follows a list of choices; the next run takes the next list, until all
//! were taken. So what holds here holds in every schedule of these programs.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use metrics_core::{Flush, SinkError};

use super::{CHUNK_BYTES, Chunk, Pending, Progress, Recorded};
use crate::writer::{appender::Outcome, budget::Budget, queue::Queue};

/// Where a run has a choice: which one it takes, of how many.
#[derive(Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    fn choose(&mut self, n: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, n));
        }
        let (choice, of) = self.taken[self.at];
        assert_eq!(of, n, "the same choices lead to the same run");
        self.at += 1;
        choice
    }

    /// Goes on to the next list of choices; false after the last one.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, of)) = self.taken.pop() {
            if choice + 1 < of {
                self.taken.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

/// Somebody's program, and where he is in it.
enum Actor {
    /// Records so many events and goes on.
    Recorder {
        events: usize,
        pushes: bool,
    },
    /// Records so many events, and waits for each.
    Caller {
        events: usize,
        at: CallerAt,
    },
    Thread(ThreadAt),
    /// Sets a barrier.
    Flusher {
        pushes: Option<bool>,
        starts: bool,
    },
    /// Sets a barrier, and may lose patience at any moment.
    Closer {
        pushes: Option<bool>,
        starts: bool,
        waits_for: Option<usize>,
    },
}

enum CallerAt {
    Start,
    Waits(u64),
    Writes(Chunk, Option<u64>),
    Failed,
    Retries,
}

enum ThreadAt {
    Looks,
    Takes,
    Writes(Chunk),
    Requeues(Progress),
}

struct Barrier {
    flush: Pin<Box<Flush>>,
    recorded: u64,
    answer: Option<Result<(), SinkError>>,
}

struct World {
    pending: Pending,
    queue: Queue<()>,
    appender_is_here: bool,
    barriers: Vec<Barrier>,
    budget: Arc<Budget>,
    file: Vec<u64>,
    line_bytes: usize,
    failures_left: usize,
    now: Instant,
}

impl World {
    /// The line of the next event says its number.
    fn next_line(&self) -> impl Fn(&mut Vec<u8>) + use<> {
        let (n, len) = (self.pending.counts().recorded + 1, self.line_bytes);
        move |buffer| {
            let line = n.to_string() + &" ".repeat(len);
            buffer.extend_from_slice(line.as_bytes());
            buffer.push(b'\n');
        }
    }

    /// What the disk does with a chunk.
    fn append(&mut self, chunk: &Chunk, choices: &mut Choices) -> Outcome {
        let lines: Vec<&[u8]> = chunk.bytes.split_inclusive(|it| *it == b'\n').collect();
        assert_eq!(lines.len() as u64, chunk.lines);
        let may_fail = self.failures_left > 0 && !lines.is_empty();
        let (written, fails) = match choices.choose(if may_fail { 3 } else { 1 }) {
            0 => (lines.len(), false),
            1 => (0, true),
            _ => (lines.len() / 2, true),
        };
        self.failures_left -= usize::from(fails);
        for line in &lines[..written] {
            let n = str::from_utf8(line).unwrap().trim().parse().unwrap();
            self.file.push(n);
        }
        Outcome {
            bytes: lines[..written].iter().map(|it| it.len()).sum(),
            lines: written as u64,
            elsewhere: 0,
            error: fails.then(|| io::ErrorKind::StorageFull.into()),
            opened: false,
        }
    }

    fn put_back(&mut self, chunk: Chunk, by_thread: bool, choices: &mut Choices) -> Progress {
        let outcome = self.append(&chunk, choices);
        let (progress, answers, _) =
            self.pending
                .put_back(&self.budget, chunk, &outcome, by_thread);
        self.appender_is_here = true;
        answers.give();
        progress
    }

    fn flush(&mut self) -> bool {
        let recorded = self.pending.counts().recorded;
        let (flush, is_new) = self.pending.flush();
        self.barriers.push(Barrier {
            flush: Box::pin(flush),
            recorded,
            answer: None,
        });
        is_new
    }

    fn push(&mut self, is_new: bool) {
        if is_new {
            self.queue.push(Arc::new(()));
        }
    }

    fn retry(&mut self) {
        self.queue.retry(self.now, Arc::new(()), 1);
        self.now += Duration::from_secs(1); // Due at once.
    }

    /// A barrier without a loss means that all before it is there.
    fn check_barriers(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for it in &mut self.barriers {
            if it.answer.is_none()
                && let Poll::Ready(answer) = it.flush.as_mut().poll(&mut context)
            {
                if answer.is_ok() {
                    let expected: Vec<u64> = (1..=it.recorded).collect();
                    assert!(self.file.starts_with(&expected), "{:?}", self.file);
                }
                it.answer = Some(answer);
            }
        }
    }
}

impl Actor {
    fn can_step(&self, world: &World) -> bool {
        match self {
            Self::Recorder { events, pushes } => *events > 0 || *pushes,
            Self::Caller { events, at } => match at {
                CallerAt::Start => *events > 0,
                CallerAt::Waits(_) => world.appender_is_here,
                _ => true,
            },
            Self::Thread(at) => match at {
                ThreadAt::Looks => world.queue.is_due(world.now),
                ThreadAt::Takes => world.appender_is_here,
                _ => true,
            },
            Self::Flusher { pushes, starts } => *starts || pushes.is_some(),
            Self::Closer {
                pushes,
                starts,
                waits_for,
            } => {
                let answered = |it: usize| world.barriers[it].answer.is_some();
                *starts || pushes.is_some() || waits_for.is_some_and(|it| !answered(it))
            }
        }
    }

    fn step(&mut self, world: &mut World, choices: &mut Choices) {
        match self {
            Self::Recorder { events, pushes } => {
                if std::mem::take(pushes) {
                    world.push(true);
                    return;
                }
                *events -= 1;
                let line = world.next_line();
                let recorded = world.pending.record(&world.budget, Vec::new, line);
                *pushes = matches!(recorded, Recorded::Waits(_)) && world.pending.enqueue();
            }
            Self::Caller { events, at } => {
                *at = match std::mem::replace(at, CallerAt::Start) {
                    CallerAt::Start => {
                        *events -= 1;
                        let line = world.next_line();
                        if world.appender_is_here && world.pending.is_free() {
                            world.appender_is_here = false;
                            CallerAt::Writes(world.pending.record_in_hand(line), None)
                        } else {
                            match world.pending.record(&world.budget, Vec::new, line) {
                                Recorded::Waits(n) => CallerAt::Waits(n),
                                Recorded::Dropped => CallerAt::Start,
                            }
                        }
                    }
                    CallerAt::Waits(n) if world.pending.has_taken(n) => CallerAt::Start,
                    CallerAt::Waits(n) => {
                        world.appender_is_here = false;
                        CallerAt::Writes(world.pending.take(), Some(n))
                    }
                    CallerAt::Writes(chunk, n) => {
                        match (world.put_back(chunk, false, choices), n) {
                            (Progress::Failed { .. }, _) => CallerAt::Failed,
                            (_, Some(n)) => CallerAt::Waits(n),
                            (_, None) => CallerAt::Start,
                        }
                    }
                    CallerAt::Failed if world.pending.enqueue() => CallerAt::Retries,
                    CallerAt::Failed => CallerAt::Start,
                    CallerAt::Retries => {
                        world.retry();
                        CallerAt::Start
                    }
                };
            }
            Self::Thread(at) => {
                let now = world.now;
                *at = match std::mem::replace(at, ThreadAt::Looks) {
                    ThreadAt::Looks => {
                        world.queue.take_turn(|| now).unwrap();
                        ThreadAt::Takes
                    }
                    ThreadAt::Takes => {
                        world.appender_is_here = false;
                        let chunk = world.pending.take();
                        world.pending.take_flushes();
                        ThreadAt::Writes(chunk)
                    }
                    ThreadAt::Writes(chunk) => match world.put_back(chunk, true, choices) {
                        Progress::Idle => ThreadAt::Looks,
                        progress => ThreadAt::Requeues(progress),
                    },
                    ThreadAt::Requeues(Progress::Failed { .. }) => {
                        world.retry();
                        ThreadAt::Looks
                    }
                    ThreadAt::Requeues(_) => {
                        world.push(true);
                        ThreadAt::Looks
                    }
                };
            }
            Self::Flusher { pushes, starts } => {
                if std::mem::take(starts) {
                    *pushes = Some(world.flush()).filter(|it| *it);
                } else if pushes.take().is_some() {
                    world.push(true);
                }
            }
            Self::Closer {
                pushes,
                starts,
                waits_for,
            } => {
                if std::mem::take(starts) {
                    *waits_for = Some(world.barriers.len());
                    *pushes = Some(world.flush()).filter(|it| *it);
                } else if pushes.take().is_some() {
                    world.push(true);
                } else if waits_for.take().is_some() {
                    world.pending.abandon(&world.budget).give();
                }
            }
        }
    }
}

fn recorder(events: usize) -> Actor {
    Actor::Recorder {
        events,
        pushes: false,
    }
}

fn caller(events: usize) -> Actor {
    Actor::Caller {
        events,
        at: CallerAt::Start,
    }
}

fn flusher() -> Actor {
    Actor::Flusher {
        pushes: None,
        starts: true,
    }
}

fn closer() -> Actor {
    Actor::Closer {
        pushes: None,
        starts: true,
        waits_for: None,
    }
}

/// Runs `actors` and a thread in all orders, with up to so many failures of the disk. Gives the number of runs, and of
/// those in which something was lost.
fn explore(actors: impl Fn() -> Vec<Actor>, failures: usize, line_bytes: usize) -> (usize, usize) {
    let mut choices = Choices::default();
    let (mut n_runs, mut n_lossy) = (0, 0);
    loop {
        n_runs += 1;
        n_lossy += usize::from(run(actors(), failures, line_bytes, &mut choices));
        if !choices.advance() {
            return (n_runs, n_lossy);
        }
    }
}

fn run(mut actors: Vec<Actor>, failures: usize, line_bytes: usize, choices: &mut Choices) -> bool {
    let mut world = World {
        pending: Pending::default(),
        queue: Queue::default(),
        appender_is_here: true,
        barriers: Vec::new(),
        budget: Budget::new(usize::MAX / 2),
        file: Vec::new(),
        line_bytes,
        failures_left: failures,
        now: Instant::now(),
    };
    actors.push(Actor::Thread(ThreadAt::Looks));
    loop {
        let able: Vec<usize> = (0..actors.len())
            .filter(|it| actors[*it].can_step(&world))
            .collect();
        if able.is_empty() {
            break;
        }
        let who = able[choices.choose(able.len())];
        actors[who].step(&mut world, choices);
        world.check_barriers();
    }
    // Nobody can go on: then nobody may wait for anything.
    for it in &actors {
        assert!(!matches!(
            it,
            Actor::Caller {
                at: CallerAt::Waits(_),
                ..
            }
        ));
    }
    assert!(world.barriers.iter().all(|it| it.answer.is_some()));
    let counts = world.pending.counts();
    assert_eq!(counts.recorded, world.file.len() as u64 + counts.lost);
    assert!(world.file.is_sorted_by(|one, other| one < other));
    assert_eq!(world.budget.used(), 0);
    counts.lost > 0
}

#[test]
fn nothing_recorded_stays_behind_and_a_barrier_is_one() {
    let (n_runs, n_lossy) = explore(|| vec![recorder(2), recorder(1), flusher()], 0, 1);
    assert!(n_runs > 500, "{n_runs}");
    assert_eq!(n_lossy, 0);
}

#[test]
fn a_disk_that_fails_in_between_loses_nothing() {
    let (n_runs, n_lossy) = explore(|| vec![recorder(3), flusher()], 2, 1);
    assert!(n_runs > 1000, "{n_runs}");
    assert_eq!(n_lossy, 0);
}

#[test]
fn chunks_keep_their_order_and_barriers_wait_for_the_last_one() {
    let (n_runs, n_lossy) = explore(|| vec![recorder(2), flusher()], 1, CHUNK_BYTES);
    assert!(n_runs > 300, "{n_runs}");
    assert_eq!(n_lossy, 0);
}

#[test]
fn an_end_at_any_moment_counts_exactly() {
    let (n_runs, n_lossy) = explore(|| vec![recorder(2), flusher(), closer()], 1, 1);
    assert!(n_runs > 1000, "{n_runs}");
    assert!(0 < n_lossy && n_lossy < n_runs, "{n_lossy} of {n_runs}");
}

#[test]
fn callers_that_wait_get_on_and_lose_nothing() {
    for actors in [
        || vec![caller(2), caller(1)],
        || vec![caller(1), caller(1), flusher()],
    ] {
        let (n_runs, n_lossy) = explore(actors, 1, 1);
        assert!(n_runs > 1000, "{n_runs}");
        assert_eq!(n_lossy, 0);
    }
}

#[test]
fn callers_that_wait_get_on_when_their_worker_ends() {
    let two = || vec![caller(1), caller(1), closer()];
    let one = || vec![caller(1), closer()];
    for (n_runs, n_lossy) in [explore(two, 0, 1), explore(one, 1, 1)] {
        assert!(n_runs > 100, "{n_runs}");
        assert!(0 < n_lossy && n_lossy < n_runs, "{n_lossy} of {n_runs}");
    }
}
