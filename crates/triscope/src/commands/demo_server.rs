//! The HTTP server that the demo's workers ask: on this machine, for as long as the demo runs.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use axum::{Json, Router, http::StatusCode, routing::get};
use serde_json::json;

/// The server's place, taken before its workers are told whom they may ask.
pub(super) struct Server(TcpListener);

impl Server {
    /// Takes a free port of the loopback address.
    pub(super) fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers from now on.
    pub(super) fn start(self) -> io::Result<()> {
        let router = Router::new()
            .route(
                "/status",
                get(async || {
                    Json(json!({"service": "backup", "state": "ok", "last_run_minutes_ago": 42}))
                }),
            )
            .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here\n"));
        let listener = tokio::net::TcpListener::from_std(self.0)?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(())
    }
}
