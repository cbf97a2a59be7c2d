//! Names resolved once: what is checked here is what is connected to.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::allow;

/// A lookup on its way.
pub(super) type LookedUp = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Asks for a name's addresses: the system, or a test that changes its mind.
pub(super) type Lookup = Arc<dyn Fn(String) -> LookedUp + Send + Sync>;

/// The system's own resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            // The port is put in by the client.
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.collect())
        })
    })
}

/// Which of a name's addresses a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The host was allowed.
    Any,
    Public,
    PublicAndPrivate,
}

/// Resolves names to the addresses that the rule lets through; an error if that is none of them.
pub(super) struct Checked {
    pub(super) lookup: Lookup,
    pub(super) rule: Rule,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let looked_up = (self.lookup)(name.as_str().to_owned());
        let rule = self.rule;
        Box::pin(async move {
            let mut refused = None;
            let mut addresses = looked_up.await?;
            if rule != Rule::Any {
                addresses.retain(|it| {
                    let checked = allow::check(it.ip(), rule == Rule::PublicAndPrivate);
                    checked.map_err(|it| refused.get_or_insert(it)).is_ok()
                });
            }
            match refused {
                Some(refused) if addresses.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}
