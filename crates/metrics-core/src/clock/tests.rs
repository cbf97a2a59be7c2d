//! The clock rule at its limits.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{CallTime, Clock, LastLook, ManualClock};
use crate::Timestamp;

proptest! {
    #[test]
    fn stamps_and_duration_never_disagree(wall in any::<i64>(), nanos in any::<u64>()) {
        let time = CallTime::new(Timestamp::from_unix_micros(wall), Duration::from_nanos(nanos));
        let between = time.end_ts().unix_micros() - time.start_ts().unix_micros();
        prop_assert!(between >= 0);
        prop_assert_eq!(time.duration_ms(), between.unsigned_abs() / 1000);
        prop_assert_eq!(time.duration_ms(), nanos / 1_000_000);
    }
}

#[test]
fn the_longest_duration_fits_too() {
    let time = CallTime::new(Timestamp::MAX, Duration::MAX);
    assert_eq!(time.start_ts(), Timestamp::MIN);
    assert_eq!(time.end_ts(), Timestamp::MAX);
}

#[test]
fn a_wall_clock_set_back_leaves_the_duration_alone() {
    let manual = ManualClock::at("2025-12-15T04:08:08Z".parse().unwrap());
    let clock = manual.clock();
    let start = clock.start();
    manual.set_wall("2025-12-15T03:08:08Z".parse().unwrap());
    manual.advance(Duration::from_millis(7));
    let time = clock.finish(&start);
    assert_eq!(time.duration_ms(), 7);
    assert_eq!(time.end_ts().to_string(), "2025-12-15T04:08:08.007000Z");
}

#[test]
fn the_system_clock_is_near_the_machines() {
    let before = std::time::SystemTime::now();
    let ours = Clock::system().timestamp().unix_micros();
    let after = std::time::SystemTime::now();
    let micros = |it: std::time::SystemTime| {
        i64::try_from(
            it.duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_micros(),
        )
        .unwrap()
    };
    assert!((micros(before)..=micros(after)).contains(&ours));
}

#[test]
fn a_look_at_the_wall_clock_is_good_for_a_millisecond() {
    let seen = |micros: i64| Timestamp::from_unix_micros(1_000_000_000 + micros);
    let (look, first) = (LastLook::none(), Instant::now());
    let at = |micros| first + Duration::from_micros(micros);
    let none = || -> Timestamp { panic!("the wall clock was read again") };
    assert_eq!(look.timestamp_at(at(0), || seen(0)), seen(0));
    assert_eq!(look.timestamp_at(at(400), none), seen(400));
    assert_eq!(look.timestamp_at(at(999), none), seen(999));
    // By then it has been set back.
    assert_eq!(look.timestamp_at(at(1000), || seen(-7)), seen(-7));
    assert_eq!(look.timestamp_at(at(1999), none), seen(992));
    // Another thread's end, read earlier than our last look.
    assert_eq!(look.timestamp_at(at(900), || seen(5)), seen(5));
}
