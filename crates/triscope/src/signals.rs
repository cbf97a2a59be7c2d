//! Ctrl-C, SIGTERM and the signal that a recorder must survive.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::{exit::Exit, output};

/// The signals that end the program, for whoever winds it up.
///
/// Once this is dropped nobody does, and a signal ends the program at once, even while it is printing into a pipe that
/// nobody reads. (What a signal does without a listener cannot be had back.)
pub(crate) struct Signals(mpsc::UnboundedReceiver<Exit>);

impl Signals {
    pub(crate) fn listen() -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        match Handlers::install() {
            Ok(handlers) => drop(tokio::spawn(handlers.pass_on(sender))),
            Err(error) => {
                output::note(&format!("warning: signals cannot be handled: {error}"));
            }
        }
        Self(received)
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Exit {
        match self.0.recv().await {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }
}

/// Lets a write beyond `ulimit -f` fail instead of killing: being listened to is all that this signal needs, and once
/// listened to it never kills again. For the very beginning, as the store, the job book and the log are written by readers
/// too.
pub(crate) fn survive_file_size_limit() {
    if let Err(error) = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        output::note(&format!("warning: a file size limit would kill: {error}"));
    }
}

struct Handlers {
    interrupt: Signal,
    terminate: Signal,
}

impl Handlers {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn pass_on(mut self, sender: mpsc::UnboundedSender<Exit>) {
        loop {
            let exit = tokio::select! {
                _ = self.interrupt.recv() => Exit::Interrupted,
                _ = self.terminate.recv() => Exit::Terminated,
            };
            if sender.send(exit).is_err() {
                std::process::exit(exit.code().into());
            }
        }
    }
}
