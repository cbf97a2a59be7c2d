//! The HTTP clients behind the tool: resolvers, proxies, certificates.

use std::sync::Arc;

use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect};
use worker_runner::ToolError;

use super::{
    HttpRequestOptions,
    resolver::{Checked, Lookup, Rule},
};

/// Hosts that a proxy, which may run on another machine, would look for in the wrong place.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1,0.0.0.0";

/// Two clients, as a pooled connection is as good as a new one only under the same rule.
#[derive(Debug)]
pub(super) struct Clients {
    /// For hosts that were allowed.
    pub(super) allowed: Client,
    /// For all others.
    pub(super) checked: Client,
}

impl Clients {
    /// Clients for `options`; `variable` reads the environment.
    pub(super) fn new(
        options: &HttpRequestOptions,
        lookup: &Lookup,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ToolError> {
        let rule = if options.allow_private_addresses {
            Rule::PublicAndPrivate
        } else {
            Rule::Public
        };
        let proxies = if options.environment_proxy {
            proxies(variable)
        } else {
            Vec::new()
        };
        let client = |rule| client(rule, lookup, &proxies);
        Ok(Self {
            allowed: client(Rule::Any)?,
            checked: client(rule)?,
        })
    }
}

fn client(rule: Rule, lookup: &Lookup, proxies: &[Proxy]) -> Result<Client, ToolError> {
    let builder = || {
        let lookup = Arc::clone(lookup);
        let builder = Client::builder()
            .user_agent(concat!("triscope/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Checked { lookup, rule }))
            // Each hop is checked before it is made; the client's own would go on by itself.
            .redirect(redirect::Policy::none())
            // Ours instead of the client's own reading of the environment, which knows no loopback.
            .no_proxy();
        proxies.iter().cloned().fold(builder, ClientBuilder::proxy)
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
