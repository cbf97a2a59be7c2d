//! A process group that does not outlive its owner.

use std::{io, process::ExitStatus};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    process::{Child, ChildStderr, ChildStdout, Command},
    signal::unix::{Signal as SignalStream, SignalKind, signal},
};

/// A program and all that it started, but for what left the group.
///
/// Dropping it kills the group at once.
///
/// The program's exit is noticed without reaping it. Until it is reaped its process id, which is the group's too, cannot
/// be given to anyone else, so no signal can hit a stranger.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    id: Pid,
    child_changes: SignalStream,
    reaped: bool,
}

impl ProcessGroup {
    /// Starts the command. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's, if it cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        // Before the spawn, so that no change can be missed.
        let child_changes = signal(SignalKind::child())?;
        let child = command
            .process_group(0)
            // Reaps it in the background if we are dropped.
            .kill_on_drop(true)
            .spawn()?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self {
            child,
            id,
            child_changes,
            reaped: false,
        })
    }

    /// The reading ends of its outputs; once.
    pub fn outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits until the program has exited, and leaves it unreaped.
    pub async fn exited(&mut self) {
        while !self.has_exited() {
            // `None` never comes on Unix; were it to, the status is still waited for in `reap`.
            if self.child_changes.recv().await.is_none() {
                return;
            }
        }
    }

    /// Whether the program has exited.
    pub fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.id), options) {
            Ok(None) | Err(Errno::INTR) => false,
            // An error means that somebody else in this process has reaped it.
            Ok(Some(_)) | Err(_) => true,
        }
    }

    /// Closes its input, where that is a pipe that is still open; whether it was.
    pub fn close_input(&mut self) -> bool {
        self.child.stdin.take().is_some()
    }

    /// Kills what is left of the group and gives the program's status.
    ///
    /// # Errors
    /// The system's, if somebody else has reaped it.
    pub async fn reap(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.reaped = true;
        status
    }

    /// Sends a signal to every process of the group.
    pub fn signal(&self, signal: Signal) {
        // No such group, or nobody in it whom we may signal: nothing is left to be done.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
        }
    }
}
