//! Whether a worker's process lives: by its run's lock, never by a process id or a clock.

use std::{collections::HashMap, fs, path::Path};

use crate::{
    ArtifactStore, Metadata,
    run::{self, Pulse},
};

/// Whether a worker's process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// The worker has ended; its process does not matter.
    Ended,
    /// Its process lives, stopped or not.
    Alive,
    /// Its process is dead; nothing more will come of it.
    Dead,
    /// It was made on another machine, or does not say where: nothing here can tell.
    Unknown,
}

impl ArtifactStore {
    /// Whether the worker's process lives.
    ///
    /// In this boot of the machine the lock of the worker's run decides, in whatever container it is held. With the host the
    /// same and the boot another one, it is dead.
    pub fn liveness(&self, metadata: &Metadata) -> Liveness {
        self.deaths().liveness(metadata, &mut Pulses::default())
    }

    /// Whether the process of a run lives, as far as its lock tells: for a job that has no worker to ask about.
    pub fn run_liveness(&self, run: &str) -> Liveness {
        self.deaths().run_liveness(run, &mut Pulses::default())
    }
}

/// What the locks said, so that each is asked once a list.
#[derive(Debug, Default)]
pub(crate) struct Pulses(HashMap<String, Pulse>);

impl Pulses {
    /// What the lock of a run says. One of this machine.
    pub(crate) fn liveness(&mut self, run_dir: &Path, run: &str) -> Liveness {
        let pulse = match self.0.get(run) {
            Some(pulse) => *pulse,
            None => *self
                .0
                .entry(run.to_owned())
                .or_insert(run::pulse(run_dir, run)),
        };
        match pulse {
            Pulse::Held => Liveness::Alive,
            Pulse::Free => Liveness::Dead,
            Pulse::Unclear => Liveness::Unknown,
        }
    }
}

/// This machine, in this boot, as metadata names it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) host: Option<String>,
    /// Where the system tells it.
    pub(crate) boot_id: Option<String>,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let name = rustix::system::uname();
        let host = name.nodename().to_string_lossy().into_owned();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self {
            host: Some(host).filter(|it| !it.is_empty()),
            boot_id: boot_id.map(|it| it.trim().to_owned()),
        }
    }

    /// What the metadata's host and boot say; `None` leaves it to the lock.
    pub(crate) fn verdict(&self, metadata: &Metadata) -> Option<Liveness> {
        let same_host = self.host.is_some() && self.host == metadata.host;
        match (&self.boot_id, &metadata.boot_id) {
            (Some(ours), Some(theirs)) if ours == theirs => None,
            (Some(_), Some(_)) if same_host => Some(Liveness::Dead),
            // A system that does not tell its boots: all of this host's runs are its own.
            (None, None) if same_host => None,
            _ => Some(Liveness::Unknown),
        }
    }
}
