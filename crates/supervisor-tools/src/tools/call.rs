//! Calling a tool by its name, with the arguments as a model gives them.

use serde_json::{Value, json};
use worker_runner::DEFAULT_TIMEOUT;

use super::{
    DEFAULT_GREP_HOURS, DEFAULT_LIMIT, DEFAULT_METRICS_TOKENS, DEFAULT_WAIT, FullAnswer,
    MIN_METRICS_TOKENS, SpawnRequest, SupervisorTools, ToolFailure, ToolOutput,
    arguments::Arguments, definitions,
};
use crate::texts;

const MAX_LIMIT: u64 = 1000;

impl SupervisorTools {
    /// Calls a tool by its name with JSON arguments; an error is a text too.
    pub async fn call(&self, name: &str, arguments: &Value) -> String {
        let answer = self.call_in_full(name, arguments).await;
        answer.map_or_else(|error| error.to_string(), |it| it.text)
    }

    /// Calls a tool by its name with JSON arguments; gives data beside the text.
    ///
    /// # Errors
    /// A [`ToolFailure`], which is for the model to read too.
    pub async fn call_in_full(&self, name: &str, arguments: &Value) -> FullAnswer {
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
                self.spawn_in_full(request).await
            }
            "list_workers" => {
                let limit = given.whole("limit", 1, MAX_LIMIT)?;
                let status = given.parsed("status")?;
                let since = given.hours("since_hours")?;
                given.end()?;
                let limit = limit.and_then(|it| usize::try_from(it).ok());
                self.list_in_full(limit.unwrap_or(DEFAULT_LIMIT), status, since)
                    .await
            }
            "read_worker_result" => {
                let job = given.job()?;
                given.end()?;
                self.result_in_full(&job).await
            }
            "read_worker_file" => {
                let job = given.job()?;
                let file = given.text("file_path")?;
                let offset = given.whole("offset", 0, u64::MAX)?.unwrap_or(0);
                given.end()?;
                self.file_in_full(&job, &file, offset).await
            }
            "grep_workers" => {
                let pattern = given.text("pattern")?;
                let since = given.hours("since_hours")?.unwrap_or(DEFAULT_GREP_HOURS);
                given.end()?;
                self.grep_in_full(&pattern, since).await
            }
            "get_worker_metadata" => {
                let job = given.job()?;
                given.end()?;
                self.metadata_in_full(&job).await
            }
            "worker_metrics" => {
                let job = given.job()?;
                let max_tokens = given.whole("max_tokens", MIN_METRICS_TOKENS as u64, u64::MAX)?;
                given.end()?;
                let max_tokens = max_tokens.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
                let text = self
                    .worker_metrics(&job, max_tokens.unwrap_or(DEFAULT_METRICS_TOKENS))
                    .await?;
                Ok(ToolOutput {
                    data: json!({"digest": text}),
                    text,
                })
            }
            "cancel_worker" => {
                let job = given.job()?;
                given.end()?;
                let text = self.cancel_worker(&job).await?;
                Ok(ToolOutput {
                    data: json!({"message": text}),
                    text,
                })
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
