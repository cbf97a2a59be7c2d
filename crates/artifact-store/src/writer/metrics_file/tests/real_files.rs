//! The machine's own files, changed under the writer.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use metrics_core::{EventSink as _, SinkError};
use tempfile::TempDir;

use super::{LONG, ROOMY, metrics_file, record, tools, writer};
use crate::{
    disk::SystemDisk,
    writer::{Budget, MetricsFile},
};

struct Setup {
    _temp: TempDir,
    dir: PathBuf,
    path: PathBuf,
    file: Arc<MetricsFile>,
}

fn setup() -> Setup {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("worker");
    fs::create_dir(&dir).unwrap();
    let path = dir.join("metrics.jsonl");
    let writer = writer(SystemDisk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, &path);
    Setup {
        _temp: temp,
        dir,
        path,
        file,
    }
}

impl Setup {
    fn record(&self, tool: &str) {
        record(&self.file, tool);
    }

    fn flush(&self) {
        self.file.flush(&self.file.worker).wait(LONG).unwrap();
    }

    fn tools(&self) -> Vec<String> {
        tools(&fs::read(&self.path).unwrap())
    }

    /// That what was recorded cannot be written now, and waits.
    fn assert_waits(&self) {
        let flush = self.file.flush(&self.file.worker);
        let answer = flush.wait(Duration::from_millis(50));
        assert!(matches!(answer, Err(SinkError::Timeout(_))), "{answer:?}");
    }

    /// That all is written but `lost` events, which went to a file that is not there any more.
    fn flush_but(&self, lost: u64) {
        let answer = self.file.flush(&self.file.worker).wait(LONG);
        let reason = "metrics.jsonl was deleted or replaced".to_owned();
        assert_eq!(answer, Err(SinkError::Lost { lost, reason }));
    }
}

#[test]
fn a_deleted_file_is_made_again() {
    let it = setup();
    it.record("0");
    it.flush();
    fs::remove_file(&it.path).unwrap();
    it.record("1");
    it.flush_but(1);
    assert_eq!(it.tools(), ["1"]);
    let mode = fs::metadata(&it.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_directory_moved_away_and_back_gets_what_came_meanwhile() {
    let it = setup();
    it.record("0");
    it.flush();
    let away = it.dir.with_extension("away");
    fs::rename(&it.dir, &away).unwrap();
    it.record("1");
    it.assert_waits();
    assert_eq!(it.file.counts().lost, 1, "the first one is not there now");
    fs::rename(&away, &it.dir).unwrap();
    it.flush();
    assert_eq!(it.tools(), ["0", "1"]);
    assert_eq!(it.file.counts().lost, 0);
}

#[test]
fn a_deleted_directory_takes_no_writes_without_a_word() {
    let it = setup();
    it.record("0");
    it.flush();
    fs::remove_dir_all(&it.dir).unwrap();
    it.record("1");
    let (counts, reason) = it.file.close(Duration::from_millis(500));
    assert_eq!((counts.recorded, counts.lost), (2, 2));
    assert_eq!(reason.as_deref(), Some("the worker's directory is gone"));
}

#[test]
fn a_replaced_directory_gets_the_events_from_then_on() {
    let it = setup();
    it.record("0");
    it.flush();
    let away = it.dir.with_extension("away");
    fs::rename(&it.dir, &away).unwrap();
    fs::create_dir(&it.dir).unwrap();
    it.record("1");
    it.flush_but(1);
    assert_eq!(it.tools(), ["1"]);
    assert_eq!(tools(&fs::read(away.join("metrics.jsonl")).unwrap()), ["0"]);
}

#[test]
fn a_file_renamed_and_replaced_gets_the_events_from_then_on() {
    let it = setup();
    it.record("0");
    it.flush();
    let away = it.dir.join("away.jsonl");
    fs::rename(&it.path, &away).unwrap();
    fs::write(&it.path, "{\"tool\":\"other\"}\n").unwrap();
    it.record("1");
    it.flush_but(1);
    assert_eq!(it.tools(), ["other", "1"]);
    assert_eq!(tools(&fs::read(&away).unwrap()), ["0"]);
    // Back in its place, it holds the first one again, and the second one went with the other file.
    fs::rename(&away, &it.path).unwrap();
    it.record("2");
    it.flush_but(1);
    assert_eq!(it.tools(), ["0", "2"]);
}

#[test]
fn a_torn_tail_is_moved_aside_before_the_first_line() {
    // Also one that is longer than the repair reads at a time, and a file that is nothing else.
    let long = "x".repeat(10_000);
    for (before, kept, torn) in [
        (
            "{\"tool\":\"old\"}\n{\"event\":\"too",
            1,
            "{\"event\":\"too\n",
        ),
        (
            &*format!("{{\"tool\":\"old\"}}\n{long}"),
            1,
            &*format!("{long}\n"),
        ),
        (&*long, 0, &*format!("{long}\n")),
    ] {
        let it = setup();
        fs::write(&it.path, before).unwrap();
        it.record("new");
        it.flush();
        let tools = it.tools();
        assert_eq!(tools.len(), kept + 1);
        assert_eq!(tools[kept], "new");
        let aside = it.dir.join("metrics.torn");
        assert_eq!(fs::read_to_string(&aside).unwrap(), torn);
        let mode = fs::metadata(&aside).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_whole_file_is_left_as_it_is() {
    let it = setup();
    fs::write(&it.path, "{\"tool\":\"old\"}\n").unwrap();
    it.record("new");
    it.flush();
    assert_eq!(it.tools(), ["old", "new"]);
    assert!(!it.dir.join("metrics.torn").exists());
}

#[test]
fn a_tail_that_cannot_be_moved_is_not_written_over_and_not_moved_twice() {
    let it = setup();
    fs::write(&it.path, "torn").unwrap();
    fs::create_dir(it.dir.join("metrics.torn")).unwrap();
    it.record("0");
    it.assert_waits();
    assert_eq!(fs::read(&it.path).unwrap(), b"torn");
    fs::remove_dir(it.dir.join("metrics.torn")).unwrap();
    it.flush();
    assert_eq!(it.tools(), ["0"]);
    assert_eq!(fs::read(it.dir.join("metrics.torn")).unwrap(), b"torn\n");
}

#[test]
fn a_link_or_pipe_in_the_files_place_is_not_written_to() {
    let it = setup();
    let secret = it.dir.with_extension("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, &it.path).unwrap();
    it.record("0");
    it.assert_waits();
    let pipe = it.dir.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // With no moment in which nothing stands there, as the writer would make a file.
    fs::rename(&pipe, &it.path).unwrap();
    it.assert_waits();
    fs::remove_file(&it.path).unwrap();
    it.flush();
    assert_eq!(it.tools(), ["0"]);
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
}
