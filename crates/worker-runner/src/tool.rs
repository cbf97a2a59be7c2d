//! What a tool is to a worker: JSON arguments in, text out.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tool_context::ToolContext;

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolDefinition {
    /// The name a model calls it by.
    pub name: String,
    /// When to use it, in one or two sentences.
    pub description: String,
    /// A JSON schema of type `object` for the arguments.
    pub parameters: Value,
}

/// Why a tool call failed.
///
/// A critical failure ends the worker, as no other arguments can mend it; every other one goes back
/// to the model as the call's output, so that it can try something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// Critical: the tool is not set up (a missing key, program or address).
    #[error("configuration: {0}")]
    Configuration(String),
    /// Critical: the worker may not do this.
    #[error("permission: {0}")]
    Permission(String),
    /// Critical: a rule of the tool's own forbids it, such as a host that is not on its list.
    #[error("validation: {0}")]
    Validation(String),
    /// The tool took too long.
    #[error("timeout: {0}")]
    Timeout(String),
    /// The other side asked us to slow down.
    #[error("rate limit: {0}")]
    RateLimit(String),
    /// The arguments do not fit the tool's schema.
    #[error("bad arguments: {0}")]
    BadArguments(String),
    /// The tool ran and did not succeed.
    #[error("{0}")]
    Failed(String),
}

impl ToolError {
    /// Whether this failure ends the worker.
    pub fn is_critical(&self) -> bool {
        matches!(
            self,
            Self::Configuration(_) | Self::Permission(_) | Self::Validation(_)
        )
    }
}

/// Something a worker can do. Tools implement this; the ReAct loop calls it.
///
/// # Contract
/// - Dropping the future stops the work (a timeout or a cancelled worker does so).
/// - An implementation records no event: the loop does, so that one call is one event.
#[async_trait]
pub trait Tool: Send + Sync {
    /// How a model sees it; the same on every call.
    fn definition(&self) -> &ToolDefinition;
    /// Does the work and answers in text.
    async fn call(&self, arguments: Value) -> Result<String, ToolError>;
    /// The same for a worker, which can keep what is too long for an answer. This is what the ReAct loop calls; a tool
    /// without long outputs leaves it as it is.
    async fn call_for(
        &self,
        arguments: Value,
        _worker: &ToolContext<'_>,
    ) -> Result<String, ToolError> {
        self.call(arguments).await
    }
}
