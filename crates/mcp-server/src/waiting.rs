//! Spawning a worker and waiting for it: the client is told how it stands, and may go away without harm.

use std::{convert::Infallible, time::Duration};

use rmcp::{Peer, RoleServer, model::ProgressNotificationParam, service::RequestContext};
use serde_json::{Value, json};
use supervisor_tools::{DEFAULT_WAIT, FullAnswer, JobId};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{McpServer, server::without_prefix};

/// How often a client that asked for it is told how the worker stands.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl McpServer {
    /// `spawn_worker`; the wait, where one is asked for, takes no room from other answers.
    pub(crate) async fn spawn(
        &self,
        mut arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> FullAnswer {
        let limit = take_wait(&mut arguments);
        let spawned = self.tools.call_in_full("spawn_worker", &arguments).await?;
        let id = spawned.data["job_id"].as_u64();
        let Some(id) = id.and_then(|it| JobId::try_from(it).ok()) else {
            return Ok(spawned);
        };
        // Also if the wait is cancelled.
        let mut unseen = UnseenEnd {
            server: self,
            job: Some(id),
            client: &context.peer,
        };
        let Some(limit) = limit else {
            return Ok(spawned);
        };
        let has_ended = tokio::select! {
            ended = self.supervisor.wait(id, limit) => ended?,
            never = self.tell_progress(id, context) => match never {},
        };
        if has_ended {
            unseen.job = None;
            // Beside the answer: at the end of a client's input nothing but answers is sent.
            let (this, client) = (self.clone(), context.peer.clone());
            tokio::spawn(async move { this.tell_end(id, &client).await });
        }
        let result = json!({"job_id": id.get()});
        let result = self.tools.call_in_full("read_worker_result", &result);
        self.in_turn(&context.ct, result).await
    }

    /// Tells a client that gave a token for it, again and again.
    async fn tell_progress(&self, id: JobId, context: &RequestContext<RoleServer>) -> Infallible {
        let Some(token) = context.meta.get_progress_token() else {
            return std::future::pending().await;
        };
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay); // So that it always grows.
        loop {
            ticks.tick().await;
            let message = self.state_of(id).await;
            let progress =
                ProgressNotificationParam::new(token.clone(), begun.elapsed().as_secs_f64())
                    .with_message(message);
            if let Err(error) = context.peer.notify_progress(progress).await {
                tracing::debug!(%error, job_id = id.get(), "cannot tell a client of the progress");
                return std::future::pending().await;
            }
        }
    }

    /// Such as `job 5 is still running (12s; tool shell_exec for 3s)`.
    async fn state_of(&self, id: JobId) -> String {
        let text = self
            .tools
            .call("read_worker_result", &json!({"job_id": id.get()}))
            .await;
        let state = text.strip_prefix("Error: ").is_some();
        match without_prefix(&text).rsplit_once(". Call ") {
            Some((facts, _)) if state => facts.to_owned(),
            _ => format!("job {id} has ended"),
        }
    }
}

/// A job whose end is told later, unless somebody has seen it by then.
struct UnseenEnd<'a> {
    server: &'a McpServer,
    job: Option<JobId>,
    client: &'a Peer<RoleServer>,
}

impl Drop for UnseenEnd<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.job {
            self.server.tell_end_later(id, self.client.clone());
        }
    }
}

/// How long to wait at most, if at all; the arguments are left without the wish. What is wrong with them stays in them,
/// for the tool to find.
fn take_wait(arguments: &mut Value) -> Option<Duration> {
    let arguments = arguments.as_object_mut()?;
    let wait = arguments.get("wait")?.as_bool()?;
    arguments.remove("wait");
    let seconds = match arguments.get("wait_seconds") {
        None | Some(Value::Null) => Some(DEFAULT_WAIT),
        Some(Value::String(text)) => text.parse().ok().and_then(duration),
        Some(other) => other.as_f64().and_then(duration),
    };
    seconds.filter(|_| wait)
}

fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::take_wait;

    #[test]
    fn the_wish_to_wait_is_taken_and_all_else_left() {
        for (arguments, limit, left) in [
            (json!({"task": "a"}), None, json!({"task": "a"})),
            (
                json!({"task": "a", "wait": true}),
                Some(60),
                json!({"task": "a"}),
            ),
            (
                json!({"task": "a", "wait": false}),
                None,
                json!({"task": "a"}),
            ),
            (
                json!({"wait": true, "wait_seconds": 5}),
                Some(5),
                json!({"wait_seconds": 5}),
            ),
            (
                json!({"wait": true, "wait_seconds": "7"}),
                Some(7),
                json!({"wait_seconds": "7"}),
            ),
            // For the tool to refuse.
            (json!({"wait": "yes"}), None, json!({"wait": "yes"})),
            (
                json!({"wait": true, "wait_seconds": -1}),
                None,
                json!({"wait_seconds": -1}),
            ),
            (json!(3), None, json!(3)),
        ] {
            let mut given = arguments.clone();
            assert_eq!(
                take_wait(&mut given),
                limit.map(Duration::from_secs),
                "{arguments}"
            );
            assert_eq!(given, left);
        }
    }
}
