//! What a worker of the ReAct loop may use up.

use std::{num::NonZeroUsize, time::Duration};

/// Bounds of one worker. They are looked at before the model is asked again, so an answer that comes with the last step
/// or token still counts; only the wall time cuts off calls in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactLimits {
    /// Turns of the model.
    pub steps: usize,
    /// Tokens of all its turns together, as far as the provider reports any.
    pub tokens: Option<u64>,
    /// Time from the task on. Unlike the worker's own time limit it lets the worker end with what it has.
    pub wall_time: Option<Duration>,
    /// Tool calls of one turn that run side by side; the others wait for their turn.
    pub parallel_tool_calls: NonZeroUsize,
}

impl Default for ReactLimits {
    fn default() -> Self {
        Self {
            steps: 50,
            tokens: None,
            wall_time: None,
            parallel_tool_calls: const { NonZeroUsize::new(8).unwrap() },
        }
    }
}

impl ReactLimits {
    /// Whether the model may be asked once more, after so many turns and tokens.
    pub(crate) fn check(&self, steps: usize, tokens: u64) -> Result<(), LimitReached> {
        if steps >= self.steps {
            return Err(LimitReached::Steps(self.steps));
        }
        match self.tokens {
            Some(limit) if tokens >= limit => Err(LimitReached::Tokens(limit)),
            _ => Ok(()),
        }
    }
}

/// Which of [`ReactLimits`] ended a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitReached {
    /// Its model took so many turns.
    #[error("the limit of {0} steps was reached")]
    Steps(usize),
    /// Its model used so many tokens.
    #[error("the limit of {0} tokens was reached")]
    Tokens(u64),
    /// It worked for so long.
    #[error("the limit of {0:?} was reached")]
    WallTime(Duration),
}
