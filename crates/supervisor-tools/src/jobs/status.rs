//! Where a job stands.

use std::{fmt, str::FromStr};

/// Where a job stands; text as in the book: `queued`, `running`, `success`, `failed`, `timeout`, `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// Written down, claimed by nobody.
    Queued,
    /// Claimed by a process.
    Running,
    /// Over: a result is there.
    Success,
    /// Over: the worker failed or died.
    Failed,
    /// Over: the worker's time was up.
    Timeout,
    /// Over: cancelled before or while it ran.
    Cancelled,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinalStatus {
    /// A result is there.
    Success,
    /// The worker failed or died.
    Failed,
    /// The worker's time was up.
    Timeout,
    /// Cancelled before or while it ran.
    Cancelled,
}

/// A text that is no [`JobStatus`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status; use one of queued, running, success, failed, timeout, cancelled")]
pub struct JobStatusError;

impl JobStatus {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Success,
        Self::Failed,
        Self::Timeout,
        Self::Cancelled,
    ];

    /// The text of the book.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can change it any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl From<FinalStatus> for JobStatus {
    fn from(status: FinalStatus) -> Self {
        match status {
            FinalStatus::Success => Self::Success,
            FinalStatus::Failed => Self::Failed,
            FinalStatus::Timeout => Self::Timeout,
            FinalStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl FromStr for JobStatus {
    type Err = JobStatusError;

    fn from_str(text: &str) -> Result<Self, JobStatusError> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.as_str() == text).ok_or(JobStatusError)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::JobStatus;

    #[test]
    fn every_status_reads_back_and_nothing_else_does() {
        for status in JobStatus::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
            assert!(JobStatus::Queued.is_final() <= status.is_final());
        }
        let over = JobStatus::ALL.into_iter().filter(|it| it.is_final());
        assert_eq!(over.count(), 4);
        for text in ["", "Queued", "created", "success ", "queued\0"] {
            let message = text.parse::<JobStatus>().unwrap_err().to_string();
            assert!(message.contains("queued, running"), "{message}");
        }
    }
}
