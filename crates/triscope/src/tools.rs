//! What the tools of this program's workers may reach.

use std::path::{self, PathBuf};

use anyhow::bail;
use clap::Args;
use serde::{Deserialize, Serialize};
use worker_tools::{AllowedHost, HttpRequestOptions, SshExecOptions, SshTarget, ToolOptions};

/// Options of the commands whose workers have tools. Written down with each job, under these names, for the process that
/// runs it.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "What tools may reach")]
pub(crate) struct ToolArgs {
    /// Let `http_request` ask this host whatever its address is, such as 127.0.0.1:8080; may be given again
    #[arg(long = "allow-host", value_name = "HOST[:PORT]")]
    #[serde(with = "texts")]
    allow_hosts: Vec<AllowedHost>,
    /// Let `http_request` ask this machine and private networks
    #[arg(long)]
    allow_private_addresses: bool,
    /// Let `http_request` use the proxies of the environment, which look names up themselves
    #[arg(long)]
    use_proxy: bool,
    /// Let `ssh_exec` run commands there; may be given again
    #[arg(long = "ssh-target", value_name = "NAME=USER@HOST[:PORT]")]
    #[serde(with = "texts")]
    ssh_targets: Vec<SshTarget>,
    /// The private key for `ssh_exec` [default: OpenSSH's usual ones]
    #[arg(long, value_name = "FILE", requires = "ssh_targets")]
    ssh_identity: Option<PathBuf>,
    /// The known host keys for `ssh_exec` [default: OpenSSH's usual ones]
    #[arg(long, value_name = "FILE", requires = "ssh_targets")]
    ssh_known_hosts: Option<PathBuf>,
    /// An OpenSSH configuration for `ssh_exec` [default: none is read]
    #[arg(long, value_name = "FILE", requires = "ssh_targets")]
    ssh_config: Option<PathBuf>,
}

impl ToolArgs {
    /// The same for a process in another directory.
    pub(crate) fn absolute(mut self) -> Self {
        let Self {
            ssh_identity,
            ssh_known_hosts,
            ssh_config,
            ..
        } = &mut self;
        for file in [ssh_identity, ssh_known_hosts, ssh_config] {
            if let Some(Ok(absolute)) = file.as_deref().map(path::absolute) {
                *file = Some(absolute);
            }
        }
        self
    }

    pub(crate) fn options(&self) -> anyhow::Result<ToolOptions> {
        for (n, target) in self.ssh_targets.iter().enumerate() {
            let name = target.name();
            if self.ssh_targets[..n].iter().any(|it| it.name() == name) {
                bail!("two --ssh-target are called `{name}`; give each a name of its own");
            }
        }
        Ok(ToolOptions {
            http: HttpRequestOptions {
                allow_hosts: self.allow_hosts.clone(),
                allow_private_addresses: self.allow_private_addresses,
                environment_proxy: self.use_proxy,
                ..HttpRequestOptions::default()
            },
            ssh: SshExecOptions {
                targets: self.ssh_targets.clone(),
                identity: self.ssh_identity.clone(),
                known_hosts: self.ssh_known_hosts.clone(),
                config: self.ssh_config.clone(),
                ..SshExecOptions::default()
            },
            ..ToolOptions::default()
        })
    }
}

/// What an option is given as.
mod texts {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        items: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(items.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(from)?;
        let items = texts.iter().map(|it| it.parse());
        items.collect::<Result<_, _>>().map_err(de::Error::custom)
    }
}
