//! The HTTP server that the demo's workers ask: on this machine, for as long as the demo runs.

use std::{io, net::SocketAddr};

use axum::{Json, Router, http::StatusCode, routing::get};
use serde_json::json;

/// Starts the server on a free port of the loopback address.
pub(super) async fn start() -> io::Result<SocketAddr> {
    let router = Router::new()
        .route(
            "/status",
            get(async || {
                Json(json!({"service": "backup", "state": "ok", "last_run_minutes_ago": 42}))
            }),
        )
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here\n"));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
