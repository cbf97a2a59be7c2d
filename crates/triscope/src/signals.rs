//! The signals that end a program, and the one that a recorder must survive.

use std::{future::poll_fn, task::Poll};

use rustix::process::Signal as Number;
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
    if let Err(error) = signal(kind(Number::XFSZ)) {
        output::note(&format!("warning: a file size limit would kill: {error}"));
    }
}

struct Handlers {
    ends: Vec<(Signal, Exit)>,
}

impl Handlers {
    fn install() -> std::io::Result<Self> {
        let mut ends = Vec::new();
        for (number, exit) in [
            (Number::INT, Exit::Interrupted),
            (Number::TERM, Exit::Terminated),
            (Number::HUP, Exit::HungUp),
            (Number::QUIT, Exit::Quit),
        ] {
            // As `nohup` and a shell's `&` want it.
            if !is_ignored(number) {
                ends.push((signal(kind(number))?, exit));
            }
        }
        Ok(Self { ends })
    }

    async fn pass_on(mut self, sender: mpsc::UnboundedSender<Exit>) {
        loop {
            let exit = poll_fn(|context| {
                let arrived = self.ends.iter_mut().find_map(|(signal, exit)| {
                    signal.poll_recv(context).is_ready().then_some(*exit)
                });
                arrived.map_or(Poll::Pending, Poll::Ready)
            })
            .await;
            if sender.send(exit).is_err() {
                std::process::exit(exit.code().into());
            }
        }
    }
}

fn kind(number: Number) -> SignalKind {
    SignalKind::from_raw(number.as_raw())
}

/// Whether whoever started the program had it ignore the signal; `false` where the system does not tell.
fn is_ignored(number: Number) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    mask.is_some_and(|it| it >> (number.as_raw() - 1) & 1 == 1)
}
