//! Counts of tests, by their end.

use std::fmt;

use super::libtest::{Outcome, Test};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Tally {
    pub(super) fn of<'a>(tests: impl IntoIterator<Item = &'a Test>) -> Self {
        let mut res = Self::default();
        for test in tests {
            res.add(test);
        }
        res
    }

    pub(super) fn add(&mut self, test: &Test) {
        match test.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }

    /// Whether each count is at least that of `other`.
    pub(super) fn covers(self, other: Self) -> bool {
        self.passed >= other.passed && self.failed >= other.failed && self.skipped >= other.skipped
    }
}

/// The line that closes a run: `3 passed, 0 failed`, and the skipped ones if there are any.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}
