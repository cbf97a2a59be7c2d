//! What every command works with: the store, the supervisor, the log.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use artifact_store::{ArtifactStore, IfMissing, RecordMode, StoreOptions};
use log_format::LogGuard;
use supervisor_tools::{DEFAULT_CONCURRENCY, Supervisor};
use worker_runner::Redactor;

use crate::{cli::Common, models::Models};

/// The MCP library tells of each message, with all that is in it.
const LOG_FILTER: &str = "info,rmcp=warn";

/// The open store and all that stands on it.
pub(crate) struct App {
    pub(crate) supervisor: Supervisor,
    /// Takes secrets out of what is written.
    pub(crate) redactor: Redactor,
    pub(crate) models: Models,
    pub(crate) log_path: PathBuf,
    /// Whether log lines go to stderr too.
    pub(crate) verbose: bool,
    log: LogGuard,
}

impl App {
    /// Opens the store. `if_missing` is for a directory that the user named; the usual one is made.
    pub(crate) fn open(
        common: &Common,
        if_missing: IfMissing,
        tools_root: &Path,
        recording: RecordMode,
        models: Models,
    ) -> anyhow::Result<Self> {
        let concurrency = DEFAULT_CONCURRENCY;
        Self::open_with(
            common,
            if_missing,
            tools_root,
            recording,
            models,
            concurrency,
        )
    }

    /// Opens the store for jobs of other processes, each of which says where its tools work.
    pub(crate) fn open_for(
        concurrency: usize,
        common: &Common,
        recording: RecordMode,
        models: Models,
    ) -> anyhow::Result<Self> {
        let (create, here) = (IfMissing::Create, Path::new("."));
        Self::open_with(common, create, here, recording, models, concurrency)
    }

    fn open_with(
        common: &Common,
        if_missing: IfMissing,
        tools_root: &Path,
        recording: RecordMode,
        models: Models,
        concurrency: usize,
    ) -> anyhow::Result<Self> {
        let data_dir = artifact_store::data_dir(common.data_dir.as_deref())?;
        let named = common.data_dir.is_some()
            || std::env::var_os(artifact_store::DATA_DIR_VARIABLE).is_some_and(|it| !it.is_empty());
        let if_missing = if named { if_missing } else { IfMissing::Create };
        let store = ArtifactStore::open_with(
            data_dir,
            StoreOptions {
                if_missing,
                recording,
                ..StoreOptions::default()
            },
        )?;
        let log_path = common
            .log_file
            .clone()
            .unwrap_or_else(|| store.own_dir().join("triscope.log"));
        let log = log_format::to_file(&log_path)
            .also_stderr(common.verbose)
            .default_filter(LOG_FILTER)
            .worker_id(metrics_collector::current_worker_id)
            .install()
            .context("cannot log")?;
        let redactor = if common.keep_secrets {
            Redactor::off()
        } else {
            models.redactor()
        };
        let runners = models
            .clone()
            .runners(store.clone(), tools_root, redactor.clone());
        let supervisor = Supervisor::open(store, runners, concurrency)?
            .usage_line(!common.no_usage)
            .prices(models.prices.clone());
        Ok(Self {
            supervisor,
            redactor,
            models,
            log_path,
            verbose: common.verbose,
            log,
        })
    }

    pub(crate) fn store(&self) -> &ArtifactStore {
        self.supervisor.store()
    }

    /// Waits until the log lines so far are in the file.
    pub(crate) fn flush_log(&self) {
        // A log that cannot be written is no reason to fail; its own lines say what was dropped.
        let _ = self.log.flush(Duration::from_secs(2));
    }
}
