//! Calling a tool by its name, with the arguments as a model gives them.

use serde_json::Value;
use worker_runner::DEFAULT_TIMEOUT;

use super::{
    DEFAULT_GREP_HOURS, DEFAULT_LIMIT, DEFAULT_METRICS_TOKENS, DEFAULT_WAIT, MIN_METRICS_TOKENS,
    SpawnRequest, SupervisorTools, ToolAnswer, ToolFailure, arguments::Arguments, definitions,
};
use crate::texts;

const MAX_LIMIT: u64 = 1000;

impl SupervisorTools {
    /// Calls a tool by its name with JSON arguments; an error is a text too.
    pub async fn call(&self, name: &str, arguments: &Value) -> String {
        let answer = self.dispatch(name, arguments).await;
        answer.unwrap_or_else(|error| error.to_string())
    }

    async fn dispatch(&self, name: &str, arguments: &Value) -> ToolAnswer {
        let mut given = Arguments::new(arguments)?;
        match name {
            "spawn_worker" => {
                let task = given.text("task")?;
                let request = SpawnRequest {
                    model: given.optional_text("model")?,
                    timeout: given.seconds("timeout_seconds")?.unwrap_or(DEFAULT_TIMEOUT),
                    wait: {
                        let wait = given.flag("wait")?.unwrap_or(false);
                        let limit = given.seconds("wait_seconds")?.unwrap_or(DEFAULT_WAIT);
                        wait.then_some(limit)
                    },
                    ..SpawnRequest::new(task)
                };
                given.end()?;
                self.spawn_worker(request).await
            }
            "list_workers" => {
                let limit = given.whole("limit", 1, MAX_LIMIT)?;
                let status = given.parsed("status")?;
                let since = given.hours("since_hours")?;
                given.end()?;
                let limit = limit.and_then(|it| usize::try_from(it).ok());
                self.list_workers(limit.unwrap_or(DEFAULT_LIMIT), status, since)
                    .await
            }
            "read_worker_result" => {
                let job = given.job()?;
                given.end()?;
                self.read_worker_result(&job).await
            }
            "read_worker_file" => {
                let job = given.job()?;
                let file = given.text("file_path")?;
                let offset = given.whole("offset", 0, u64::MAX)?.unwrap_or(0);
                given.end()?;
                self.read_worker_file(&job, &file, offset).await
            }
            "grep_workers" => {
                let pattern = given.text("pattern")?;
                let since = given.hours("since_hours")?.unwrap_or(DEFAULT_GREP_HOURS);
                given.end()?;
                self.grep_workers(&pattern, since).await
            }
            "get_worker_metadata" => {
                let job = given.job()?;
                given.end()?;
                self.get_worker_metadata(&job).await
            }
            "worker_metrics" => {
                let job = given.job()?;
                let max_tokens = given.whole("max_tokens", MIN_METRICS_TOKENS as u64, u64::MAX)?;
                given.end()?;
                let max_tokens = max_tokens.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
                self.worker_metrics(&job, max_tokens.unwrap_or(DEFAULT_METRICS_TOKENS))
                    .await
            }
            "cancel_worker" => {
                let job = given.job()?;
                given.end()?;
                self.cancel_worker(&job).await
            }
            unknown => {
                let known: Vec<_> = definitions::all().into_iter().map(|it| it.name).collect();
                Err(ToolFailure::Refused(format!(
                    "there is no tool `{}`. Use one of {}.",
                    texts::one_line(&texts::cut(unknown, 100)),
                    known.join(", ")
                )))
            }
        }
    }
}
