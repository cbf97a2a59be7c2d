//! A file that is deleted, moved, replaced, cut or written to by others, again and again: what is not in it is counted.

use std::sync::Arc;

use metrics_core::EventSink as _;

use super::{LONG, ROOMY, Random, metrics_file, numbers, record, tools_of, writer_in};
use crate::{
    disk::fake::{Fate, State, faulty_disk},
    writer::{Budget, RecordMode},
};

#[test]
fn whatever_happens_to_the_file_stored_and_lost_are_recorded_exactly() {
    for mode in RecordMode::ALL {
        let n_lost: u64 = (0..60).map(|it| swap_and_count(mode, it)).sum();
        assert!(n_lost > 100, "{mode}: {n_lost}");
    }
}

/// Gives the number of events that were lost.
fn swap_and_count(mode: RecordMode, seed: u64) -> u64 {
    let mut random = Random(seed * 2 + 1);
    let (disk, state, _) = faulty_disk(|_| Fate::Done);
    let writer = writer_in(mode, disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    let mut recorded = 0;
    for _ in 0..60 {
        match random.next() % 12 {
            0 => state.replace("f", None),
            1 => state.replace("f", Some(b"{\"tool\":\"other\"}\n")),
            2 => state.mv("f", "away"),
            3 => state.mv("away", "f"),
            4 => {
                let answer = file.flush(&file.worker).wait(LONG);
                check(
                    &state,
                    recorded,
                    file.counts().lost,
                    &format!("{mode} {seed} {answer:?}"),
                );
                assert_eq!(answer.is_err(), file.counts().lost > 0);
            }
            _ => {
                record(&file, &recorded.to_string());
                recorded += 1;
            }
        }
    }
    let (counts, reason) = file.close(LONG);
    assert_eq!(counts.recorded, recorded);
    assert_eq!(reason.is_some(), counts.lost > 0);
    check(&state, recorded, counts.lost, &format!("{mode} {seed}"));
    counts.lost
}

fn check(state: &Arc<State>, recorded: u64, lost: u64, context: &str) {
    let tools = tools_of(state, "f");
    let stored: Vec<u64> = tools.iter().filter_map(|it| it.parse().ok()).collect();
    assert_eq!(stored.len() as u64 + lost, recorded, "{context}: {tools:?}");
    assert!(stored.is_sorted_by(|one, other| one < other), "{tools:?}");
}

#[test]
fn another_writers_half_line_is_moved_aside_before_the_next_event() {
    for mode in RecordMode::ALL {
        let (disk, state, _) = faulty_disk(|_| Fate::Done);
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        record(&file, "0");
        file.flush(&file.worker).wait(LONG).unwrap();
        state.append("f", b"{\"tool\":\"whole\"}\n{\"tool\":\"ha");
        // Noticed by the barrier at the latest; a caller that waits does not look at each event.
        file.flush(&file.worker).wait(LONG).unwrap();
        record(&file, "1");
        file.flush(&file.worker).wait(LONG).unwrap();
        assert_eq!(tools_of(&state, "f"), ["0", "whole", "1"], "{mode}");
        assert_eq!(state.content("f.torn"), b"{\"tool\":\"ha\n");
        assert_eq!(file.close(LONG).0.lost, 0);
    }
}

#[test]
fn a_file_cut_by_others_is_counted() {
    for mode in RecordMode::ALL {
        let (disk, state, _) = faulty_disk(|_| Fate::Done);
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        for n in 0..3 {
            record(&file, &n.to_string());
        }
        file.flush(&file.worker).wait(LONG).unwrap();
        state.cut("f", 0);
        assert!(file.flush(&file.worker).wait(LONG).is_err());
        assert_eq!(file.counts().lost, 3, "{mode}");
        record(&file, "3");
        let (counts, reason) = file.close(LONG);
        assert_eq!((counts.recorded, counts.lost), (4, 3), "{mode}");
        let expected = "metrics.jsonl was deleted or replaced";
        assert_eq!(reason.as_deref(), Some(expected));
        assert_eq!(tools_of(&state, "f"), numbers(3..4));
    }
}

#[test]
fn a_worker_without_events_has_lost_nothing_whatever_became_of_its_file() {
    let (disk, _, _) = faulty_disk(|_| Fate::Fails(rustix::io::Errno::IO));
    let writer = writer_in(RecordMode::Buffered, disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    assert_eq!(file.close(LONG * 60).0.lost, 0);
}
