//! Running one command to its end: reading, waiting, running out of time.

use std::{io, process::ExitStatus};

use process_group::{ProcessGroup, Signal};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::Command,
    select,
    time::{error::Elapsed, timeout},
};
use worker_runner::{OutputArtifact, ToolContext};

use super::Limits;
use crate::text::HeadTail;

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What it printed, as far as the limit lets it.
    pub(crate) output: String,
    /// Its status; `None` if it ran out of time.
    pub(crate) status: Option<ExitStatus>,
    /// Whether something that it left in the background still held the output open.
    pub(crate) left_open: bool,
}

/// Runs `command`, both outputs together; on return nothing of its process group is left.
///
/// Output that is too long for an answer goes to an artifact of `worker`, piece by piece.
pub(crate) async fn run(
    mut command: Command,
    limits: Limits,
    worker: Option<&ToolContext<'_>>,
) -> io::Result<Finished> {
    // One pipe for both outputs keeps them in the order in which they were written.
    let (reader, writer) = io::pipe()?;
    let reader = Receiver::from_owned_fd(reader.into())?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let group = ProcessGroup::spawn(&mut command);
    // It holds our copies of the writing end.
    drop(command);
    let mut group = group?;

    let mut output = Output {
        reader,
        closed: false,
        chunk: vec![0; CHUNK_BYTES],
        kept: HeadTail::new(limits.max_output_bytes),
        whole: Whole {
            worker,
            max_bytes: limits.max_artifact_bytes,
            artifact: None,
        },
    };
    let ended = end(&mut group, &mut output, limits);
    let (timed_out, left_open) = match timeout(limits.timeout, ended).await {
        Ok(left_open) => (false, left_open),
        Err(Elapsed { .. }) => {
            // The end of its input reaches further than a signal, for one that speaks for a process elsewhere.
            if !group.close_input() {
                group.signal(Signal::TERM);
            }
            let ended = end(&mut group, &mut output, limits);
            // Whether it tidied up or not: what is left of it is killed below.
            let _ = timeout(limits.term_grace, ended).await;
            (true, false)
        }
    };
    let status = group.reap().await?;
    let Output { kept, whole, .. } = output;
    let artifact = whole.artifact.map(|mut it| {
        it.finish();
        it.to_string()
    });
    Ok(Finished {
        output: kept.into_text(artifact),
        status: (!timed_out).then_some(status),
        left_open,
    })
}

/// Waits until the command has exited and its output is read; says if something still held that open.
async fn end(group: &mut ProcessGroup, output: &mut Output<'_>, limits: Limits) -> bool {
    select! {
        () = output.read_to_end() => {
            group.exited().await;
            false
        }
        () = group.exited() => timeout(limits.drain_grace, output.read_to_end()).await.is_err(),
    }
}

/// The reading end of the command's output, and what was kept of it.
#[derive(Debug)]
struct Output<'a> {
    reader: Receiver,
    closed: bool,
    chunk: Vec<u8>,
    kept: HeadTail,
    whole: Whole<'a>,
}

impl Output<'_> {
    /// Reads until nobody holds the other end of the pipe any more.
    ///
    /// May be dropped at any time and called again: no byte is lost.
    async fn read_to_end(&mut self) {
        while !self.closed {
            match self.reader.read(&mut self.chunk).await {
                // An error on a pipe is no better than its end; what was read still counts.
                Ok(0) | Err(_) => self.closed = true,
                Ok(n_bytes) => {
                    let bytes = &self.chunk[..n_bytes];
                    self.whole.take(&self.kept, bytes);
                    self.kept.push(bytes);
                }
            }
        }
    }
}

/// The artifact of an output that is too long to be kept in memory.
#[derive(Debug)]
struct Whole<'a> {
    /// Taken when the artifact is begun, as that is tried once.
    worker: Option<&'a ToolContext<'a>>,
    max_bytes: u64,
    artifact: Option<OutputArtifact>,
}

impl Whole<'_> {
    /// Takes what comes behind all that is `kept`, once that is more than is kept.
    fn take(&mut self, kept: &HeadTail, bytes: &[u8]) {
        if self.worker.is_some() && kept.would_leave_out(bytes.len()) {
            let worker = self.worker.take();
            self.artifact = worker.and_then(|it| it.begin_output(self.max_bytes));
            if let Some(artifact) = &mut self.artifact {
                kept.pieces().into_iter().for_each(|it| artifact.write(it));
            }
        }
        if let Some(artifact) = &mut self.artifact {
            artifact.write(bytes);
        }
    }
}
