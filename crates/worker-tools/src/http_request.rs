//! `http_request`: one HTTP exchange, answered as text.

mod client;
mod exchange;
mod request;
#[cfg(test)]
mod tests;

use std::{env, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use reqwest::Client;
use serde_json::{Value, json};
use worker_runner::{Tool, ToolDefinition, ToolError};

/// The limits of [`HttpRequest`].
#[derive(Debug, Clone)]
pub struct HttpRequestOptions {
    /// How long the whole exchange may take, redirects and body included; 30 s by default.
    pub timeout: Duration,
    /// The most bytes of a body that are answered; 1 MiB by default. The rest is not read.
    pub max_body_bytes: usize,
    /// How many redirects are followed; 5 by default.
    pub max_redirects: usize,
}

impl Default for HttpRequestOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_body_bytes: 1024 * 1024,
            max_redirects: 5,
        }
    }
}

/// Sends a request to an `http` or `https` URL.
///
/// The answer is the status line `HTTP 200 OK`, a blank line and the body. A body that was cut ends in
/// a line that says so; what is not UTF-8 is shown as `�`.
///
/// - A status outside 200 to 299 is [`ToolError::Failed`], with the status and the start of the body;
///   429 is [`ToolError::RateLimit`].
/// - No answer in time is [`ToolError::Timeout`]; no connection, or one that breaks, is
///   [`ToolError::Failed`]. No error repeats more of the URL than its host and port.
/// - The proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`, …) are used, but never for loopback.
/// - Certificates are checked against the machine's own roots; on a machine that has none, `https` fails.
///
/// **It reaches every address that the machine reaches**, the private ones included.
#[derive(Debug)]
pub struct HttpRequest {
    definition: ToolDefinition,
    options: HttpRequestOptions,
    /// Made at the first call, as reading the certificates takes a while.
    client: OnceLock<Client>,
}

impl HttpRequest {
    /// The tool with these limits.
    pub fn new(options: HttpRequestOptions) -> Self {
        Self {
            definition: ToolDefinition {
                name: "http_request".to_owned(),
                description: "Sends an HTTP request and answers with the status and the body."
                    .to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "url": {
                            "type": "string",
                            "description": "Begins with http:// or https://.",
                        },
                        "method": {
                            "type": "string",
                            "enum": request::METHODS,
                            "description": "GET if left out.",
                        },
                        "headers": {
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                            "description": "Header names and their values.",
                        },
                        "body": {
                            "type": "string",
                            "description": "Sent as it stands; name its type with a \
                                            Content-Type header.",
                        },
                    },
                    "required": ["url"],
                    "additionalProperties": false,
                }),
            },
            options,
            client: OnceLock::new(),
        }
    }

    fn client(&self) -> Result<&Client, ToolError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = client::client(&self.options, |name| env::var(name).ok())?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Default for HttpRequest {
    fn default() -> Self {
        Self::new(HttpRequestOptions::default())
    }
}

#[async_trait]
impl Tool for HttpRequest {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let request = request::parse(arguments)?;
        exchange::exchange(self.client()?, request, &self.options).await
    }
}
