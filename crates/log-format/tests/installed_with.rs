//! The global subscriber with a layer beside the log; a file of its own, as a process has one.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

/// Keeps the targets of events, and emits one about each that asks for it.
#[derive(Clone, Default)]
struct Beside(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Beside {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        self.0.lock().expect("no panic").push(target.to_owned());
        if target == "asks" {
            tracing::info!(target: "answers", "about it");
        }
    }
}

#[test]
fn a_layer_beside_the_log_sees_what_the_log_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let beside = Beside::default();
    let guard = log_format::to_file(&path)
        .filter("info,asks=off")
        .install_with(beside.clone())
        .unwrap();
    tracing::debug!(target: "quiet", "left out");
    tracing::info!(target: "asks", "left out");
    tracing::info!(target: "loud", "logged");
    guard.flush(Duration::from_mins(1)).unwrap();

    let seen = beside.0.lock().unwrap().clone();
    assert_eq!(seen, ["quiet", "asks", "answers", "loud"]);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|it| &it["2025-12-15 03:19:33 ".len()..]);
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["INFO about it target=answers", "INFO logged target=loud"]
    );
    assert!(log_format::to_stderr().install_with(beside).is_err());
}
