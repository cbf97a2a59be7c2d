//! What ends up together.

use std::fs;

use super::{Group, Groups, Key};
use crate::{Filter, Input, scan};

const SEED: &str = include_str!("../../testdata/seed-metrics.jsonl");

fn groups(keys: &[Key]) -> Vec<(String, u64)> {
    let dir = tempfile::tempdir().unwrap();
    for (worker, owner) in [("w1", "ann"), ("w2", "bob")] {
        fs::create_dir(dir.path().join(worker)).unwrap();
        fs::write(dir.path().join(worker).join("metrics.jsonl"), SEED).unwrap();
        let metadata = format!("{{\"owner\":\"{owner}\",\"status\":\"success\"}}");
        fs::write(dir.path().join(worker).join("metadata.json"), metadata).unwrap();
    }
    let filter = Filter {
        with_metadata: true,
        ..Filter::default()
    };
    let (groups, seen) = scan(&[Input::Path(dir.path().into())], &filter, || {
        Groups::by(keys)
    });
    assert_eq!((seen.calls, seen.files, seen.problems), (6, 2, vec![]));
    let groups = groups.into_groups().into_iter();
    let mut named: Vec<_> = groups
        .map(|Group { values, stats }| {
            let values = values.into_iter().map(|it| it.unwrap_or("-".to_owned()));
            (values.collect::<Vec<_>>().join(" "), stats.count())
        })
        .collect();
    named.sort();
    named
}

fn is(keys: &[Key], expected: &[(&str, u64)]) {
    let found = groups(keys);
    let found: Vec<_> = found.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(found, expected, "{keys:?}");
}

#[test]
fn calls_are_grouped_by_what_their_kind_has() {
    is(&[], &[("", 6)]);
    is(&[Key::Event], &[("llm_call", 4), ("tool_call", 2)]);
    is(
        &[Key::Model, Key::Phase],
        &[("gpt-5-mini initial", 2), ("gpt-5-mini summary", 2)],
    );
    is(&[Key::Tool], &[("ssh_exec", 2)]);
    is(
        &[Key::Model, Key::Tool],
        &[("- ssh_exec", 2), ("gpt-5-mini -", 4)],
    );
    // A model call may have a provider; these have none.
    is(&[Key::Provider], &[("-", 4)]);
    is(&[Key::Worker, Key::Owner], &[("w1 ann", 3), ("w2 bob", 3)]);
    is(&[Key::Status, Key::Tool], &[("success ssh_exec", 2)]);
    is(&[Key::Hour], &[("2025-12-15T04:00Z", 6)]);
    is(&[Key::Day], &[("2025-12-15", 6)]);
}
