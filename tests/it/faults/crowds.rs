//! Ten thousand workers at once.

use std::{collections::BTreeMap, fs, process::Command};

use metrics_core::{Event, EventReader, LineContent};

use crate::support::{Tmpfs, finish, limited};

const WORKERS: usize = 10_000;

#[test]
fn ten_thousand_workers_at_once_keep_all_their_events_and_nobody_elses() {
    // In memory where that is permitted: thirty thousand files are much for a disk that others use too.
    let (memory, folder) = (Tmpfs::mount(1 << 30).ok(), tempfile::tempdir().unwrap());
    let folder = memory.as_ref().map_or(folder.path(), Tmpfs::path);
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowd"));
    command
        .arg(folder)
        .args(["--workers", &WORKERS.to_string()]);
    let bytes = finish(&mut limited("ulimit -n 512", &command)).json();
    let number = |key: &str| bytes[key].as_u64().unwrap();
    // A worker at once costs some kilobytes, tasks and its runtime's own included; an ended one costs nothing.
    assert!(number("most") < 256 << 20, "{bytes}");
    assert!(number("after") < number("before") + (4 << 20), "{bytes}");

    let mut n_workers = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_str().unwrap();
        if name == ".triscope" {
            continue;
        }
        n_workers += 1;
        let file = fs::read(dir.join("metrics.jsonl")).unwrap();
        let mut events = BTreeMap::new();
        let mut reader = EventReader::new(&file[..]);
        while let Some(line) = reader.next_line().unwrap() {
            let LineContent::Event(Event::ToolCall(call)) = line.content else {
                panic!("{line:?}");
            };
            assert_eq!(
                call.tool_call_id.as_deref(),
                Some(name),
                "another one's event"
            );
            *events.entry(call.tool.as_str().to_owned()).or_insert(0) += 1;
        }
        let expected = ["begin", "end", "task", "task in a task"].map(|it| (it.to_owned(), 1));
        assert_eq!(events, BTreeMap::from(expected), "{name}");
    }
    // Ten more came before, for what is made once.
    assert_eq!(n_workers, WORKERS + 10);
}
