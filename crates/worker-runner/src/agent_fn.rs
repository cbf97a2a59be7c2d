//! An agent made of an async function, for programs that have their own loop already.

use std::{fmt::Display, future::Future, marker::PhantomData};

use async_trait::async_trait;

use crate::{Agent, AgentContext, AgentError, Message, Role};

/// Makes an agent of an async function from a task to a result.
///
/// What the function records with `metrics-collector` belongs to the worker; an error fails it.
///
/// ```
/// use worker_runner::agent_fn;
///
/// async fn answer(task: String) -> Result<String, std::io::Error> {
///     Ok(format!("{task}? Done."))
/// }
/// let agent = agent_fn(answer);
/// ```
pub fn agent_fn<F, Fut, T, E>(function: F) -> AgentFn<F, Fut>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Into<String>,
    E: Display,
{
    AgentFn {
        function,
        future: PhantomData,
    }
}

/// An agent made by [`agent_fn`].
pub struct AgentFn<F, Fut> {
    function: F,
    future: PhantomData<fn() -> Fut>,
}

#[async_trait]
impl<F, Fut, T, E> Agent for AgentFn<F, Fut>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Into<String>,
    E: Display,
{
    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        context.say(Message::text(Role::User, task));
        let answer = (self.function)(task.to_owned())
            .await
            .map(Into::into)
            .map_err(|error| AgentError::Other(error.to_string()))?;
        context.say(Message::text(Role::Assistant, answer));
        Ok(())
    }
}

impl<F, Fut> std::fmt::Debug for AgentFn<F, Fut> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentFn").finish_non_exhaustive()
    }
}
