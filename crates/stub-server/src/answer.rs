//! What the server does with a request.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{anthropic, openai, server::Received};

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Part {
    /// Writes these bytes.
    Bytes(Vec<u8>),
    /// Waits for so long.
    Pause(Duration),
    /// Waits until a test says go.
    Wait(Arc<Notify>),
    /// Writes these bytes again and again, until nobody reads any more.
    Flood(Vec<u8>),
    /// Does nothing until the client goes away.
    Hang,
}

impl Part {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// What the server does with a request, step by step.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) parts: Vec<Part>,
    /// The connection ends with the answer.
    pub(crate) closes: bool,
}

impl Answer {
    /// Exactly this, without a head of ours; the connection is closed then.
    pub fn raw(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
            closes: true,
        }
    }

    /// A response with a status, more headers and a body.
    pub fn response(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        Self {
            parts: vec![Part::Bytes(bytes)],
            closes: false,
        }
    }

    /// A response of JSON.
    pub fn json(status: u16, headers: &[(&str, &str)], body: &Value) -> Self {
        let json = [("content-type", "application/json")];
        Self::response(status, &[&json, headers].concat(), body.to_string())
    }

    /// A stream of events; each piece of bytes is one chunk of HTTP.
    pub fn stream(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut bytes = head(200, &[("content-type", "text/event-stream")]);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        let chunk = |bytes: Vec<u8>| {
            let mut res = format!("{:x}\r\n", bytes.len()).into_bytes();
            res.extend_from_slice(&bytes);
            res.extend_from_slice(b"\r\n");
            res
        };
        let parts = parts.into_iter().map(|part| match part {
            Part::Bytes(bytes) => Part::Bytes(chunk(bytes)),
            Part::Flood(bytes) => Part::Flood(chunk(bytes)),
            other => other,
        });
        let end = Part::bytes(&b"0\r\n\r\n"[..]);
        Self {
            parts: [Part::Bytes(bytes)]
                .into_iter()
                .chain(parts)
                .chain([end])
                .collect(),
            closes: false,
        }
    }

    /// A stream that breaks off: the connection is closed where these parts end.
    pub fn broken_stream(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut this = Self::stream(parts);
        this.parts.pop();
        this.closes = true;
        this
    }

    /// A reply made by [`openai`] or [`anthropic`], streamed if `request` wants that.
    pub fn completion(request: &Received, body: &Value) -> Self {
        if request.json()["stream"] != true {
            return Self::json(200, &[], body);
        }
        let events = if request.path.ends_with("/messages") {
            anthropic::events(body)
        } else {
            openai::events(body)
        };
        Self::stream(events.into_iter().map(Part::bytes))
    }

    /// Waits before it begins.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.parts.insert(0, Part::Pause(pause));
        self
    }

    /// Never begins.
    pub fn hang() -> Self {
        Self::raw([Part::Hang])
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let status = format!("HTTP/1.1 {status} Stub\r\n");
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    [status]
        .into_iter()
        .chain(headers)
        .collect::<String>()
        .into_bytes()
}
