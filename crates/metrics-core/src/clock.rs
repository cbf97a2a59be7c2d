//! The clock rule: wall clock for when, monotonic clock for how long.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::Timestamp;

/// Where times come from: the machine, or a [`ManualClock`] in a test.
///
/// Asking the machine's clock costs one predictable branch more than asking the machine.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<ManualTime>>);

impl Clock {
    /// The machine's clocks.
    pub const fn system() -> Self {
        Self(None)
    }

    /// The wall clock: when something happened. It may jump.
    #[inline]
    pub fn timestamp(&self) -> Timestamp {
        match &self.0 {
            None => system_timestamp(),
            Some(manual) => Timestamp::from_unix_micros(manual.wall_micros.load(Ordering::Relaxed)),
        }
    }

    /// The monotonic clock: how long something took. It never jumps.
    #[inline]
    pub fn instant(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(manual) => {
                let elapsed = Duration::from_nanos(manual.elapsed_nanos.load(Ordering::Relaxed));
                manual.anchor.checked_add(elapsed).unwrap_or(manual.anchor)
            }
        }
    }

    /// Starts timing a call: one monotonic read, and one wall read unless the last one is less than a millisecond old.
    #[inline]
    pub fn start(&self) -> CallStart {
        let instant = self.instant();
        let timestamp = match &self.0 {
            None => system_timestamp_at(instant),
            Some(_) => self.timestamp(),
        };
        CallStart { timestamp, instant }
    }

    /// Ends timing a call: one monotonic read.
    #[inline]
    pub fn finish(&self, start: &CallStart) -> CallTime {
        CallTime::new(start.timestamp, self.elapsed(start))
    }

    /// How long ago `start` was; zero if that lies ahead.
    #[inline]
    pub fn elapsed(&self, start: &CallStart) -> Duration {
        self.instant().saturating_duration_since(start.instant)
    }
}

/// What the wall clock shows at `now`, which has just been read.
#[inline]
fn system_timestamp_at(now: Instant) -> Timestamp {
    thread_local!(static WALL: LastLook = const { LastLook::none() });
    WALL.with(|it| it.timestamp_at(now, system_timestamp))
}

/// When a thread last looked at the wall clock, and what it saw.
///
/// Reading a clock is a good part of what recording costs. So within a millisecond the monotonic clock says how much
/// later it is.
struct LastLook(Cell<Option<(Instant, Timestamp)>>);

impl LastLook {
    const FRESH: Duration = Duration::from_millis(1);

    const fn none() -> Self {
        Self(Cell::new(None))
    }

    #[inline]
    fn timestamp_at(&self, now: Instant, look: impl FnOnce() -> Timestamp) -> Timestamp {
        if let Some((then, timestamp)) = self.0.get()
            && let Some(later) = now.checked_duration_since(then)
            && later < Self::FRESH
        {
            return timestamp.plus_micros(i64::from(later.subsec_micros()));
        }
        let timestamp = look();
        self.0.set(Some((now, timestamp)));
        timestamp
    }
}

fn system_timestamp() -> Timestamp {
    const LIMIT: u128 = i64::MAX as u128;
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_micros().min(LIMIT) as i64,
        // Rounded down, as `duration_since` below rounds towards zero.
        Err(before) => -(before.duration().as_nanos().div_ceil(1000).min(LIMIT) as i64),
    };
    Timestamp::from_unix_micros(micros)
}

/// A clock that stands still until a test moves it.
///
/// ```
/// use std::time::Duration;
/// use metrics_core::{ManualClock, Timestamp};
///
/// let manual = ManualClock::at("2025-12-15T04:08:08.123456Z".parse()?);
/// let clock = manual.clock();
/// let start = clock.start();
/// manual.advance(Duration::from_micros(98_765));
/// manual.set_wall(Timestamp::UNIX_EPOCH); // The wall clock jumps; the call took what it took.
/// let time = clock.finish(&start);
/// assert_eq!(time.duration_ms(), 98);
/// assert_eq!(time.end_ts().to_string(), "2025-12-15T04:08:08.222221Z");
/// # Ok::<(), metrics_core::TimestampError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<ManualTime>);

#[derive(Debug)]
struct ManualTime {
    anchor: Instant,
    elapsed_nanos: AtomicU64,
    wall_micros: AtomicI64,
}

impl ManualClock {
    /// A clock whose wall shows `wall`.
    pub fn at(wall: Timestamp) -> Self {
        Self(Arc::new(ManualTime {
            anchor: Instant::now(),
            elapsed_nanos: AtomicU64::new(0),
            wall_micros: AtomicI64::new(wall.unix_micros()),
        }))
    }

    /// The [`Clock`] to hand to the code under test.
    pub fn clock(&self) -> Clock {
        Clock(Some(Arc::clone(&self.0)))
    }

    /// Lets `duration` pass on both clocks.
    pub fn advance(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.elapsed_nanos.fetch_add(nanos, Ordering::Relaxed);
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let wall = Timestamp::from_unix_micros(self.0.wall_micros.load(Ordering::Relaxed));
        self.set_wall(wall.plus_micros(micros));
    }

    /// Sets the wall clock, forward or back; the monotonic clock stays.
    pub fn set_wall(&self, wall: Timestamp) {
        self.0
            .wall_micros
            .store(wall.unix_micros(), Ordering::Relaxed);
    }
}

/// When a call started, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct CallStart {
    timestamp: Timestamp,
    instant: Instant,
}

impl CallStart {
    /// When it started, on the wall clock.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

/// From when to when a call ran, and how long it took.
///
/// Invariant of a time made here: `end_ts` is `start_ts` plus the monotonic duration in whole microseconds, and
/// `duration_ms` is that duration rounded down, so the three never disagree and none is ever negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTime {
    start_ts: Timestamp,
    end_ts: Timestamp,
    duration_ms: u64,
}

impl CallTime {
    /// A call that started at `start` and took `elapsed` on the monotonic clock.
    ///
    /// At the end of the year 9999 the start is moved back, so that the end fits.
    #[inline]
    pub fn new(start: Timestamp, elapsed: Duration) -> Self {
        const LONGEST: i64 = Timestamp::MAX.unix_micros() - Timestamp::MIN.unix_micros();
        let micros = i64::try_from(elapsed.as_micros()).map_or(LONGEST, |it| it.min(LONGEST));
        let latest_start = Timestamp::MAX.plus_micros(-micros);
        let start_ts = start.min(latest_start);
        Self {
            start_ts,
            end_ts: start_ts.plus_micros(micros),
            duration_ms: micros.unsigned_abs() / 1000,
        }
    }

    /// The three values as another writer put them down, whether they agree or not.
    pub fn as_written(start_ts: Timestamp, end_ts: Timestamp, duration_ms: u64) -> Self {
        Self {
            start_ts,
            end_ts,
            duration_ms,
        }
    }

    /// When the call started.
    pub fn start_ts(&self) -> Timestamp {
        self.start_ts
    }

    /// When the call ended.
    pub fn end_ts(&self) -> Timestamp {
        self.end_ts
    }

    /// How long it took, in whole milliseconds, rounded down.
    pub fn duration_ms(&self) -> u64 {
        self.duration_ms
    }
}

#[cfg(test)]
mod tests;
