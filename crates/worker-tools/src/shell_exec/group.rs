//! A process group that does not outlive its owner.

use std::{
    io::{self, PipeWriter},
    path::Path,
    process::{ExitStatus, Stdio},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal as SignalStream, SignalKind, signal},
};

/// A shell and all that it started, but for what left the group.
///
/// Dropping it kills the group at once.
///
/// The shell's exit is noticed without reaping it. Until it is reaped its process id, which is the
/// group's too, cannot be given to anyone else, so no signal can hit a stranger.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    child: Child,
    id: Pid,
    child_changes: SignalStream,
    reaped: bool,
}

impl ProcessGroup {
    /// Starts `sh -c command` with both outputs into `output`. Must be called within a tokio runtime.
    pub(super) fn spawn(
        command: &str,
        directory: Option<&Path>,
        output: PipeWriter,
    ) -> io::Result<Self> {
        // Before the spawn, so that no change can be missed.
        let child_changes = signal(SignalKind::child())?;
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(command)
            // What a model asks with is not for what it asks for.
            .env_remove("OPENAI_API_KEY")
            .env_remove("ANTHROPIC_API_KEY")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            // Reaps it in the background if we are dropped.
            .kill_on_drop(true);
        if let Some(directory) = directory {
            shell.current_dir(directory);
        }
        let child = shell.spawn()?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the shell has no process id"))?;
        Ok(Self {
            child,
            id,
            child_changes,
            reaped: false,
        })
    }

    /// Waits until the shell has exited, and leaves it unreaped.
    pub(super) async fn exited(&mut self) {
        while !self.has_exited() {
            // `None` never comes on Unix; were it to, the status is still waited for in `reap`.
            if self.child_changes.recv().await.is_none() {
                return;
            }
        }
    }

    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.id), options) {
            Ok(None) | Err(Errno::INTR) => false,
            // An error means that somebody else in this process has reaped it.
            Ok(Some(_)) | Err(_) => true,
        }
    }

    /// Sends a signal to every process of the group.
    pub(super) fn signal(&self, signal: Signal) {
        // No such group, or nobody in it whom we may signal: nothing is left to be done.
        let _ = kill_process_group(self.id, signal);
    }

    /// Kills what is left of the group and gives the shell's status.
    pub(super) async fn reap(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.reaped = true;
        status
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
        }
    }
}
