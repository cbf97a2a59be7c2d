//! Who may be asked: the rule, and the exceptions that whoever sets the tool up makes to it.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;
use worker_runner::ToolError;

use super::{HttpRequestOptions, address};
use crate::text::shown;

/// A host, and perhaps a port, that may be asked whatever its address is.
///
/// It is the host as a URL names it, so a name allows no address and an address no name. As text:
/// `db.internal`, `127.0.0.1:8080`, `[::1]:8080`; `::1` without a port may go without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

/// A text that is no [`AllowedHost`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host; give one such as 127.0.0.1:8080, db.internal or [::1]:8080")]
pub struct InvalidHost(String);

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(shown(text));
        // What would end the host within a URL, or stand before it.
        if text.is_empty() || text.contains(|it: char| "/\\?#@%".contains(it) || it.is_whitespace())
        {
            return Err(invalid());
        }
        let bare_v6 = text.matches(':').count() > 1 && !text.starts_with('[');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !bare_v6 && !port.ends_with(']') => {
                let port = port.parse().ok().filter(|it| *it > 0);
                (host, Some(port.ok_or_else(invalid)?))
            }
            _ => (text, None),
        };
        let host = if bare_v6 {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        // Spelled as the URLs are that it is compared with.
        let url = Url::parse(&format!("http://{host}/")).map_err(|_| invalid())?;
        let host = host_of(&url);
        // A name that is full stops alone is none, and would allow an empty one.
        if host.is_empty() || host.ends_with('.') {
            return Err(invalid());
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl AllowedHost {
    fn matches(&self, url: &Url) -> bool {
        self.host == host_of(url)
            && (self.port.is_none() || self.port == url.port_or_known_default())
    }
}

/// A URL's host without the full stop that a name may end with.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

/// The address that a URL names instead of a host.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(host);
    host.parse().ok()
}

/// An address that may not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {}", kind.as_str())]
pub(super) struct Forbidden {
    address: IpAddr,
    kind: address::Kind,
}

/// Says whether an address may be asked without its host being allowed.
pub(super) fn check(address: IpAddr, private_is_allowed: bool) -> Result<(), Forbidden> {
    match address::kind(address) {
        Some(kind) if !(private_is_allowed && kind.is_private()) => {
            Err(Forbidden { address, kind })
        }
        _ => Ok(()),
    }
}

impl Forbidden {
    /// What was refused and how it can be allowed.
    pub(super) fn error(self, url: &Url) -> ToolError {
        let (host, port) = (
            host_of(url),
            url.port_or_known_default().unwrap_or_default(),
        );
        let resolved = if literal(url) == Some(self.address) {
            String::new()
        } else {
            format!("{}: ", shown(&host))
        };
        let all = if self.kind.is_private() {
            " (or all private addresses with `--allow-private-addresses`)"
        } else {
            ""
        };
        ToolError::Validation(format!(
            "{resolved}{self}, which may not be asked; allow it with `--allow-host {}:{port}`{all}, \
             in Rust with `HttpRequestOptions`",
            shown(&host)
        ))
    }
}

/// Whether a URL's host was allowed by name.
pub(super) fn is_allowed(url: &Url, options: &HttpRequestOptions) -> bool {
    options.allow_hosts.iter().any(|it| it.matches(url))
}
