//! The arguments of `http_request`, checked.

use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};
use worker_runner::ToolError;

use crate::{
    arguments::{Arguments, bad, wrong_type},
    text::shown,
};

/// The methods a model may use.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Headers that frame the message; a wrong one would break it.
const FRAMING: [&str; 6] = [
    "connection",
    "content-length",
    "expect",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
}

/// A URL's host and port, for error texts: the whole of it may hold a password or a token.
pub(super) fn address_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Checks the arguments of a call.
pub(super) fn parse(arguments: Value) -> Result<Request, ToolError> {
    let mut arguments = Arguments::new(arguments, &["url", "method", "headers", "body"])?;
    Ok(Request {
        url: url(&arguments.text("url")?)?,
        method: method(arguments.optional_text("method")?)?,
        headers: headers(arguments.optional_object("headers")?)?,
        body: arguments.optional_text("body")?,
    })
}

fn url(text: &str) -> Result<Url, ToolError> {
    // Neither message repeats the URL, which may hold a password.
    let url = Url::parse(text.trim()).map_err(|err| {
        bad(format!(
            "`url` is no URL ({err}); give one such as https://example.com/status"
        ))
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(bad(format!(
            "`url` must begin with http:// or https://, not {}:",
            shown(scheme)
        ))),
    }
}

fn method(text: Option<String>) -> Result<Method, ToolError> {
    let Some(text) = text else {
        return Ok(Method::GET);
    };
    METHODS
        .iter()
        .find(|it| it.eq_ignore_ascii_case(&text))
        .and_then(|it| Method::from_bytes(it.as_bytes()).ok())
        .ok_or_else(|| {
            bad(format!(
                "`method` must be one of {}, not `{}`",
                METHODS.join(", "),
                shown(&text)
            ))
        })
}

fn headers(given: Map<String, Value>) -> Result<HeaderMap, ToolError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let header = HeaderName::try_from(&name)
            .map_err(|_| bad(format!("`headers`: `{}` is no header name", shown(&name))))?;
        if FRAMING.contains(&header.as_str()) {
            return Err(bad(format!(
                "`headers`: `{header}` is set by the tool itself; leave it out"
            )));
        }
        let Value::String(value) = value else {
            return Err(wrong_type(&format!("headers.{header}"), "a string", &value));
        };
        // The message leaves out the value, which may be a token.
        let value = HeaderValue::try_from(value).map_err(|_| {
            bad(format!(
                "`headers.{header}` holds a character that no header may hold"
            ))
        })?;
        if headers.try_append(header, value).is_err() {
            return Err(bad("`headers` holds too many headers"));
        }
    }
    Ok(headers)
}
