//! What the tools of this program's workers may reach.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use worker_tools::{AllowedHost, HttpRequestOptions, SshExecOptions, SshTarget, ToolOptions};

/// Options of the commands whose workers have tools.
#[derive(Debug, Args)]
#[command(next_help_heading = "What tools may reach")]
pub(crate) struct ToolArgs {
    /// Let `http_request` ask this host whatever its address is, such as 127.0.0.1:8080; may be given again
    #[arg(long = "allow-host", value_name = "HOST[:PORT]")]
    allow_hosts: Vec<AllowedHost>,
    /// Let `http_request` ask this machine and private networks
    #[arg(long)]
    allow_private_addresses: bool,
    /// Let `http_request` use the proxies of the environment, which look names up themselves
    #[arg(long)]
    use_proxy: bool,
    /// Let `ssh_exec` run commands there; may be given again
    #[arg(long = "ssh-target", value_name = "NAME=USER@HOST[:PORT]")]
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
