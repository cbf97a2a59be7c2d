//! What the client says when it fails, and what to do about it.

use std::io;

use worker_runner::ToolError;

use super::{SshExecOptions, SshTarget};
use crate::arguments::bad;

/// What went wrong, if it is the client that says so in `output`.
pub(super) fn of_client(output: &str, target: &SshTarget) -> Option<ToolError> {
    let says = |text: &str| output.contains(text);
    let (host, port) = (target.host(), target.port());
    let bracketed = match port {
        22 => host.to_owned(),
        _ => format!("[{host}]:{port}"),
    };
    let advice = if says("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        format!(
            "its host key is another one than before; if that is meant to be, remove the old one with \
             `ssh-keygen -R {bracketed}` (`-f FILE` for a file of your own) and add the new one, else \
             somebody is in between"
        )
    } else if says("host key is known for") || says("Host key verification failed") {
        format!(
            "its host key is not known; get it with `ssh-keyscan -p {port} {host}`, compare it with the \
             machine's own, and add it to the file of `--ssh-known-hosts` or to ~/.ssh/known_hosts"
        )
    } else if says("UNPROTECTED PRIVATE KEY FILE") || says("Load key ") {
        "the private key cannot be used; see below, and give it with `--ssh-identity`".to_owned()
    } else if says("Permission denied (") || says("Too many authentication failures") {
        format!(
            "it does not let `{}` in with our key; give the right one with `--ssh-identity` and add its \
             public half to the machine's ~/.ssh/authorized_keys; a key with a passphrase needs an agent",
            target.user()
        )
    } else if says("Connection refused") {
        format!(
            "nothing listens on port {port} of {host}; start the server there or correct the port"
        )
    } else if says("Could not resolve hostname") {
        format!("there is no host `{host}`; correct the target")
    } else if says("Connection timed out") || says("Operation timed out") {
        return Some(ToolError::Timeout(format!(
            "cannot reach `{}` ({target}): no answer; is it up, and does a firewall let us through?\
             \n\n{output}",
            target.name()
        )));
    } else if says("No route to host") || says("Network is unreachable") {
        "there is no way to it from here; check the network and the target".to_owned()
    } else if says("Connection closed") || says("Connection reset") || says("Broken pipe") {
        "the connection broke off".to_owned()
    } else {
        return None;
    };
    Some(ToolError::Failed(format!(
        "cannot run anything on `{}` ({target}): {advice}\n\n{output}",
        target.name()
    )))
}

/// Why there is no client.
pub(super) fn cannot_run(err: &io::Error, command: &str, options: &SshExecOptions) -> ToolError {
    match err.kind() {
        io::ErrorKind::ArgumentListTooLong => bad(format!(
            "`command` is too long ({} bytes); write a script to a file there instead",
            command.len()
        )),
        io::ErrorKind::NotFound => ToolError::Configuration(format!(
            "there is no `{}`; install OpenSSH's client (Debian: openssh-client)",
            options.program.display()
        )),
        _ => ToolError::Failed(format!("the client cannot be run: {err}")),
    }
}
