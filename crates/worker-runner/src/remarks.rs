//! What an agent says of its worker beside the conversation: a result that it writes itself, facts, warnings. And what its
//! worker says to it: to stop.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use artifact_store::{MAX_READ_BYTES, StoreError, file_names};
use metrics_core::WorkerId;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{agent::AgentContext, redact};

/// The key in `metadata.json` of what whoever reads the result shall know, a list of texts.
pub const WARNINGS: &str = "warnings";

/// More would bury the result below them.
const MAX_WARNINGS: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct Remarks {
    stopping: CancellationToken,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    result_file: Option<File>,
    facts: Map<String, Value>,
    warnings: Vec<String>,
}

impl AgentContext {
    /// The worker.
    pub fn worker_id(&self) -> WorkerId {
        self.worker().id()
    }

    /// The worker's directory.
    pub fn worker_dir(&self) -> &Path {
        self.worker().dir()
    }

    /// Cancelled once the worker is to stop, as its time is up or somebody cancelled it. For agents that have something to
    /// wind up, and a [`stop_grace`](crate::Agent::stop_grace) to do it in.
    pub fn stopping(&self) -> CancellationToken {
        self.remarks().stopping.clone()
    }

    /// Makes an empty file in the worker's directory for the agent to write: what it writes there is its own affair, and
    /// [`redactor`](Self::redactor) takes the secrets out of it.
    ///
    /// # Errors
    /// As [`WorkerWriter::create_artifact`](artifact_store::WorkerWriter::create_artifact).
    pub fn create_artifact(&self, name: &str) -> Result<File, StoreError> {
        self.worker().create_artifact(name)
    }

    /// Makes `result.txt` for the agent to write, so that a result of any size need not pass through memory. What stands
    /// there at the end is the result; where that is nothing, the conversation is looked at as ever.
    ///
    /// # Errors
    /// As [`create_artifact`](Self::create_artifact).
    pub fn create_result(&self) -> Result<File, StoreError> {
        let file = self.create_artifact(file_names::RESULT)?;
        let ours = file.try_clone().map_err(|source| StoreError::Io {
            action: "open",
            path: self.worker().dir().join(file_names::RESULT),
            source,
        })?;
        self.said().result_file = Some(ours);
        Ok(file)
    }

    /// Puts a fact into `metadata.json` when the worker ends. A `key` of the format itself is not overwritten.
    pub fn describe(&self, key: &str, fact: Value) {
        self.said().facts.insert(key.to_owned(), fact);
    }

    /// Warns whoever reads the result, with a line on Tier 1.
    pub fn warn(&self, warning: impl Into<String>) {
        let mut said = self.said();
        if said.warnings.len() < MAX_WARNINGS {
            said.warnings.push(warning.into());
        }
    }

    /// Facts and warnings as they shall stand in the metadata.
    pub(crate) fn facts(&self) -> Map<String, Value> {
        let said = self.said();
        let mut facts = said.facts.clone();
        if !said.warnings.is_empty() {
            facts.insert(WARNINGS.to_owned(), said.warnings.clone().into());
        }
        redact::facts(self.redactor(), facts)
    }

    /// The beginning of what the agent wrote to `result.txt` itself, 1 MiB at most; `None` where it wrote nothing there.
    pub(crate) fn written_result(&self) -> Option<String> {
        let said = self.said();
        // By the open file: the name may lead elsewhere by now.
        let beginning = read_beginning(said.result_file.as_ref()?).ok()?;
        (!beginning.is_empty()).then(|| String::from_utf8_lossy(&beginning).into_owned())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        let said = self.remarks().said.lock();
        said.unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_beginning(file: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length.min(MAX_READ_BYTES)];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
