//! What every command works with: the store, the supervisor, the log.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use artifact_store::{ArtifactStore, IfMissing, RecordMode, StoreOptions};
use log_format::LogGuard;
use model_prices::PriceTable;
use supervisor_tools::{DEFAULT_CONCURRENCY, Supervisor, SupervisorTools};

use crate::{cli::Common, models::Models};

/// The open store and all that stands on it.
pub(crate) struct App {
    pub(crate) supervisor: Supervisor,
    pub(crate) log_path: PathBuf,
    /// Whether log lines go to stderr too.
    pub(crate) verbose: bool,
    /// What models cost.
    pub(crate) prices: PriceTable,
    has_usage_line: bool,
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
        let prices = models.prices.clone();
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
            .worker_id(metrics_collector::current_worker_id)
            .install()
            .context("cannot log")?;
        let runners = models.runners(store.clone(), tools_root);
        let supervisor = Supervisor::open(store, runners, DEFAULT_CONCURRENCY)?;
        Ok(Self {
            supervisor,
            log_path,
            verbose: common.verbose,
            prices,
            has_usage_line: !common.no_usage,
            log,
        })
    }

    pub(crate) fn store(&self) -> &ArtifactStore {
        self.supervisor.store()
    }

    /// The tools for `owner`, or for somebody who sees everybody's workers.
    pub(crate) fn tools(&self, owner: Option<&str>) -> SupervisorTools {
        let tools = self.supervisor.tools(owner);
        tools
            .usage_line(self.has_usage_line)
            .prices(self.prices.clone())
    }

    /// Waits until the log lines so far are in the file.
    pub(crate) fn flush_log(&self) {
        // A log that cannot be written is no reason to fail; its own lines say what was dropped.
        let _ = self.log.flush(Duration::from_secs(2));
    }
}
