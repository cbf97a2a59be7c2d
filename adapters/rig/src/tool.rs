//! A tool of rig's as a `Tool`.

use std::fmt;

use async_trait::async_trait;
use rig_core::tool::{self as rig, IntoToolOutput as _, ToolContext, ToolErrorKind};
use serde_json::Value;
use worker_runner::{Tool, ToolDefinition, ToolError};

/// A tool of rig's, which gets an empty context with every call.
///
/// No failure of it ends the worker: the model reads its error's text, as that of any other tool.
pub struct RigTool<T> {
    tool: T,
    definition: ToolDefinition,
}

impl<T: rig::Tool> RigTool<T> {
    /// `tool`, under its own name.
    pub fn new(tool: T) -> Self {
        Self {
            definition: ToolDefinition {
                name: T::NAME.to_owned(),
                description: tool.description(),
                parameters: tool.parameters(),
            },
            tool,
        }
    }
}

#[async_trait]
impl<T: rig::Tool + 'static> Tool for RigTool<T> {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let arguments = serde_json::from_value(arguments)
            .map_err(|error| ToolError::BadArguments(error.to_string()))?;
        let output = self.tool.call(&mut ToolContext::new(), arguments).await;
        let output = output.map_err(|error| failure(&self.tool.map_error(error)))?;
        let output = output.into_tool_output().map_err(|it| failure(&it))?;
        Ok(output.render())
    }
}

fn failure(error: &rig::ToolExecutionError) -> ToolError {
    let text = error.message().to_owned();
    match error.kind() {
        ToolErrorKind::InvalidArgs => ToolError::BadArguments(text),
        ToolErrorKind::Timeout => ToolError::Timeout(text),
        ToolErrorKind::RateLimited => ToolError::RateLimit(text),
        _ => ToolError::Failed(text),
    }
}

impl<T> fmt::Debug for RigTool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RigTool")
            .field("definition", &self.definition)
            .finish_non_exhaustive()
    }
}
