//! What a failure means: from a status, an error in an answer or a broken connection to a [`ModelError`].

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;
use worker_runner::{ErrorClass, ModelError};

use crate::draft::{bad, text};

/// As much of what a server says about a failure as an error repeats.
const MAX_CHARS: usize = 500;

/// A refusal by status. `body` is its beginning.
pub(crate) fn of_status(
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    from: &str,
) -> ModelError {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let said = parsed.as_ref().and_then(message_of).unwrap_or(body).trim();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP {} {reason}", status.as_u16())
        .trim_end()
        .to_owned();
    text.push_str(" from ");
    text.push_str(from);
    if status.is_redirection() {
        text.push_str(", which points elsewhere; set the base URL to where it points");
    } else if !said.is_empty() {
        text.push_str(": ");
        text.push_str(&shortened(said));
    }
    let class = match status.as_u16() {
        401 | 403 => ErrorClass::Unauthorized,
        408 => ErrorClass::Timeout,
        // Waiting does not fill an account.
        429 if parsed.as_ref().is_some_and(is_out_of_quota) => ErrorClass::Refused,
        429 => ErrorClass::RateLimited,
        500.. => ErrorClass::ServerError,
        _ => ErrorClass::Refused,
    };
    ModelError {
        retry_after: retry_after(headers),
        ..ModelError::new(class, text)
    }
}

/// An answer that came with a good status and holds an error all the same, as gateways and broken streams do.
pub(crate) fn in_answer(body: &Value) -> Result<(), ModelError> {
    let error = &body["error"];
    if error.is_null() {
        return Ok(());
    }
    let said = message_of(body).map_or_else(|| error.to_string(), str::to_owned);
    let kind = [&error["type"], &error["code"], &error["status"]]
        .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
        .join(" ");
    let has = |words: &[&str]| words.iter().any(|it| kind.contains(it));
    let class = if has(&["insufficient_quota"]) {
        ErrorClass::Refused
    } else if has(&["rate_limit", "429"]) {
        ErrorClass::RateLimited
    } else if has(&["authentication", "permission", "401", "403"]) {
        ErrorClass::Unauthorized
    } else if has(&[
        "overloaded",
        "server_error",
        "api_error",
        "timeout",
        "500",
        "502",
        "503",
        "504",
    ]) {
        ErrorClass::ServerError
    } else {
        ErrorClass::Refused
    };
    Err(ModelError::new(
        class,
        format!("the provider says: {}", shortened(&said)),
    ))
}

/// JSON that holds no reply.
pub(crate) fn no_reply(body: &Value) -> ModelError {
    let body = shortened(&body.to_string());
    bad(format!("there is no reply in the answer: {body}"))
}

/// The data of an event.
pub(crate) fn parse_event(data: &str) -> Result<Value, ModelError> {
    serde_json::from_str(data).map_err(|error| {
        let data = shortened(data);
        bad(format!(
            "an event of the stream is not JSON ({error}): {data}"
        ))
    })
}

/// A request that got no answer, or an answer that broke off.
pub(crate) fn of_transport(error: &reqwest::Error, from: &str) -> ModelError {
    // The message of the outermost error holds the URL; the cause at the bottom says what happened.
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|it| it.source()) {
        cause = Some(deeper);
    }
    let cause = cause.map_or_else(
        || "no cause is known".to_owned(),
        |it| shortened(&it.to_string()),
    );
    if error.is_timeout() {
        ModelError::new(
            ErrorClass::Timeout,
            format!("no connection to {from} in time"),
        )
    } else if error.is_connect() {
        ModelError::new(
            ErrorClass::Unreachable,
            format!("could not connect to {from}: {cause}"),
        )
    } else if error.is_builder() {
        ModelError::new(
            ErrorClass::Refused,
            format!("no request can be made: {cause}"),
        )
    } else {
        ModelError::new(
            ErrorClass::BrokenOff,
            format!("the exchange with {from} broke off: {cause}"),
        )
    }
}

/// The message in the shapes that are in use: `{"error":{"message"}}`, `{"error":""}`, `{"message"}`, `{"detail"}`.
fn message_of(body: &Value) -> Option<&str> {
    [
        &body["error"]["message"],
        &body["error"],
        &body["message"],
        &body["detail"],
    ]
    .into_iter()
    .find_map(|it| it.as_str().filter(|it| !it.is_empty()))
}

fn is_out_of_quota(body: &Value) -> bool {
    let error = &body["error"];
    [&error["code"], &error["type"]]
        .iter()
        .any(|it| text(it) == "insufficient_quota")
}

/// How long the provider asks us to wait: in milliseconds (a custom of OpenAI's), in seconds, or until a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str, unit: f64| {
        let number: f64 = value(name)?.parse().ok()?;
        Duration::try_from_secs_f64(number * unit).ok()
    };
    number("retry-after-ms", 0.001)
        .or_else(|| number("retry-after", 1.0))
        .or_else(|| {
            let date = httpdate::parse_http_date(value("retry-after")?).ok()?;
            // The server's own clock, if it tells; ours may differ.
            let now = value("date").and_then(|it| httpdate::parse_http_date(it).ok());
            let now = now.unwrap_or_else(SystemTime::now);
            // A date that is past means: now.
            Some(date.duration_since(now).unwrap_or_default())
        })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    };
    use worker_runner::ErrorClass;

    use super::{of_status, retry_after};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn the_wait_is_read_in_every_form() {
        let date = ("date", "Mon, 15 Dec 2025 04:08:08 GMT");
        for (pairs, wait) in [
            (&[("retry-after", "7")][..], Some(7000)),
            (&[("retry-after", " 1.5 ")], Some(1500)),
            (
                &[("retry-after-ms", "250"), ("retry-after", "1")],
                Some(250),
            ),
            (
                &[("retry-after", "Mon, 15 Dec 2025 04:08:10 GMT"), date],
                Some(2000),
            ),
            (
                &[("retry-after", "Mon, 15 Dec 2025 04:08:00 GMT"), date],
                Some(0),
            ),
            (&[("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")], Some(0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "1e300")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "")], None),
            (&[], None),
        ] {
            assert_eq!(
                retry_after(&headers(pairs)),
                wait.map(Duration::from_millis),
                "{pairs:?}"
            );
        }
        // By our own clock.
        let far = retry_after(&headers(&[(
            "retry-after",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        )]));
        assert!(far.unwrap() > Duration::from_hours(24 * 365 * 1000));
    }

    #[test]
    fn a_status_says_what_kind_of_failure_it_is() {
        let quota =
            r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#;
        for (status, body, class, text) in [
            (
                400,
                r#"{"error":{"message":"no such field"}}"#,
                ErrorClass::Refused,
                "HTTP 400 Bad Request from h: no such field",
            ),
            (
                401,
                r#"{"error":"wrong key"}"#,
                ErrorClass::Unauthorized,
                "HTTP 401 Unauthorized from h: wrong key",
            ),
            (
                403,
                "",
                ErrorClass::Unauthorized,
                "HTTP 403 Forbidden from h",
            ),
            (
                404,
                r#"{"detail":"Not Found"}"#,
                ErrorClass::Refused,
                "HTTP 404 Not Found from h: Not Found",
            ),
            (
                408,
                "",
                ErrorClass::Timeout,
                "HTTP 408 Request Timeout from h",
            ),
            (
                429,
                "slow down\n",
                ErrorClass::RateLimited,
                "HTTP 429 Too Many Requests from h: slow down",
            ),
            (
                429,
                quota,
                ErrorClass::Refused,
                "HTTP 429 Too Many Requests from h: You exceeded your quota",
            ),
            (
                500,
                "[1]",
                ErrorClass::ServerError,
                "HTTP 500 Internal Server Error from h: [1]",
            ),
            (529, "", ErrorClass::ServerError, "HTTP 529 from h"),
            (
                307,
                "moved",
                ErrorClass::Refused,
                "HTTP 307 Temporary Redirect from h, which points elsewhere; set the base URL to where it points",
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = of_status(status, &HeaderMap::new(), body, "h");
            assert_eq!((error.class, &*error.reason), (class, text));
        }
    }
}
