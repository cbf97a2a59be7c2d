//! What the operations of the semantic conventions are to us.

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A model call; its name is the event's phase.
    Model(&'static str),
    /// A tool call.
    Tool,
    /// What calls are made in, such as an agent.
    Around,
}

impl Operation {
    pub(crate) fn named(name: &str) -> Self {
        // The first four are the conventions'; the others are what rig has beside them.
        const MODELS: [&str; 8] = [
            "chat",
            "text_completion",
            "generate_content",
            "embeddings",
            "rerank",
            "transcription",
            "image_generation",
            "audio_generation",
        ];
        if name == "execute_tool" {
            return Self::Tool;
        }
        match MODELS.into_iter().find(|it| *it == name) {
            Some(name) => Self::Model(name),
            None => Self::Around,
        }
    }

    /// Whether both are model calls, or both tool calls, or both none.
    pub(crate) fn is_same_kind(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}
