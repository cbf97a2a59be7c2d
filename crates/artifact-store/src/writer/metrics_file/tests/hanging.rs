//! A write that hangs, as on a network disk.

use std::time::Duration;

use metrics_core::{EventSink as _, SinkError};

use super::{LONG, ROOMY, metrics_file, numbers, record, tools_of, writer, writer_in};
use crate::{
    disk::fake::{Fate, faulty_disk},
    writer::{Budget, MAX_THREADS, RecordMode},
};

#[test]
fn a_write_that_hangs_holds_up_no_other_worker() {
    for mode in RecordMode::ALL {
        let (disk, state, ended) = faulty_disk(|_| Fate::Done);
        let budget = Budget::new(ROOMY);
        let writer = writer_in(mode, disk, &budget);
        let other = metrics_file(&writer, "other");
        let keeper = state.hang("hangs");
        let hangs = metrics_file(&writer, "hangs");
        std::thread::scope(|scope| {
            scope.spawn(|| record(&hangs, "0"));
            keeper.wait_until_reached();
            let flush = hangs.flush(&hangs.worker);
            for n in 0..10 {
                record(&other, &n.to_string());
                other.flush(&other.worker).wait(LONG).unwrap();
            }
            assert_eq!(other.close(LONG).0.lost, 0);
            assert_eq!(tools_of(&state, "other"), numbers(0..10), "{mode}");
            assert!(state.content("hangs").is_empty());
            keeper.let_one_through();
            flush.wait(LONG).unwrap();
        });
        assert_eq!(tools_of(&state, "hangs"), ["0"]);
        drop((writer, other, hangs));
        ended.wait();
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn many_writes_may_hang_and_the_rest_goes_on_up_to_a_bound_of_threads() {
    let (disk, state, ended) = faulty_disk(|_| Fate::Done);
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    let other = metrics_file(&writer, "other");
    let mut hanging = Vec::new();
    for n in 0..MAX_THREADS {
        let name = n.to_string();
        let keeper = state.hang(&name);
        let file = metrics_file(&writer, &name);
        record(&file, "0");
        keeper.wait_until_reached();
        hanging.push((file, keeper));
        if n + 1 < MAX_THREADS {
            record(&other, &name);
            other.flush(&other.worker).wait(LONG).unwrap();
        }
    }
    // No thread is left. What comes now waits, and its end is in time and counted.
    record(&other, "kept");
    let answer = other.flush(&other.worker).wait(Duration::from_millis(300));
    assert!(matches!(answer, Err(SinkError::Timeout(_))), "{answer:?}");
    let late = metrics_file(&writer, "late");
    record(&late, "0");
    let (counts, reason) = late.close(Duration::from_millis(20));
    assert_eq!((counts.recorded, counts.lost), (1, 1));
    assert_eq!(reason.as_deref(), Some("the disk did not answer in time"));

    // One comes back and takes what waits.
    hanging[3].1.let_one_through();
    other.flush(&other.worker).wait(LONG).unwrap();
    let mut expected = numbers(0..MAX_THREADS - 1);
    expected.push("kept".to_owned());
    assert_eq!(tools_of(&state, "other"), expected);
    for (n, (file, keeper)) in hanging.iter().enumerate() {
        if n != 3 {
            keeper.let_one_through();
        }
        file.flush(&file.worker).wait(LONG).unwrap();
        assert_eq!(tools_of(&state, n.to_string()), ["0"]);
    }
    // Whoever is too many goes, and it still works.
    record(&other, "last");
    assert_eq!(other.close(LONG).0.lost, 0);
    drop((writer, other, late, hanging));
    ended.wait();
    assert_eq!(budget.used(), 0);
}
