//! For tests: an HTTP server that answers byte for byte what a test tells it, and notes what it was asked and when.
//!
//! It runs on a thread of its own, so that a test that blocks, and the program under test, can both talk to it.

#![expect(
    clippy::needless_pass_by_value,
    reason = "replies are made of values written down at the place of the call"
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod answer;
pub mod anthropic;
pub mod openai;
mod server;

pub use crate::{
    answer::{Answer, Part},
    server::{Received, StubServer},
};
