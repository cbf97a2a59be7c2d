//! Chat models over HTTP: [`HttpModel`] is a [`ChatModel`](worker_runner::ChatModel) that asks a server which speaks
//! OpenAI's chat completions or Anthropic's messages.
//!
//! What lives here is one call: its request, its answer in a whole or as a stream, and what its failure means. Trying
//! again is the caller's, so that every attempt is an event.
//!
//! ```no_run
//! use std::sync::Arc;
//! use http_models::{HttpModel, HttpModelOptions, Protocol};
//! use worker_runner::ReactAgent;
//!
//! // The key comes from the variable `OPENAI_API_KEY`.
//! let options = HttpModelOptions::new(Protocol::OpenAi, "gpt-5-mini").key_from_env(None)?;
//! let agent = ReactAgent::new(Arc::new(HttpModel::new(options)?), vec![]);
//! # Ok::<(), http_models::SetupError>(())
//! ```
//!
//! # What holds
//! - The key is in the request's header and nowhere else: no error, log line, `Debug` text or reply has it, even where a
//!   server sends it back.
//! - An answer is bounded in bytes and in time, whatever the server does. A redirect is not followed.
//! - Token counts are the provider's, in OpenAI's meaning; what it does not report is `None`, what it reports as 0 is 0.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod address;
mod answer;
mod anthropic;
mod draft;
mod failure;
mod key;
mod model;
mod openai;
mod options;
mod sse;

#[cfg(test)]
mod tests;

pub use crate::{
    key::ApiKey,
    model::HttpModel,
    options::{HttpModelOptions, Protocol, SetupError},
};
