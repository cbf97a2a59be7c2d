//! A machine that may be reached, and its name for a model.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::text::shown;

/// The longest name of a host.
const MAX_HOST_BYTES: usize = 253;
const MAX_NAME_BYTES: usize = 64;

/// A machine, by a name of its own, and who to be there.
///
/// As text: `web=deploy@web1.example:2222`; the port may be left out, and an IPv6 address stands in brackets:
/// `lab=me@[fd00::7]`. Names and users are of `A-Z a-z 0-9 . _ -`, hosts of the same without `_`; none begins with `-`, so
/// that nothing in it can be taken for an option, a pattern or a piece of shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTarget {
    name: String,
    user: String,
    host: String,
    port: u16,
}

/// A text that is no [`SshTarget`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` {problem}; give NAME=USER@HOST or NAME=USER@HOST:PORT, such as web=deploy@web1.example:2222"
)]
pub struct InvalidTarget {
    text: String,
    problem: &'static str,
}

impl SshTarget {
    /// What a model calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who to be there.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 22 unless another was named.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for SshTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = |problem| InvalidTarget {
            text: shown(text),
            problem,
        };
        let (name, rest) = text.split_once('=').ok_or_else(|| invalid("has no name"))?;
        let (user, address) = rest.split_once('@').ok_or_else(|| invalid("has no user"))?;
        if !is_word(name, "._-", MAX_NAME_BYTES) {
            return Err(invalid("has a name that is none"));
        }
        if !is_word(user, "._-", MAX_NAME_BYTES) {
            return Err(invalid("has a user that is none"));
        }
        let (host, port) = match address.strip_prefix('[') {
            Some(address) => {
                let (host, port) = address
                    .split_once(']')
                    .ok_or_else(|| invalid("has a bracket without its other one"))?;
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err(invalid("has no IPv6 address in its brackets"));
                }
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').unwrap_or("")),
                };
                (host, port)
            }
            None => {
                let (host, port) = match address.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (address, None),
                };
                if !is_word(host, ".-", MAX_HOST_BYTES) || host.starts_with('.') {
                    return Err(invalid("has a host that is none"));
                }
                (host, port)
            }
        };
        let port = match port {
            None => 22,
            Some(port) => port
                .parse()
                .ok()
                .filter(|it| *it > 0 && port.bytes().all(|it| it.is_ascii_digit()))
                .ok_or_else(|| invalid("has a port that is none"))?,
        };
        Ok(Self {
            name: name.to_owned(),
            user: user.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user, host, port, ..
        } = self;
        if host.contains(':') {
            write!(f, "{user}@[{host}]:{port}")
        } else {
            write!(f, "{user}@{host}:{port}")
        }
    }
}

/// Whether a text is of ASCII letters, digits and `more`, and no option.
fn is_word(text: &str, more: &str, max_bytes: usize) -> bool {
    let is_fine = |it: char| it.is_ascii_alphanumeric() || more.contains(it);
    (1..=max_bytes).contains(&text.len()) && !text.starts_with('-') && text.chars().all(is_fine)
}
