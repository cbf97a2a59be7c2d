//! Exit codes, which scripts rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// The job failed, timed out or was cancelled; or what was asked for is not there.
    JobFailed,
    /// The arguments make no sense.
    Usage,
    /// The data directory or the store cannot be used.
    Unusable,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal was closed.
    HungUp,
    /// SIGQUIT.
    Quit,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::JobFailed => 1,
            Self::Usage => 2,
            Self::Unusable => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::HungUp => 129,
            Self::Quit => 131,
        }
    }
}
