//! A job's number.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A job's number: from 1 to 2^53 - 1, the whole numbers that every JSON reader keeps exact.
///
/// - Text: ASCII decimal digits without sign, space or leading zero, so that one job has one spelling.
///   `0123`, `１２３`, `-0`, `+1`, `1.0` and `1e3` are no job numbers.
/// - Serde: a whole JSON number; a string or a float (`1.0`) is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct JobId(u64);

/// A number or text that no job can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job number is a whole number from 1 to 9007199254740991, without leading zeros")]
pub struct JobIdError;

impl JobId {
    /// The highest number a job can have.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As SQLite keeps it.
    pub(super) const fn to_sql(self) -> i64 {
        self.0.cast_signed() // Below 2^53.
    }

    pub(super) fn from_sql(number: i64) -> Result<Self, JobIdError> {
        u64::try_from(number).map_err(|_| JobIdError)?.try_into()
    }
}

impl TryFrom<u64> for JobId {
    type Error = JobIdError;

    fn try_from(number: u64) -> Result<Self, JobIdError> {
        if (1..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(JobIdError)
        }
    }
}

impl From<JobId> for u64 {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        // `u64::from_str` alone would take `+1` and `01`.
        if text.starts_with('0') || !text.bytes().all(|it| it.is_ascii_digit()) {
            return Err(JobIdError);
        }
        text.parse::<u64>().map_err(|_| JobIdError)?.try_into()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
