//! Which runner serves which model.

use serde_json::{Map, Value};
use worker_runner::WorkerRunner;

/// Gives the runner for a model's name. The application implements this; the supervisor asks it for every job.
pub trait RunnerSource: Send + Sync + 'static {
    /// The runner for `model`; for `None` the one that serves when nobody names a model.
    ///
    /// # Errors
    /// [`UnknownModel`], before anything is written down.
    fn runner(&self, model: Option<&str>) -> Result<WorkerRunner, UnknownModel>;

    /// What another process has to know to run this one's jobs as it would. It is written down with each job, so no secrets.
    fn settings(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The runner for a job of another process, by the `settings` that it wrote down.
    ///
    /// # Errors
    /// [`NoRunner`], which the job fails with.
    fn runner_for(
        &self,
        model: Option<&str>,
        settings: &Map<String, Value>,
    ) -> Result<WorkerRunner, NoRunner> {
        let _ = settings;
        Ok(self.runner(model)?)
    }
}

/// Why a job of another process cannot be run here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoRunner {
    /// Nothing here can ask its model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// What it needs is not here.
    #[error("the job's settings do not work in this process: {0}")]
    Settings(String),
}

/// A model that nothing here can ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model `{}` is not known; known models: {}", shown(model), known.join(", "))]
pub struct UnknownModel {
    /// The name asked for.
    pub model: String,
    /// The names that can be asked for.
    pub known: Vec<String>,
}

fn shown(model: &str) -> String {
    model
        .chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}

/// One runner, whatever the model: for an application that has only one agent.
impl RunnerSource for WorkerRunner {
    fn runner(&self, model: Option<&str>) -> Result<WorkerRunner, UnknownModel> {
        match model {
            None => Ok(self.clone()),
            Some(model) => Err(UnknownModel {
                model: model.to_owned(),
                known: vec!["none: leave `model` out".to_owned()],
            }),
        }
    }
}
