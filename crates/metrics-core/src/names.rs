//! Open sets: texts with well-known values that anyone may add to.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

macro_rules! open_set {
    ($(#[$doc:meta])* $name:ident $(, $(#[$value_doc:meta])* $constant:ident = $value:literal)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(Cow<'a, str>);

        impl<'a> $name<'a> {
            $($(#[$value_doc])* pub const $constant: $name<'static> = $name(Cow::Borrowed($value));)*

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same value, free of any borrow.
            pub fn into_owned(self) -> $name<'static> {
                $name(Cow::Owned(self.0.into_owned()))
            }

            /// The same value, borrowed: copies no text.
            pub fn borrowed(&self) -> $name<'_> {
                $name(Cow::Borrowed(&self.0))
            }
        }

        impl<'a> From<&'a str> for $name<'a> {
            fn from(text: &'a str) -> Self {
                Self(Cow::Borrowed(text))
            }
        }

        impl From<String> for $name<'_> {
            fn from(text: String) -> Self {
                Self(Cow::Owned(text))
            }
        }

        impl<'a> From<Cow<'a, str>> for $name<'a> {
            fn from(text: Cow<'a, str>) -> Self {
                Self(text)
            }
        }

        impl<'a> From<&'a $name<'_>> for $name<'a> {
            fn from(other: &'a $name<'_>) -> Self {
                other.borrowed()
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

open_set!(
    /// What a model call was for.
    Phase,
    /// The first turn of a task.
    INITIAL = "initial",
    /// A later turn whose reply asks for tools.
    TOOL_DECISION = "tool_decision",
    /// A later turn with the answer.
    SYNTHESIS = "synthesis",
    /// The call that sums up a finished task.
    SUMMARY = "summary"
);
open_set!(
    /// A model's name, such as `gpt-5-mini`.
    ModelName
);
open_set!(
    /// A tool's name, such as `ssh_exec`.
    ToolName
);
open_set!(
    /// Who served a model call, such as `openai` (OpenTelemetry's `gen_ai.provider.name`).
    ProviderName
);

/// The longest error message an event carries, in characters.
const MAX_ERROR_CHARS: usize = 2000;

/// An error message, cut to 1,999 characters and `…` when the event is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorText<'a>(Cow<'a, str>);

impl<'a> ErrorText<'a> {
    /// A call cut off because its future was dropped or its worker was cancelled.
    pub const CANCELLED: ErrorText<'static> = ErrorText(Cow::Borrowed("cancelled"));
    /// A call cut off by a time limit.
    pub const TIMEOUT: ErrorText<'static> = ErrorText(Cow::Borrowed("timeout"));
    /// A call cut off by a panic.
    pub const PANICKED: ErrorText<'static> = ErrorText(Cow::Borrowed("panicked"));
    /// A call that was in flight when its process died.
    pub const WORKER_DIED: ErrorText<'static> = ErrorText(Cow::Borrowed("worker died"));

    /// Takes `text`, cut if it is too long.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        // No text has more characters than bytes, so most need no counting.
        if text.len() <= MAX_ERROR_CHARS || text.chars().nth(MAX_ERROR_CHARS).is_none() {
            return Self(text);
        }
        let mut cut: String = text.chars().take(MAX_ERROR_CHARS - 1).collect();
        cut.push('…');
        Self(Cow::Owned(cut))
    }

    /// What `error` displays, formatted no further than it is kept.
    ///
    /// A `Display` that answers with an error gives what it wrote before.
    pub fn from_display(error: &(impl fmt::Display + ?Sized)) -> ErrorText<'static> {
        let mut text = Beginning(String::new());
        // An error here says that the beginning is full.
        let _ = write!(text, "{error}");
        ErrorText::new(text.0)
    }

    /// As another writer put it down, however long.
    pub(crate) fn as_written(text: Cow<'a, str>) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same value, free of any borrow.
    pub fn into_owned(self) -> ErrorText<'static> {
        ErrorText(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Display for ErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Takes what is written until more characters are there than an [`ErrorText`] keeps.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // No character has more than four bytes.
        const FULL: usize = 4 * (MAX_ERROR_CHARS + 1);
        let room = FULL.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// A worker's id: any text. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for WorkerId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl From<WorkerId> for String {
    fn from(id: WorkerId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
