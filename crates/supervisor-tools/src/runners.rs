//! Which runner serves which model.

use worker_runner::WorkerRunner;

/// Gives the runner for a model's name. The application implements this; the supervisor asks it for every job.
pub trait RunnerSource: Send + Sync + 'static {
    /// The runner for `model`; for `None` the one that serves when nobody names a model.
    ///
    /// # Errors
    /// [`UnknownModel`], before anything is written down.
    fn runner(&self, model: Option<&str>) -> Result<WorkerRunner, UnknownModel>;
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
