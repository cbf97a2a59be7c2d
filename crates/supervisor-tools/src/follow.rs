//! Following the book: what other processes write there is noticed soon, as long as it matters to this one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{BookVersion, Supervisor};

/// How often the book is looked at: a look is a question or two, which SQLite answers from memory that the processes share.
const TICK: Duration = Duration::from_millis(50);

/// Says what it sees in the book, for as long as there is a [`Following`].
#[derive(Debug)]
pub(crate) struct Follower {
    task: Mutex<(usize, Option<JoinHandle<()>>)>,
    /// Counts changes of the book, by whomever.
    changed: watch::Sender<u64>,
}

impl Default for Follower {
    fn default() -> Self {
        Self {
            task: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Follower {
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// For a change of this process, which the book does not tell it of.
    pub(crate) fn say_changed(&self) {
        self.changed.send_modify(|it| *it += 1);
    }

    fn task(&self) -> MutexGuard<'_, (usize, Option<JoinHandle<()>>)> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The book is followed while this lives.
pub(crate) struct Following<'a>(&'a Follower);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        let (users, task) = &mut *self.0.task();
        *users -= 1;
        if *users == 0
            && let Some(task) = task.take()
        {
            task.abort();
        }
    }
}

impl Supervisor {
    /// Stops workers of this process that somebody elsewhere wants to end, and tells of changes.
    pub(crate) fn follow_book(&self) -> Following<'_> {
        let follower = &self.inner.follower;
        let (users, task) = &mut *follower.task();
        *users += 1;
        if task.is_none() {
            let this = self.clone();
            *task = Some(tokio::spawn(async move { this.look_for_ever().await }));
        }
        Following(follower)
    }

    async fn look_for_ever(&self) {
        let mut seen: Option<BookVersion> = None;
        loop {
            let runs_some = self.runs_some();
            let look = self.unblock(move |it| {
                let version = it.book.version()?;
                let unwanted = if runs_some {
                    it.book.cancel_requests_of(it.run)?
                } else {
                    Vec::new()
                };
                Ok((version, unwanted))
            });
            // A book that cannot be read just now is whoever's who needs it to tell of.
            if let Ok((version, unwanted)) = look.await {
                for id in unwanted {
                    self.stop_running(id);
                }
                if seen.replace(version) != Some(version) {
                    self.inner.follower.say_changed();
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }
}
