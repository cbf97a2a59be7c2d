//! Sinks that fail, fill up, block and come back. No test sleeps; flushes are the barriers.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::testing::{ScriptedSink, Step, block};

const LONG: Duration = Duration::from_mins(1);

fn spawn(sink: &ScriptedSink) -> LogWriter {
    LogWriter::spawn(sink.clone(), DEFAULT_QUEUE_BYTES).unwrap()
}

/// Pushes lines one by one, each waited for.
fn push_all(writer: &LogWriter, lines: &[&str]) {
    for line in lines {
        writer.push(format!("{line}\n").as_bytes());
        writer.flush(LONG).unwrap();
    }
}

#[test]
fn a_line_is_one_write() {
    let sink = ScriptedSink::default();
    let writer = spawn(&sink);
    let (step, reached, go_on) = block();
    sink.then([step]);
    writer.push(b"one\n");
    reached.recv().unwrap();
    for line in ["two\n", "three\n", "four\n"] {
        writer.push(line.as_bytes()); // These wait and become one batch.
    }
    go_on.send(()).unwrap();
    writer.flush(LONG).unwrap();
    assert_eq!(
        (sink.text().as_str(), sink.writes()),
        ("one\ntwo\nthree\nfour\n", 4)
    );
    assert_eq!(writer.dropped(), 0);
}

#[test]
fn a_partial_write_is_finished() {
    let sink = ScriptedSink::new([
        Step::Take(2),
        Step::Fail(ErrorKind::Interrupted),
        Step::Take(1),
    ]);
    push_all(&spawn(&sink), &["first", "second"]);
    assert_eq!(sink.text(), "first\nsecond\n");
}

#[test]
fn a_busy_sink_is_tried_again() {
    let busy = || Step::Fail(ErrorKind::WouldBlock);
    let sink = ScriptedSink::new([busy(), busy(), Step::Take(2), busy()]);
    push_all(&spawn(&sink), &["first"]);
    assert_eq!(sink.text(), "first\n");
}

#[test]
fn dropped_lines_are_counted_and_said_where_they_are_missing() {
    let fail = || Step::Fail(ErrorKind::StorageFull);
    let sink = ScriptedSink::default();
    let writer = spawn(&sink);
    push_all(&writer, &["kept"]);
    // The line; the notice after it; the notice before the next line and after it.
    sink.then([fail(), fail(), fail(), fail()]);
    push_all(&writer, &["lost", "lost"]);
    assert_eq!(writer.dropped(), 2);
    push_all(&writer, &["back", "again"]);
    insta::assert_snapshot!(sink.text(), @"
    kept
    T WARN events_dropped lost=2 target=log_format
    back
    again
    ");
    assert_eq!(writer.dropped(), 2);
}

#[test]
fn a_torn_line_is_not_glued_to_the_next() {
    let full = || Step::Fail(ErrorKind::StorageFull);
    // Half a line, then the disk is full for it and for the notice.
    let sink = ScriptedSink::new([Step::Take(3), full(), full()]);
    let writer = spawn(&sink);
    push_all(&writer, &["torn line", "next"]);
    let text = "tor \nT WARN events_dropped lost=1 target=log_format\nnext\n";
    assert_eq!(sink.text(), text);
    assert_eq!(writer.dropped(), 1);
}

#[test]
fn a_sink_that_panics_or_takes_nothing_only_loses_the_line() {
    let sink = ScriptedSink::new([Step::Panic, Step::Take(0)]);
    let writer = spawn(&sink);
    push_all(&writer, &["lost", "kept"]);
    insta::assert_snapshot!(sink.text(), @"
    T WARN events_dropped lost=1 target=log_format
    kept
    ");
    assert_eq!(writer.dropped(), 1);
}

#[test]
fn a_stuck_sink_stalls_nobody_and_the_queue_is_bounded() {
    let (step, reached, go_on) = block();
    let sink = ScriptedSink::new([step]);
    let writer = LogWriter::spawn(sink.clone(), 40).unwrap();
    writer.push(b"stuck 6789\n");
    reached.recv().unwrap();
    for _ in 0..5 {
        writer.push(b"later 6789\n"); // 11 bytes each: two fit beside the one in flight.
    }
    assert_eq!(writer.dropped(), 3);
    let error = writer.flush(Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "the log was not written within 0 ms");
    go_on.send(()).unwrap();
    writer.flush(LONG).unwrap();
    push_all(&writer, &["after"]);
    insta::assert_snapshot!(sink.text(), @"
    stuck 6789
    later 6789
    later 6789
    T WARN events_dropped lost=3 target=log_format
    after
    ");
}

#[test]
fn a_line_larger_than_the_queue_is_dropped_and_said() {
    let sink = ScriptedSink::default();
    let writer = LogWriter::spawn(sink.clone(), 10).unwrap();
    push_all(&writer, &["much too long a line", "short"]);
    assert_eq!(
        sink.text(),
        "T WARN events_dropped lost=1 target=log_format\nshort\n"
    );
}

#[test]
fn the_last_handle_lets_the_thread_finish_the_lines() {
    let (step, reached, go_on) = block();
    let (end, ended) = std::sync::mpsc::channel();
    let sink = ScriptedSink::new([step]);
    let writer = LogWriter::spawn(TellsItsEnd(sink.clone(), end), DEFAULT_QUEUE_BYTES).unwrap();
    writer.push(b"one\n");
    reached.recv().unwrap();
    writer.push(b"two\n");
    drop(writer);
    go_on.send(()).unwrap();
    assert!(ended.recv().is_err()); // The thread is gone, and the sink with it.
    assert_eq!(sink.text(), "one\ntwo\n");
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let sink = ScriptedSink::default();
    let writer = spawn(&sink);
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let writer = writer.clone();
            scope.spawn(move || {
                for it in 0..500 {
                    writer.push(format!("{name} {it}\n").as_bytes());
                }
            });
        }
    });
    writer.flush(LONG).unwrap();
    let text = sink.text();
    for name in ["a", "b", "c", "d"] {
        let of_thread = text
            .lines()
            .filter_map(|it| it.strip_prefix(name))
            .collect::<Vec<_>>();
        assert_eq!(
            of_thread,
            (0..500).map(|it| format!(" {it}")).collect::<Vec<_>>()
        );
    }
}

/// Its channel closes when the log thread ends.
struct TellsItsEnd(
    ScriptedSink,
    #[expect(dead_code, reason = "its drop is the news")] std::sync::mpsc::Sender<()>,
);

impl LineSink for TellsItsEnd {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.append(bytes)
    }
}
