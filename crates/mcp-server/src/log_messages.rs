//! Log messages for a client: how the workers ended that it spawned, from a level on that it may set.

#![expect(
    deprecated,
    reason = "log messages are on their way out of the protocol; today's clients have them"
)]

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use artifact_store::{Metadata, Status};
use metrics_core::DurationText;
use rmcp::{
    Peer, RoleServer,
    model::{LoggingLevel, LoggingMessageNotificationParam},
};
use serde_json::json;
use supervisor_tools::{JobId, JobRef};
use tokio::runtime::Handle;

use crate::McpServer;

/// How often it is looked whether jobs have ended that nobody waits for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a client wants to be told at least.
#[derive(Debug, Clone)]
pub(crate) struct Level(Arc<AtomicU8>);

impl Default for Level {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(LoggingLevel::Info as u8)))
    }
}

impl Level {
    pub(crate) fn set(&self, level: LoggingLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
    }

    fn wants(&self, level: LoggingLevel) -> bool {
        level as u8 >= self.0.load(Ordering::Relaxed)
    }
}

/// Spawned jobs whose ends are to be told, and to whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToTell(Arc<Mutex<Vec<JobOf>>>);

type JobOf = (JobId, Peer<RoleServer>);

impl ToTell {
    fn lock(&self) -> MutexGuard<'_, Vec<JobOf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl McpServer {
    /// Tells the client once the job has ended. Nothing waits for that.
    pub(crate) fn tell_end_later(&self, id: JobId, client: Peer<RoleServer>) {
        // At the end of the program a wait may be dropped when nothing runs any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let is_first = {
            let mut to_tell = self.to_tell.lock();
            to_tell.push((id, client));
            to_tell.len() == 1
        };
        // One task for all of a client's jobs, for as long as there are any.
        if is_first {
            let this = self.clone();
            runtime.spawn(async move { this.look_for_ends().await });
        }
    }

    async fn look_for_ends(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let to_tell = self.to_tell.lock().clone();
            let mut told = HashSet::new();
            for (id, client) in to_tell {
                let is_over = client.is_transport_closed();
                if is_over || !matches!(self.supervisor.wait(id, Duration::ZERO).await, Ok(false)) {
                    told.insert(id);
                    self.tell_end(id, &client).await;
                }
            }
            let mut to_tell = self.to_tell.lock();
            to_tell.retain(|(id, _)| !told.contains(id));
            if to_tell.is_empty() {
                return;
            }
        }
    }

    /// Tells the client of the end of a job that has ended.
    pub(crate) async fn tell_end(&self, id: JobId, client: &Peer<RoleServer>) {
        let metadata = self.tools.metadata(&JobRef::Job(id)).await;
        let (level, message) = match metadata {
            Ok(metadata) => (level_of(&metadata), message_of(id, &metadata)),
            Err(failure) => (LoggingLevel::Warning, failure.to_string()),
        };
        if self.level.wants(level) {
            let data = json!({"job_id": id.get(), "message": message});
            let message = LoggingMessageNotificationParam::new(level, data);
            let message = message.with_logger("triscope.workers");
            // A client that has gone wants to know nothing.
            let _ = client.notify_logging_message(message).await;
        }
    }
}

fn level_of(metadata: &Metadata) -> LoggingLevel {
    match metadata.status {
        _ if metadata.events_lost.unwrap_or(0) > 0 => LoggingLevel::Warning,
        Status::Success => LoggingLevel::Info,
        Status::Cancelled => LoggingLevel::Notice,
        _ => LoggingLevel::Warning,
    }
}

fn message_of(id: JobId, metadata: &Metadata) -> String {
    let (worker_id, status) = (&metadata.worker_id, metadata.status);
    let mut message = format!("job {id} (worker {worker_id}) ended: {status}");
    if let Some(micros) = metadata.duration_us {
        let duration = DurationText(Duration::from_micros(micros));
        let _ = write!(message, " after {duration}");
    }
    if let Some(lost) = metadata.events_lost.filter(|it| *it > 0) {
        let _ = write!(message, ", {lost} events lost");
    }
    message
}

#[cfg(test)]
mod tests {
    use rmcp::model::LoggingLevel;

    use super::Level;

    #[test]
    fn a_client_is_told_from_its_level_on() {
        let level = Level::default();
        assert!(level.wants(LoggingLevel::Info) && !level.wants(LoggingLevel::Debug));
        level.set(LoggingLevel::Warning);
        assert!(level.wants(LoggingLevel::Warning) && level.wants(LoggingLevel::Error));
        assert!(!level.wants(LoggingLevel::Notice));
    }
}
