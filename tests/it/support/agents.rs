//! Agents and models that do what a test tells them.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use metrics_core::Usage;
use worker_runner::{
    Agent, AgentContext, AgentError, ChatModel, ChatReply, ChatRequest, Message, ModelError, Role,
};

/// An agent that is one function of the task and its context.
pub(crate) fn agent<F, R>(body: F) -> impl Agent
where
    F: Fn(String, AgentContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    Script(body)
}

struct Script<F>(F);

#[async_trait]
impl<F, R> Agent for Script<F>
where
    F: Fn(String, AgentContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        (self.0)(task.to_owned(), context.clone()).await
    }
}

/// A model whose answers are written down beforehand.
pub(crate) struct ScriptedModel {
    name: String,
    answers: Mutex<VecDeque<Result<ChatReply, ModelError>>>,
}

impl ScriptedModel {
    pub(crate) fn new(
        name: &str,
        answers: impl IntoIterator<Item = Result<ChatReply, ModelError>>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            answers: Mutex::new(answers.into_iter().collect()),
        }
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, _: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .pop_front()
            .expect("no more is asked than written down")
    }
}

/// A reply of plain text with token counts.
pub(crate) fn reply(text: &str, usage: Usage) -> ChatReply {
    ChatReply {
        usage,
        ..ChatReply::new(Message::text(Role::Assistant, text))
    }
}
