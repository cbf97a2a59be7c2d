//! Being written.
mod model;
mod tool;
pub use crate::{
    model::{ChatModel, ChatReply, ChatRequest, Message, ModelError, Role, ToolRequest},
    tool::{Tool, ToolDefinition, ToolError},
};
