//! When an event counts as recorded.

use std::{fmt, str::FromStr};

/// What recording an event waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordMode {
    /// Nothing: a thread writes at once what callers leave in memory. A process that is killed loses what it had not
    /// yet written, a few milliseconds at most.
    #[default]
    Buffered,
    /// The kernel: an event whose `record` has returned is in the file, also if the process is killed then.
    WriteThrough,
    /// The disk: an event whose `record` has returned survives a power cut, and so do results and metadata.
    Fsync,
}

impl RecordMode {
    /// All modes, the least patient first.
    pub const ALL: [Self; 3] = [Self::Buffered, Self::WriteThrough, Self::Fsync];

    fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::WriteThrough => "write-through",
            Self::Fsync => "fsync",
        }
    }
}

impl fmt::Display for RecordMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no [`RecordMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0:.100}` is no way of recording; use buffered, write-through or fsync")]
pub struct RecordModeError(String);

impl FromStr for RecordMode {
    type Err = RecordModeError;

    fn from_str(text: &str) -> Result<Self, RecordModeError> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| RecordModeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::RecordMode;

    #[test]
    fn modes_are_read_back_from_their_words() {
        let words = RecordMode::ALL.map(|it| it.to_string());
        assert_eq!(words, ["buffered", "write-through", "fsync"]);
        assert_eq!(words.map(|it| it.parse()), RecordMode::ALL.map(Ok));
        let error = "sync".parse::<RecordMode>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`sync` is no way of recording; use buffered, write-through or fsync"
        );
    }
}
