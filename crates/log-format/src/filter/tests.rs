//! Which events pass under which directives.

use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::testing::ScriptedSink;
use crate::{DEFAULT_QUEUE_BYTES, LogLayer, LogWriter};

/// The messages that pass, and the directives that were ignored.
fn passing(directives: &str) -> (String, Vec<String>) {
    let Filter { filter, ignored } = from_directives(directives, DEFAULT_DIRECTIVES);
    let sink = ScriptedSink::default();
    let writer = LogWriter::spawn(sink.clone(), DEFAULT_QUEUE_BYTES).unwrap();
    let layer = LogLayer::new(writer.clone()).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "triscope::telemetry", "ours");
        tracing::debug!(target: "triscope::telemetry", "ours-debug");
        tracing::error!(target: "other", "error");
        tracing::info!(target: "other", "info");
        tracing::debug!(target: "other", "debug");
    });
    writer.flush(std::time::Duration::from_mins(1)).unwrap();
    let messages = sink
        .text()
        .lines()
        .filter_map(|it| it.split(' ').nth(2).map(str::to_owned))
        .collect::<Vec<_>>();
    (
        messages.join(" "),
        ignored.into_iter().map(|it| it.directive).collect(),
    )
}

#[test]
fn the_default_is_info() {
    assert_eq!(passing(""), ("ours error info".to_owned(), vec![]));
    assert_eq!(passing(" , "), ("ours error info".to_owned(), vec![]));
}

#[test]
fn our_events_stay_whatever_the_directives_say_of_others() {
    assert_eq!(passing("off").0, "ours");
    assert_eq!(passing("error").0, "ours error");
    assert_eq!(
        passing("triscope=off,other=debug").0,
        "ours error info debug"
    );
    assert_eq!(passing("triscope::telemetry::sub=off,off").0, "ours");
    assert_eq!(passing("debug").0, "ours error info debug");
}

#[test]
fn directives_that_name_our_target_rule_it() {
    assert_eq!(passing("info,triscope::telemetry=off").0, "error info");
    assert_eq!(passing("triscope::telemetry=debug").0, "ours ours-debug");
    assert_eq!(
        passing("error, triscope::telemetry ").0,
        "ours ours-debug error"
    );
}

#[test]
fn a_bad_directive_is_left_out_and_reported() {
    assert_eq!(
        passing("other=loud,error"),
        ("ours error".to_owned(), vec!["other=loud".to_owned()])
    );
    assert_eq!(passing("!!").0, "ours error info");
    let notice = from_directives("a=b\u{1b} c", "info").ignored[0].notice();
    let notice = String::from_utf8(notice).unwrap();
    let line = crate::parse_line(&notice).unwrap();
    assert_eq!(
        (line.level, line.message.as_ref()),
        (tracing::Level::WARN, "log_filter_ignored")
    );
    assert_eq!(
        (line.get("directive"), line.target()),
        (Some("a=b\u{1b} c"), "log_format")
    );
}

#[test]
fn hostile_directives_do_no_harm() {
    for text in crate::testing::hostile_strings() {
        let _ = from_directives(&text, &text);
    }
}
