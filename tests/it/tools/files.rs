//! `list_dir` and `read_file`, below the directory that the program was called in.

use std::fs;

use metrics_core::Event;

use crate::{cli::Place, support::MetricsFile};

#[test]
fn a_worker_lists_and_reads_where_it_was_called() {
    let place = Place::new();
    fs::create_dir(place.folder().join("logs")).unwrap();
    fs::write(place.folder().join("logs/today.txt"), "all is well\n").unwrap();
    let dir = place.worker("list the files in logs then read logs/today.txt");
    let result = fs::read_to_string(dir.join("result.txt")).unwrap();
    assert_eq!(
        result,
        "logs holds:\nfile             12  today.txt\nlogs/today.txt says: all is well"
    );
    let metrics = MetricsFile::read(&dir.join("metrics.jsonl"));
    let tools: Vec<_> = metrics
        .events
        .iter()
        .filter_map(|it| match it {
            Event::ToolCall(call) => Some((call.tool.as_str(), call.outcome.is_success())),
            _ => None,
        })
        .collect();
    assert_eq!(tools, [("list_dir", true), ("read_file", true)]);
    let listed = fs::read_to_string(dir.join("tool_calls/001_list_dir.txt")).unwrap();
    assert_eq!(listed, "file             12  today.txt");

    let dir = place.worker("list the files in ../x");
    let result = fs::read_to_string(dir.join("result.txt")).unwrap();
    assert!(
        result.starts_with("list files in ../x failed: bad arguments: the path `../x` holds `..`"),
        "{result}"
    );
}
