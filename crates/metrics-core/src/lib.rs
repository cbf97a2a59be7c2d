//! Being written.
mod usage;
pub use crate::usage::Usage;
