//! The program `recorder`, and what it left in the files of its workers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use metrics_core::{Event, EventReader, LineContent};
use tempfile::TempDir;

use crate::support::{Background, Finished};

/// What recording can wait for.
pub(super) const MODES: [&str; 3] = ["buffered", "write-through", "fsync"];

/// A folder with a data directory and a file of acknowledgements.
#[derive(Debug)]
pub(super) struct Recording {
    folder: TempDir,
    data_dir: PathBuf,
}

impl Recording {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let data_dir = folder.path().join("workers");
        fs::create_dir(folder.path().join("acknowledged")).expect("a folder can be made");
        Self { folder, data_dir }
    }

    /// The same with a data directory elsewhere, as on another disk.
    pub(super) fn in_data_dir(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            ..Self::new()
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// `recorder DATA_DIR --acknowledged … ARGUMENTS`, not started yet.
    pub(super) fn command(&self, arguments: &str) -> Command {
        let mut command = self.command_without_acknowledgements(arguments);
        command
            .arg("--acknowledged")
            .arg(self.folder().join("acknowledged"));
        command
    }

    pub(super) fn command_without_acknowledgements(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
        command
            .arg(&self.data_dir)
            .arg("--wait")
            .arg(self.folder())
            .args(arguments.split_whitespace())
            .current_dir(self.folder());
        command
    }

    /// Starts it; it has begun to record when this returns.
    #[track_caller]
    pub(super) fn start(&self, arguments: &str) -> Background {
        started(&mut self.command(arguments))
    }

    /// Lets a recorder that has printed `stage <stage>` go on.
    pub(super) fn go_on(&self, stage: u32) {
        fs::write(self.folder().join(stage.to_string()), "").expect("a file can be made");
    }

    /// How many events of each thread of a worker are acknowledged.
    pub(super) fn acknowledged(&self, worker: &Path) -> Vec<u64> {
        let name = worker.file_name().expect("a worker's directory has a name");
        let bytes = fs::read(self.folder().join("acknowledged").join(name));
        // Killed early, it has not made it.
        let bytes = bytes.unwrap_or_default();
        let counts = bytes.chunks_exact(8);
        counts
            .map(|it| u64::from_le_bytes(it.try_into().expect("8 bytes")))
            .collect()
    }

    /// The directories of the workers, by name.
    pub(super) fn workers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.data_dir).expect("the data directory can be listed");
        let paths = entries.map(|it| it.expect("the data directory can be listed").path());
        let mut res: Vec<_> = paths.filter(|it| !it.ends_with(".triscope")).collect();
        res.sort();
        res
    }
}

/// Starts a recorder; it has begun to record when this returns.
#[track_caller]
pub(super) fn started(command: &mut Command) -> Background {
    let mut running = Background::start(command);
    assert_eq!(running.next_line(), "ready", "{:?}", running.finish());
    running
}

/// What a recorder says of its workers at the end.
#[track_caller]
pub(super) fn reports(finished: Finished) -> Vec<serde_json::Value> {
    let stdout = finished.answer();
    let objects = stdout.lines().filter(|it| it.starts_with('{'));
    objects
        .map(|it| serde_json::from_str(it).expect("an object a line"))
        .collect()
}

/// Some time within the first milliseconds, most of them short.
pub(super) fn random_moment() -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    Duration::from_micros(RandomState::new().hash_one(0) % 12_000)
}

/// What stands in one worker's `metrics.jsonl`.
#[derive(Debug, PartialEq)]
pub(super) struct Stored {
    /// Each thread's events, by their numbers, in the order of the file.
    pub(super) threads: BTreeMap<u64, Vec<u64>>,
    /// What stands behind the last line end.
    pub(super) torn: Vec<u8>,
}

impl Stored {
    /// Reads the file; a whole line that is none of the recorder's is a failure.
    #[track_caller]
    pub(super) fn read(worker: &Path) -> Self {
        let path = worker.join("metrics.jsonl");
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let whole = bytes
            .iter()
            .rposition(|it| *it == b'\n')
            .map_or(0, |it| it + 1);
        let mut threads: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut reader = EventReader::new(&bytes[..whole]);
        while let Some(line) = reader.next_line().expect("memory can be read") {
            let LineContent::Event(Event::ToolCall(call)) = &line.content else {
                panic!(
                    "line {} of {}: {:?}",
                    line.number,
                    path.display(),
                    line.content
                );
            };
            let thread = call
                .tool
                .as_str()
                .strip_prefix('t')
                .and_then(|it| it.parse().ok());
            let number = call.tool_call_id.as_deref().and_then(|it| it.parse().ok());
            let numbers = threads.entry(thread.expect("the recorder numbers its threads"));
            numbers
                .or_default()
                .push(number.expect("the recorder numbers its events"));
        }
        Self {
            threads,
            torn: bytes[whole..].to_vec(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.threads.values().map(|it| it.len() as u64).sum()
    }

    /// Checks that each thread's events are there from its first one on, in order, none missing and none twice.
    #[track_caller]
    pub(super) fn assert_gap_free(&self) {
        for (thread, numbers) in &self.threads {
            let gap = (0..)
                .zip(numbers)
                .find(|(expected, found)| expected != *found);
            assert_eq!(
                gap, None,
                "thread {thread}: the first number that is not the next one"
            );
        }
    }

    /// Checks that each thread's events are in order and none is there twice.
    #[track_caller]
    pub(super) fn assert_in_order(&self) {
        for (thread, numbers) in &self.threads {
            let doubled = numbers.windows(2).find(|it| it[0] >= it[1]);
            assert_eq!(doubled, None, "thread {thread}");
        }
    }
}
