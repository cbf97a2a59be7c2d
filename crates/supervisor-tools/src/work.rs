//! Taking jobs from the line that all processes share.

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc::UnboundedSender};
use tokio_util::task::TaskTracker;
use worker_runner::CancellationToken;

use crate::{Job, Supervisor, SupervisorError};

/// How often a process that takes jobs looks for dead ones: the locks of those that run jobs are asked, a handful.
const LOOK_FOR_THE_DEAD: Duration = Duration::from_millis(500);
/// The pause after a claim that failed.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

/// How a process takes jobs.
#[derive(Debug, Clone, Default)]
pub struct WorkOptions {
    /// Only this owner's jobs; `None` for everybody's.
    pub owner: Option<String>,
    /// Ends once nothing waits in the line and nothing of it runs here.
    pub drain: bool,
    /// Takes no more jobs once cancelled; those that run go on to their end.
    pub stop: CancellationToken,
    /// Who is told what happens.
    pub events: Option<UnboundedSender<WorkEvent>>,
}

/// What happens to the jobs that a process takes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WorkEvent {
    /// Others see now that this process takes jobs.
    Ready,
    /// A job was taken out of the line.
    Taken(Box<Job>),
    /// Its attempt is over; the job as the book has it then.
    Over(Box<Job>),
    /// The line cannot be read; it is tried again and again.
    Fault(String),
}

impl Supervisor {
    /// Takes jobs from the shared line and runs them here, as many at once as there is room for, until it is stopped.
    ///
    /// While this runs, the process is one of the [`takers`](Self::takers), notices within a second when another one that
    /// runs jobs has died, and ends its jobs or puts them back into the line. Returns once the jobs it took are over.
    ///
    /// # Errors
    /// [`SupervisorError::Book`] if the book cannot be written at the beginning or, with `drain`, later.
    pub async fn work(&self, options: WorkOptions) -> Result<(), SupervisorError> {
        let _following = self.follow_book();
        self.clear_up(options.owner.clone()).await?;
        tell(options.events.as_ref(), || WorkEvent::Ready);
        let running = TaskTracker::new();
        running.close(); // It takes new tasks all the same, and can be waited for.
        // A look that has begun is waited for: it says that this process takes jobs.
        let over = CancellationToken::new();
        let take = async {
            let _over = over.clone().drop_guard();
            self.take_jobs(&options, &running).await
        };
        let (res, ()) = tokio::join!(take, self.clear_up_until(&over, &options));
        let removed = self.unblock(|it| Ok(it.book.remove_taker(it.run)?)).await;
        if let Err(error) = removed {
            // Whoever looks for the dead will find it.
            tracing::warn!(%error, "cannot say that this process takes no more jobs");
        }
        running.wait().await;
        res
    }

    async fn take_jobs(
        &self,
        options: &WorkOptions,
        running: &TaskTracker,
    ) -> Result<(), SupervisorError> {
        let mut changed = self.inner.follower.subscribe();
        let stopped = async {
            tokio::select! {
                () = options.stop.cancelled() => {}
                () = self.inner.stop.cancelled() => {}
            }
        };
        tokio::pin!(stopped);
        let mut last_fault = None;
        loop {
            changed.mark_unchanged();
            let permit = tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                permit = self.inner.permits.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return Ok(()) }; // Nobody closes the semaphore.
            let owner = options.owner.clone();
            let claimed = self.unblock(move |it| {
                let now = it.store.clock().timestamp();
                Ok(it.book.claim_next(owner.as_deref(), it.run, now)?)
            });
            let pause = match claimed.await {
                Ok(Some(job)) => {
                    let run = self.clone().run_taken(job, permit, options.events.clone());
                    running.spawn(self.inner.tasks.track_future(run));
                    last_fault = None;
                    continue;
                }
                Ok(None) if options.drain && running.is_empty() => return Ok(()),
                Ok(None) => Duration::MAX,
                Err(error) if options.drain => return Err(error),
                Err(error) => {
                    let fault = error.to_string();
                    if last_fault.as_ref() != Some(&fault) {
                        tracing::error!(%error, "cannot take a job");
                        tell(options.events.as_ref(), || WorkEvent::Fault(fault.clone()));
                        last_fault = Some(fault);
                    }
                    AFTER_A_FAULT
                }
            };
            drop(permit);
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                _ = changed.changed(), if pause == Duration::MAX => {}
                () = running.wait(), if options.drain => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn run_taken(
        self,
        job: Job,
        permit: OwnedSemaphorePermit,
        events: Option<UnboundedSender<WorkEvent>>,
    ) {
        let id = job.id;
        tell(events.as_ref(), || WorkEvent::Taken(Box::new(job.clone())));
        {
            let running = self.note_running(id);
            self.run_job(job, None, running.cancel.clone()).await;
        }
        drop(permit);
        let job = self.unblock(move |it| it.job(id, None)).await;
        if let Ok(Some(job)) = job {
            tell(events.as_ref(), || WorkEvent::Over(Box::new(job)));
        }
    }

    async fn clear_up_until(&self, over: &CancellationToken, options: &WorkOptions) {
        loop {
            tokio::select! {
                biased;
                () = over.cancelled() => return,
                () = tokio::time::sleep(LOOK_FOR_THE_DEAD) => {}
            }
            if let Err(error) = self.clear_up(options.owner.clone()).await {
                tracing::debug!(%error, "cannot look for dead processes");
            }
        }
    }

    /// Says that this process takes jobs, and looks after those of dead ones.
    async fn clear_up(&self, owner: Option<String>) -> Result<(), SupervisorError> {
        let cleared = self.unblock(move |it| {
            it.book.add_taker(it.run, owner.as_deref())?;
            it.clear_up_after_the_dead()
        });
        if cleared.await? {
            self.inner.follower.say_changed();
        }
        Ok(())
    }
}

fn tell(events: Option<&UnboundedSender<WorkEvent>>, event: impl FnOnce() -> WorkEvent) {
    if let Some(events) = events {
        let _ = events.send(event()); // Nobody has to listen.
    }
}
