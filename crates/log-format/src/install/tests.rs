//! The builder, without touching the global subscriber.

use tracing_subscriber::Layer as _;

use super::*;
use crate::testing::ScriptedSink;

#[test]
fn the_parts_of_a_log_work_in_a_registry_of_ones_own() {
    let sink = ScriptedSink::default();
    let log = to_sink(sink.clone())
        .filter("info,oops=1x")
        .worker_id(|| Some("w-1"))
        .build()
        .unwrap();
    let subscriber = Registry::default().with(log.layer.with_filter(log.filter));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "t", "seen");
        tracing::debug!(target: "t", "not seen");
    });
    log.guard.flush(Duration::from_mins(1)).unwrap();
    insta::assert_snapshot!(sink.text(), @r#"
    T WARN log_filter_ignored directive="oops\x3d1x" reason="error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5" target=log_format
    T INFO seen worker_id=w-1 target=t
    "#);
    assert_eq!(log.guard.dropped(), 0);
}

#[test]
fn a_dropped_guard_leaves_every_line_written() {
    let sink = ScriptedSink::default();
    let log = to_sink(sink.clone()).filter("info").build().unwrap();
    let subscriber = Registry::default().with(log.layer);
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..1000 {
            tracing::info!(target: "t", "seen");
        }
        drop(log.guard);
        assert_eq!(sink.text().lines().count(), 1000);
    });
}

#[test]
fn a_wrong_path_is_an_error_of_build() {
    let dir = tempfile::tempdir().unwrap();
    let error = to_file(dir.path()).build().unwrap_err();
    assert!(matches!(error, LogError::IsDirectory { .. }));
}
