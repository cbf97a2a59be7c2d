//! One exchange: the request sent, the status read, and as much of the body as the limit allows.

use std::{error::Error as _, fmt::Write as _};

use reqwest::{Response, StatusCode, Url, header::RETRY_AFTER};
use tokio::time::{error::Elapsed, timeout};
use worker_runner::ToolError;

use super::{
    HttpRequestOptions,
    allow::{self, Forbidden},
    client::Clients,
    request::{Request, address_of},
};
use crate::text::{beginning, shown};

/// The most bytes of the body of a refusal that the error repeats.
const REFUSAL_BYTES: usize = 1000;

/// Sends `request` and puts the answer into words.
pub(super) async fn exchange(
    clients: &Clients,
    request: Request,
    options: &HttpRequestOptions,
) -> Result<String, ToolError> {
    let mut address = address_of(&request.url);
    let whole = follow(clients, request, options, &mut address);
    match timeout(options.timeout, whole).await {
        Ok(res) => res,
        Err(Elapsed { .. }) => Err(ToolError::Timeout(format!(
            "no whole answer from {address} within {:?}",
            options.timeout
        ))),
    }
}

/// Goes from redirect to redirect, each under the same rule; `address` is the one that is asked.
async fn follow(
    clients: &Clients,
    mut request: Request,
    options: &HttpRequestOptions,
    address: &mut String,
) -> Result<String, ToolError> {
    let first = address.clone();
    for hop in 0.. {
        *address = address_of(&request.url);
        let response = send(clients, &request, options).await?;
        match request.redirected(&response)? {
            None => return answer(response, address, options).await,
            Some(_) if hop == options.max_redirects => break,
            Some(next) => request = next,
        }
    }
    Err(ToolError::Failed(format!(
        "{first} redirected more than {} times",
        options.max_redirects
    )))
}

/// Sends a request, if its host may be asked.
async fn send(
    clients: &Clients,
    request: &Request,
    options: &HttpRequestOptions,
) -> Result<Response, ToolError> {
    let url = &request.url;
    let client = if allow::is_allowed(url, options) {
        &clients.allowed
    } else {
        // The resolver is not asked for what is an address already.
        if let Some(literal) = allow::literal(url) {
            allow::check(literal, options.allow_private_addresses).map_err(|it| it.error(url))?;
        }
        &clients.checked
    };
    let mut builder = client
        .request(request.method.clone(), url.clone())
        .headers(request.headers.clone());
    if let Some(body) = &request.body {
        builder = builder.body(body.clone());
    }
    builder.send().await.map_err(|err| failure(&err, url))
}

/// The answer's text, or the error that a status is.
async fn answer(
    response: Response,
    address: &str,
    options: &HttpRequestOptions,
) -> Result<String, ToolError> {
    let url = response.url().clone();
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
        .map_err(|err| failure(&err, &url))?;
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
fn failure(err: &reqwest::Error, url: &Url) -> ToolError {
    let address = address_of(url);
    // The message of the outermost error holds the URL; the cause at the bottom says what happened.
    let mut cause = err.source();
    while let Some(it) = cause {
        if let Some(forbidden) = it.downcast_ref::<Forbidden>() {
            return forbidden.error(url);
        }
        match it.source() {
            Some(deeper) => cause = Some(deeper),
            None => break,
        }
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
