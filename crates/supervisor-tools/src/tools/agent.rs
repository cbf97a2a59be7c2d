//! The tools for an agent: a worker that has them is a supervisor itself.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use worker_runner::{Tool, ToolDefinition, ToolError};

use super::{SupervisorTools, ToolFailure};

impl SupervisorTools {
    /// The tools as a `ReactAgent` takes them. What such an agent spawns is its child in the trace.
    ///
    /// To be told that a job has not ended is no failed call: the model reads the same text, the event is a success.
    pub fn for_agent(&self) -> Vec<Arc<dyn Tool>> {
        let tool = |definition| -> Arc<dyn Tool> {
            Arc::new(AgentTool {
                definition,
                tools: self.clone(),
            })
        };
        Self::definitions().into_iter().map(tool).collect()
    }
}

/// One of them.
struct AgentTool {
    definition: ToolDefinition,
    tools: SupervisorTools,
}

#[async_trait]
impl Tool for AgentTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let answer = self.tools.call_in_full(&self.definition.name, &arguments);
        match answer.await {
            Ok(output) => Ok(output.text),
            Err(ToolFailure::NotEnded(text)) => Ok(text),
            // Whoever runs the tool says that it is an error.
            Err(failure) => {
                let text = failure.to_string();
                let text = text.strip_prefix("Error: ").unwrap_or(&text);
                Err(ToolError::Failed(text.to_owned()))
            }
        }
    }
}
