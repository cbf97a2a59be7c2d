//! One exchange: the request sent, the status read, and as much of the body as the limit allows.

use std::{error::Error as _, fmt::Write as _};

use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use worker_runner::ToolError;

use super::{HttpRequestOptions, request::Request};
use crate::text::{beginning, shown};

/// The most bytes of the body of a refusal that the error repeats.
const REFUSAL_BYTES: usize = 1000;

/// Sends `request` and puts the answer into words.
pub(super) async fn exchange(
    client: &Client,
    request: Request,
    options: &HttpRequestOptions,
) -> Result<String, ToolError> {
    let address = request.address();
    let failed = |err: reqwest::Error| failure(&err, &address, options);
    let mut builder = client
        .request(request.method, request.url)
        .headers(request.headers)
        .timeout(options.timeout);
    if let Some(body) = request.body {
        builder = builder.body(body);
    }
    let response = builder.send().await.map_err(failed)?;
    let status = response.status();
    let status_line = status_line(status);
    if !status.is_success() {
        let retry_after = retry_after(&response);
        // Its body only explains: a refusal whose body breaks off is still that refusal.
        let limit = REFUSAL_BYTES.min(options.max_body_bytes);
        let body = Body::read(response, limit).await.unwrap_or_default();
        let text = format!(
            "{status_line} from {address}{retry_after}{}",
            body.start(limit)
        );
        return Err(if status == StatusCode::TOO_MANY_REQUESTS {
            ToolError::RateLimit(text)
        } else {
            ToolError::Failed(text)
        });
    }
    let body = Body::read(response, options.max_body_bytes)
        .await
        .map_err(failed)?;
    Ok(format!(
        "{status_line}\n\n{}",
        body.text(options.max_body_bytes)
    ))
}

/// `HTTP 200 OK`; without a reason for a status that has none.
fn status_line(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}

/// When to come again, where the other side says so.
fn retry_after(response: &Response) -> String {
    let value = response.headers().get(RETRY_AFTER);
    match value.and_then(|value| value.to_str().ok()) {
        Some(value) => format!(" (retry after {})", shown(value)),
        None => String::new(),
    }
}

/// What was read of a body.
#[derive(Debug, Default)]
struct Body {
    /// At most the limit, and one byte more where there was more.
    bytes: Vec<u8>,
    /// The whole length, where the other side gave it.
    length: Option<u64>,
}

impl Body {
    /// Reads up to `limit` bytes; what follows is left unread and the connection closed.
    async fn read(mut response: Response, limit: usize) -> Result<Self, reqwest::Error> {
        let mut res = Self {
            bytes: Vec::new(),
            length: response.content_length(),
        };
        while let Some(chunk) = response.chunk().await? {
            let room = limit.saturating_add(1) - res.bytes.len();
            res.bytes.extend_from_slice(&chunk[..room.min(chunk.len())]);
            if res.bytes.len() > limit {
                break;
            }
        }
        Ok(res)
    }

    /// The body, and a last line that says so if it was cut.
    fn text(&self, limit: usize) -> String {
        let mut res = beginning(&self.bytes, limit).into_owned();
        if self.bytes.len() > limit {
            let whole = match self.length {
                Some(length) => format!(" of {length}"),
                None => String::new(),
            };
            // Writing to a `String` cannot fail.
            let _ = write!(res, "\n[cut: the first {limit}{whole} bytes]");
        }
        res
    }

    /// The start of the body behind a colon; nothing for an empty one.
    fn start(&self, limit: usize) -> String {
        let text = beginning(&self.bytes, limit);
        let more = if self.bytes.len() > limit { "…" } else { "" };
        match text.trim() {
            "" => String::new(),
            text => format!(": {text}{more}"),
        }
    }
}

/// Says what went wrong with which host, without the rest of the URL.
fn failure(err: &reqwest::Error, address: &str, options: &HttpRequestOptions) -> ToolError {
    if err.is_timeout() {
        return ToolError::Timeout(format!(
            "no whole answer from {address} within {:?}",
            options.timeout
        ));
    }
    if err.is_redirect() {
        return ToolError::Failed(format!(
            "{address} redirected more than {} times",
            options.max_redirects
        ));
    }
    // The message of the outermost error holds the URL; the cause at the bottom says what happened.
    let mut cause = err.source();
    while let Some(deeper) = cause.and_then(|it| it.source()) {
        cause = Some(deeper);
    }
    let cause = cause.map_or_else(
        || "the request cannot be sent".to_owned(),
        ToString::to_string,
    );
    if err.is_builder() {
        return ToolError::BadArguments(format!("no request can be made of this: {cause}"));
    }
    if err.is_connect() {
        return ToolError::Failed(format!("could not connect to {address}: {cause}"));
    }
    ToolError::Failed(format!("the exchange with {address} broke off: {cause}"))
}
