//! The client's command line: what it may do, and nothing else.

use std::{
    path::{self, Path},
    process::Stdio,
};

use tokio::process::Command;
use worker_runner::ToolError;

use super::{SshExecOptions, SshTarget};

/// Runs `$1` and ends its session when the connection ends, which shows as the end of the standard input: without a
/// terminal, the other side itself lets a command go on for ever.
///
/// It holds no `'`, as it goes through the other side's login shell. That is the leader of a process group which is the
/// whole session, so that signals to group 0 reach all of it. The watcher must not hold the outputs, for whose end the other
/// side waits; and nobody shall read that it was killed. Both outputs of the command take one way, which keeps their order.
const SUPERVISED: &str = r#"exec 3<&0 </dev/null 2>/dev/null
(trap "" TERM; while read -r x <&3; do :; done; kill -TERM 0; sleep 2; kill -KILL 0) >/dev/null &
watcher=$!
exec 3<&-
(exec sh -c "$1" 2>&1)
code=$?
kill -KILL $watcher
exit $code"#;

/// The client, ready to run `command` on `target`.
pub(super) fn command(
    target: &SshTarget,
    command: &str,
    options: &SshExecOptions,
) -> Result<Command, ToolError> {
    let mut ssh = Command::new(&options.program);
    // Held open as long as the command may run.
    ssh.stdin(Stdio::piped());
    match &options.config {
        Some(config) => ssh.arg("-F").arg(absolute(config)?),
        None => ssh.args(["-F", "none"]),
    };
    let mut settings = vec![
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        "UpdateHostKeys=no".to_owned(),
        "ForwardAgent=no".to_owned(),
        "ForwardX11=no".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "RemoteCommand=none".to_owned(),
        // A connection that others share would not end with this call.
        "ControlMaster=no".to_owned(),
        "ControlPath=none".to_owned(),
        "ServerAliveInterval=15".to_owned(),
        "ServerAliveCountMax=3".to_owned(),
        "LogLevel=ERROR".to_owned(),
        format!(
            "ConnectTimeout={}",
            options.connect_timeout.as_secs().max(1)
        ),
    ];
    if let Some(known_hosts) = &options.known_hosts {
        settings.push(format!("UserKnownHostsFile={}", quoted(known_hosts)?));
        settings.push("GlobalKnownHostsFile=none".to_owned());
    }
    if let Some(identity) = &options.identity {
        settings.push(format!("IdentityFile={}", quoted(identity)?));
        settings.push("IdentitiesOnly=yes".to_owned());
    }
    for setting in settings {
        ssh.arg("-o").arg(setting);
    }
    ssh.arg("-T")
        .args(["-l", target.user(), "-p", &target.port().to_string()])
        // Behind this the client takes nothing for an option, not even the command.
        .args(["--", target.host()])
        .arg(format!(
            "exec sh -c {} sh {}",
            shell_word(SUPERVISED),
            shell_word(command)
        ));
    Ok(ssh)
}

/// A text as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn absolute(path: &Path) -> Result<path::PathBuf, ToolError> {
    path::absolute(path)
        .map_err(|err| ToolError::Configuration(format!("`{}`: {err}", path.display())))
}

/// A path as the value of a setting, where some characters mean more than themselves.
fn quoted(path: &Path) -> Result<String, ToolError> {
    let path = absolute(path)?;
    let text = path.to_str().filter(|it| {
        let is_plain = |it: char| !it.is_control() && it != '"' && it != '\\';
        it.chars().all(is_plain) && !it.contains("${")
    });
    match text {
        Some(text) => Ok(format!("\"{}\"", text.replace('%', "%%"))),
        None => Err(ToolError::Configuration(format!(
            "OpenSSH takes no path such as `{}`; move the file to one without quotes, backslashes and `${{`",
            path.display()
        ))),
    }
}
