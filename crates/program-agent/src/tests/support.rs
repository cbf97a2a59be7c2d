//! A store, workers that run shell scripts, and what is left of them.

use std::{ffi::OsString, fs, sync::Arc};

use artifact_store::{ArtifactStore, Metadata};
use metrics_core::{EventReader, LineContent};
use serde_json::Value;
use tempfile::TempDir;
use worker_runner::{RunOptions, WorkerReport, WorkerRunner};

use crate::{ProgramAgent, ProgramOptions};

pub(super) struct Home {
    store: ArtifactStore,
    dir: TempDir,
}

/// A worker that has ended.
pub(super) struct Ended {
    pub(super) report: WorkerReport,
    pub(super) metadata: Metadata,
    dir: std::path::PathBuf,
}

impl Home {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::open(dir.path().join("workers")).unwrap();
        Self { store, dir }
    }

    /// A folder for the scripts.
    pub(super) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(super) fn runner(&self, words: &[&str], options: ProgramOptions) -> WorkerRunner {
        let agent = ProgramAgent::new(words.iter().map(OsString::from), options).unwrap();
        WorkerRunner::new(self.store.clone(), Arc::new(agent))
    }

    pub(super) async fn run(&self, script: &str, options: ProgramOptions) -> Ended {
        self.run_with(script, options, RunOptions::default()).await
    }

    /// Runs a shell script in this home's folder, which is its `$1`.
    pub(super) async fn run_with(
        &self,
        script: &str,
        options: ProgramOptions,
        run_options: RunOptions,
    ) -> Ended {
        let folder = self.path().to_str().unwrap();
        let words = ["sh", "-c", &format!("cd \"$1\"; {script}"), "sh", folder];
        let runner = self.runner(&words, options);
        let report = runner.run_worker(script, run_options).await.unwrap();
        let worker = self.store.worker(&report.worker_id).unwrap();
        Ended {
            metadata: worker.metadata().unwrap(),
            dir: worker.path().to_owned(),
            report,
        }
    }
}

impl Ended {
    pub(super) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap()
    }

    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8(self.file(name)).unwrap()
    }

    /// What the metadata says of the program.
    pub(super) fn program(&self) -> &Value {
        &self.metadata.extra[crate::PROGRAM]
    }

    pub(super) fn warnings(&self) -> Vec<&str> {
        let warnings = self.metadata.extra.get(worker_runner::WARNINGS);
        let warnings = warnings.and_then(Value::as_array).into_iter().flatten();
        warnings.map(|it| it.as_str().unwrap()).collect()
    }

    /// The lines of `metrics.jsonl`, each of which is an event.
    pub(super) fn events(&self) -> Vec<String> {
        let text = self.text("metrics.jsonl");
        let mut reader = EventReader::new(text.as_bytes());
        while let Some(line) = reader.next_line().unwrap() {
            assert!(matches!(line.content, LineContent::Event(_)), "{line:?}");
        }
        assert!(reader.unfinished().is_none());
        text.lines().map(str::to_owned).collect()
    }
}
