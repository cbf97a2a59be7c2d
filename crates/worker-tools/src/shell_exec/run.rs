//! Running one command to its end: reading, waiting, running out of time.

use std::{io, process::ExitStatus, time::Duration};

use rustix::process::Signal;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    select,
    time::{error::Elapsed, timeout},
};
use worker_runner::ToolError;

use super::{ShellExecOptions, group::ProcessGroup};
use crate::{arguments::bad, text::HeadTail};

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How a command ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// What it printed.
    pub(super) output: HeadTail,
    /// The shell's status; `None` if the command ran out of time.
    pub(super) status: Option<ExitStatus>,
    /// Whether something that the shell left in the background still held the output open.
    pub(super) left_open: bool,
}

/// Runs `command`; on return nothing of its process group is left.
pub(super) async fn run(command: &str, options: &ShellExecOptions) -> Result<Finished, ToolError> {
    let cannot = |err: &io::Error| ToolError::Failed(format!("the command cannot be run: {err}"));
    // One pipe for both outputs keeps them in the order in which they were written.
    let (reader, writer) = io::pipe().map_err(|err| cannot(&err))?;
    let reader = Receiver::from_owned_fd(reader.into()).map_err(|err| cannot(&err))?;
    let mut group = ProcessGroup::spawn(command, options.directory.as_deref(), writer).map_err(
        |err| match err.kind() {
            io::ErrorKind::ArgumentListTooLong => bad(format!(
                "`command` is too long ({} bytes); write a script to a file instead",
                command.len()
            )),
            io::ErrorKind::NotFound => ToolError::Configuration(format!(
                "`sh`, or the directory it shall run in, is not there: {err}"
            )),
            _ => cannot(&err),
        },
    )?;

    let mut output = Output::new(reader, options.max_output_bytes);
    let ended = end(&mut group, &mut output, options.drain_grace);
    let (timed_out, left_open) = match timeout(options.timeout, ended).await {
        Ok(left_open) => (false, left_open),
        Err(Elapsed { .. }) => {
            group.signal(Signal::TERM);
            let ended = end(&mut group, &mut output, options.drain_grace);
            // Whether it tidied up or not: what is left of it is killed below.
            let _ = timeout(options.term_grace, ended).await;
            (true, false)
        }
    };
    let status = group.reap().await.map_err(|err| cannot(&err))?;
    Ok(Finished {
        output: output.kept,
        status: (!timed_out).then_some(status),
        left_open,
    })
}

/// Waits until the shell has exited and its output is read; says if something still held that open.
async fn end(group: &mut ProcessGroup, output: &mut Output, drain_grace: Duration) -> bool {
    select! {
        () = output.read_to_end() => {
            group.exited().await;
            false
        }
        () = group.exited() => timeout(drain_grace, output.read_to_end()).await.is_err(),
    }
}

/// The reading end of the command's output, and what was kept of it.
#[derive(Debug)]
struct Output {
    reader: Receiver,
    closed: bool,
    chunk: Vec<u8>,
    kept: HeadTail,
}

impl Output {
    fn new(reader: Receiver, limit: usize) -> Self {
        Self {
            reader,
            closed: false,
            chunk: vec![0; CHUNK_BYTES],
            kept: HeadTail::new(limit),
        }
    }

    /// Reads until nobody holds the other end of the pipe any more.
    ///
    /// May be dropped at any time and called again: no byte is lost.
    async fn read_to_end(&mut self) {
        while !self.closed {
            match self.reader.read(&mut self.chunk).await {
                // An error on a pipe is no better than its end; what was read still counts.
                Ok(0) | Err(_) => self.closed = true,
                Ok(n_bytes) => self.kept.push(&self.chunk[..n_bytes]),
            }
        }
    }
}
