//! The HTTP client behind the tool: redirects, proxies, certificates.

use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect};
use worker_runner::ToolError;

use super::HttpRequestOptions;

/// Hosts that a proxy, which may run on another machine, would look for in the wrong place.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1,0.0.0.0";

/// A client for `options`; `variable` reads the environment.
pub(super) fn client(
    options: &HttpRequestOptions,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Client, ToolError> {
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("triscope/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::limited(options.max_redirects))
            // Ours instead of the client's own reading of the environment, which knows no loopback.
            .no_proxy();
        proxies(&variable)
            .into_iter()
            .fold(builder, ClientBuilder::proxy)
    };
    builder()
        .build()
        // A machine without root certificates can still speak plain HTTP; trusting none of them,
        // rather than all, makes every `https` exchange fail.
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|err| ToolError::Configuration(format!("no HTTP client: {err}")))
}

/// The proxies that the environment names.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<Proxy> {
    let first_set = |names: [&str; 2]| {
        let mut values = names.iter().filter_map(|name| variable(name));
        values.find(|value| !value.is_empty())
    };
    let exceptions = match first_set(["NO_PROXY", "no_proxy"]) {
        Some(exceptions) => format!("{exceptions},{LOOPBACK}"),
        None => LOOPBACK.to_owned(),
    };
    // A CGI program gets a client's `Proxy` header as HTTP_PROXY.
    let http = first_set(["HTTP_PROXY", "http_proxy"])
        .filter(|_| variable("REQUEST_METHOD").is_none())
        .and_then(|url| Proxy::http(url).ok());
    let https = first_set(["HTTPS_PROXY", "https_proxy"]).and_then(|url| Proxy::https(url).ok());
    let all = first_set(["ALL_PROXY", "all_proxy"]).and_then(|url| Proxy::all(url).ok());
    // The first that matches is used, so the most general comes last.
    [http, https, all]
        .into_iter()
        .flatten()
        .map(|it| it.no_proxy(NoProxy::from_string(&exceptions)))
        .collect()
}
