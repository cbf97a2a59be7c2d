//! Log messages for a client: how the workers ended that it spawned, from a level on that it may set.

#![expect(
    deprecated,
    reason = "log messages are on their way out of the protocol; today's clients have them"
)]

use std::{
    fmt::Write as _,
    sync::{
        Arc,
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

use crate::McpServer;

/// Longer than any worker may run.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

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

impl McpServer {
    /// Tells the client once the job has ended. Nothing waits for that.
    pub(crate) fn announce_end(&self, id: JobId, client: Peer<RoleServer>) {
        let this = self.clone();
        tokio::spawn(async move {
            if this.supervisor.wait(id, FOR_EVER).await.is_err() {
                return; // Whoever asks for the job is told.
            }
            let metadata = this.tools.metadata(&JobRef::Job(id)).await;
            let (level, message) = match metadata {
                Ok(metadata) => (level_of(&metadata), message_of(id, &metadata)),
                Err(failure) => (LoggingLevel::Warning, failure.to_string()),
            };
            if this.level.wants(level) {
                let data = json!({"job_id": id.get(), "message": message});
                let message = LoggingMessageNotificationParam::new(level, data);
                // A client that has gone wants to know nothing.
                let _ = client
                    .notify_logging_message(message.with_logger("triscope.workers"))
                    .await;
            }
        });
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
