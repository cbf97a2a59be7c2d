//! rig's models and tools in triscope's own loop: [`RigModel`] is a `ChatModel`, [`RigTool`] a `Tool`.
//!
//! ```
//! use std::sync::Arc;
//! use rig_adapter::{RigModel, RigTool};
//! use rig_core::{DynModel, operation::Completion, tool::Tool};
//! use worker_runner::ReactAgent;
//!
//! fn agent(model: DynModel<Completion>, tool: impl Tool + 'static) -> ReactAgent {
//!     ReactAgent::new(
//!         Arc::new(RigModel::new("gpt-5-mini", model)),
//!         vec![Arc::new(RigTool::new(tool))],
//!     )
//! }
//! ```
//!
//! The loop records every turn and tool call, with the time limits, retries and limits of any worker. A whole agent of
//! rig's needs none of this: `genai-layer` records it as it is. Both together are fine, as the layer sees that the loop
//! records these calls.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod messages;
mod model;
mod tool;

pub use crate::{model::RigModel, tool::RigTool};
