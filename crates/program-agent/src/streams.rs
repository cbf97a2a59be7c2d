//! All that comes from a running program: two outputs and its metrics file.

use std::{
    convert::Infallible,
    fs::File,
    io,
    path::{self, PathBuf},
};

use artifact_store::StoreError;
use metrics_collector::MetricsCollector;
use metrics_core::Clock;
use tokio::process::{ChildStderr, ChildStdout};
use worker_runner::{AgentContext, Redactor};

use crate::{
    OutputFormat,
    format::{Reading, Said},
    metrics_file::{Counts, MetricsFile},
    output::Output,
};

pub(crate) const STDERR: &str = "stderr.txt";
const RESULT: &str = "result.txt";
/// Where the result is a part of what the program prints.
const STDOUT: &str = "stdout.jsonl";
pub(crate) const METRICS: &str = "child-metrics.jsonl";

/// The files that it goes to, made before the program starts.
#[derive(Debug)]
pub(crate) struct Files {
    stdout_name: &'static str,
    stdout: File,
    stderr: File,
    metrics: File,
    pub(crate) metrics_path: PathBuf,
}

impl Files {
    pub(crate) fn make(context: &AgentContext, format: OutputFormat) -> Result<Self, StoreError> {
        let stdout_name = match format {
            OutputFormat::Text => RESULT,
            _ => STDOUT,
        };
        let metrics_path = context.worker_dir().join(METRICS);
        Ok(Self {
            stdout_name,
            stdout: match format {
                OutputFormat::Text => context.create_result()?,
                _ => context.create_artifact(STDOUT)?,
            },
            stderr: context.create_artifact(STDERR)?,
            metrics: context.create_artifact(METRICS)?,
            // The program may have a directory of its own.
            metrics_path: path::absolute(&metrics_path).unwrap_or(metrics_path),
        })
    }
}

/// What is read while the program runs.
pub(crate) struct Streams {
    stdout_name: &'static str,
    stdout: Output<ChildStdout, Option<Reading>>,
    stderr: Output<ChildStderr, ()>,
    metrics: MetricsFile,
}

/// What it all came to.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    pub(crate) metrics: Counts,
    /// `None` for plain text.
    pub(crate) said: Option<Said>,
    pub(crate) warnings: Vec<String>,
}

impl Streams {
    pub(crate) fn new(
        (stdout, stderr): (Option<ChildStdout>, Option<ChildStderr>),
        files: Files,
        reading: Option<Reading>,
        collector: MetricsCollector,
        clock: Clock,
        redactor: &Redactor,
    ) -> Self {
        Self {
            stdout_name: files.stdout_name,
            stdout: Output::new(stdout, files.stdout, reading, redactor),
            stderr: Output::new(stderr, files.stderr, (), redactor),
            metrics: MetricsFile::new(files.metrics, collector, clock, redactor.clone()),
        }
    }

    /// The program's own metrics file.
    pub(crate) fn metrics_file(&mut self) -> io::Result<File> {
        self.metrics.file()
    }

    /// Reads for as long as it is polled. May be dropped at any time and called again.
    pub(crate) async fn read_on(&mut self) -> Infallible {
        self.read_to_end().await;
        self.metrics.follow().await
    }

    /// Reads until nobody holds an output open any more. May be dropped at any time and called again.
    pub(crate) async fn read_to_end(&mut self) {
        let outputs = async {
            tokio::join!(self.stdout.read_to_end(), self.stderr.read_to_end());
        };
        tokio::select! {
            () = outputs => {}
            never = self.metrics.follow() => match never {},
        }
    }

    /// Reads the rest of the metrics, as far as `is_enough` lets it.
    pub(crate) async fn finish(mut self, is_enough: impl FnMut() -> bool) -> Read {
        self.stdout.finish();
        self.stderr.finish();
        let metrics = self.metrics.finish(is_enough).await;
        let (stdout_bytes, stderr_bytes) = (self.stdout.bytes(), self.stderr.bytes());
        let losses = [self.stdout.loss(self.stdout_name), self.stderr.loss(STDERR)];
        let said = self.stdout.into_watcher().map(Reading::end);
        let of_format = said.as_ref().and_then(|it| it.warning.clone());
        let warnings = losses.into_iter().flatten().chain(metrics.warnings());
        Read {
            stdout_bytes,
            stderr_bytes,
            warnings: warnings.chain(of_format).collect(),
            metrics,
            said,
        }
    }
}
