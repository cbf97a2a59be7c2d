//! Wall clocks that jump: a call took what it took, and its three times agree.

use metrics_core::{Event, Timestamp};

use super::{Worker, hear};
use crate::start_tool_call;

fn times(worker: &Worker) -> Vec<String> {
    let time = |event: &Event<'_>| {
        let time = event.time();
        let micros = time.end_ts().unix_micros() - time.start_ts().unix_micros();
        assert_eq!(u64::try_from(micros).unwrap() / 1000, time.duration_ms());
        format!("{} +{}ms", time.start_ts(), time.duration_ms())
    };
    worker.events().iter().map(time).collect()
}

fn call_during(worker: &Worker, ms: u64, meanwhile: impl FnOnce()) {
    worker.collector.scope_sync(|| {
        let call = start_tool_call("t");
        worker.pass_ms(ms);
        meanwhile();
        call.succeed();
    });
}

#[test]
fn a_wall_clock_that_jumps_changes_no_duration() {
    let worker = Worker::new("w");
    let noon: Timestamp = "2025-12-15T12:00:00Z".parse().unwrap();
    let hour = 3_600_000_000;
    worker.time.set_wall(noon);
    for jump in [-hour, 24 * hour, -hour] {
        call_during(&worker, 7, || worker.time.set_wall(noon.plus_micros(jump)));
    }
    assert_eq!(
        times(&worker),
        [
            "2025-12-15T12:00:00.000000Z +7ms",
            "2025-12-15T11:00:00.000000Z +7ms",
            "2025-12-16T12:00:00.000000Z +7ms",
        ]
    );
    assert_eq!(worker.collector.totals().tool_us, 21_000);
}

#[test]
fn calls_before_1970_and_at_the_end_of_the_year_9999_keep_their_durations() {
    let (worker, heard) = (Worker::new("w"), hear());
    worker.time.set_wall(Timestamp::from_unix_micros(-1));
    call_during(&worker, 2, || ());
    worker.time.set_wall(Timestamp::MIN);
    call_during(&worker, 3, || ());
    // Beyond the range the start gives way.
    worker.time.set_wall(Timestamp::MAX);
    call_during(&worker, 1000, || ());
    assert_eq!(
        times(&worker),
        [
            "1969-12-31T23:59:59.999999Z +2ms",
            "0000-01-01T00:00:00.000000Z +3ms",
            "9999-12-31T23:59:58.999999Z +1000ms",
        ]
    );
    let last = Timestamp::MAX.unix_micros();
    assert!(heard.lines()[2].contains(&format!("end_unix_us={last} ")));
}
