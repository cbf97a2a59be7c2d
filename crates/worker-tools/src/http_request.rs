//! `http_request`: one HTTP exchange, answered as text.

mod address;
mod allow;
mod client;
mod exchange;
mod redirect;
mod request;
mod resolver;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;

use std::{env, fmt, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use worker_runner::{Tool, ToolDefinition, ToolError};

use self::{client::Clients, resolver::Lookup};

pub use self::allow::{AllowedHost, InvalidHost};

/// The limits of [`HttpRequest`].
#[derive(Debug, Clone)]
pub struct HttpRequestOptions {
    /// How long the whole exchange may take, redirects and body included; 30 s by default.
    pub timeout: Duration,
    /// The most bytes of a body that are answered; 1 MiB by default. The rest is not read.
    pub max_body_bytes: usize,
    /// How many redirects are followed; 5 by default.
    pub max_redirects: usize,
    /// Hosts that may be asked whatever their address is; none by default.
    pub allow_hosts: Vec<AllowedHost>,
    /// Whether loopback and private networks may be asked; not by default. Link-local addresses, those where a cloud keeps
    /// credentials, and multicast ones must be among `allow_hosts` all the same.
    pub allow_private_addresses: bool,
    /// Whether the proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`, …) are used, never for loopback; not by default,
    /// as **a proxy resolves names itself**, so that only addresses are then checked, not what a name stands for.
    pub environment_proxy: bool,
}

impl Default for HttpRequestOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_body_bytes: 1024 * 1024,
            max_redirects: 5,
            allow_hosts: Vec::new(),
            allow_private_addresses: false,
            environment_proxy: false,
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
/// - Only the public network is asked, unless the options allow more; anything else is [`ToolError::Validation`]. A name
///   is resolved once and only a checked address connected to, so that no name changes its mind in between. Each redirect
///   is checked alike.
/// - A redirect to another origin takes no header along but `Accept`, `Accept-Language`, `Content-Type` and `User-Agent`.
/// - Certificates are checked against the machine's own roots; on a machine that has none, `https` fails.
pub struct HttpRequest {
    definition: ToolDefinition,
    options: HttpRequestOptions,
    lookup: Lookup,
    /// Made at the first call, as reading the certificates takes a while.
    clients: OnceLock<Clients>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// The tool with these limits.
    pub fn new(options: HttpRequestOptions) -> Self {
        Self {
            definition: ToolDefinition {
                name: "http_request".to_owned(),
                description:
                    "Sends an HTTP request to a public host and answers with the status and \
                              the body."
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
            lookup: resolver::system(),
            clients: OnceLock::new(),
        }
    }

    fn clients(&self) -> Result<&Clients, ToolError> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let variable = |name: &str| env::var(name).ok();
        let clients = Clients::new(&self.options, &self.lookup, variable)?;
        Ok(self.clients.get_or_init(|| clients))
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
        exchange::exchange(self.clients()?, request, &self.options).await
    }
}
