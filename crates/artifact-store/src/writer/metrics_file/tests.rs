//! The writer on a disk that misbehaves.
