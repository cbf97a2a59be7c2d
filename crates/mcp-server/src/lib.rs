//! triscope's supervisor tools for any client of the Model Context Protocol: over standard input and output, or over HTTP.
//!
//! ```no_run
//! use std::sync::Arc;
//! use artifact_store::ArtifactStore;
//! use mcp_server::McpServer;
//! use supervisor_tools::{DEFAULT_CONCURRENCY, Supervisor};
//! use tokio_util::sync::CancellationToken;
//! # fn runner(_: &ArtifactStore) -> worker_runner::WorkerRunner { unimplemented!() }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let store = ArtifactStore::open("workers")?;
//! let supervisor = Supervisor::open(store.clone(), runner(&store), DEFAULT_CONCURRENCY)?;
//! let server = McpServer::new(supervisor.clone(), "local"); // Sees this owner's workers alone.
//! mcp_server::serve_stdio(server, CancellationToken::new()).await; // Until the client closes standard input.
//! supervisor.shut_down().await;
//! # Ok(())
//! # }
//! ```
//!
//! The eight tools come with schemas, hints and structured output, the workers' files as resources. Whatever a client
//! sends is answered as the protocol says, within bounds of size and number, and the server goes on. [`HttpServer`] serves
//! one owner to whoever is on this machine, or several, each known by a token.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod access;
mod http_server;
mod incoming;
mod log_messages;
mod outbox;
mod resource_uri;
mod resources;
mod server;
mod stdio;
mod tool_list;
mod waiting;

pub use crate::{
    access::{Access, TokenError, Tokens},
    http_server::{HttpError, HttpOptions, HttpServer},
    server::McpServer,
    stdio::{MAX_LINE_BYTES, serve_stdio},
};
