//! Token counts of one model call.

/// Tokens as the provider counted them; `None` where it reported nothing, never a guess.
///
/// `prompt_tokens` includes cached ones for every provider (OpenAI's meaning).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the reply, reasoning included.
    pub completion_tokens: Option<u64>,
    /// The provider's total where it gives one, else prompt + completion.
    pub total_tokens: Option<u64>,
    /// Prompt tokens read from the provider's cache.
    pub cached_tokens: Option<u64>,
    /// Prompt tokens written to the provider's cache.
    pub cache_write_tokens: Option<u64>,
    /// Completion tokens spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Counts of a provider that reports a prompt and a completion; the total is their sum.
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens: Some(prompt_tokens),
            completion_tokens: Some(completion_tokens),
            ..Self::default()
        }
        .with_total()
    }

    /// Fills in `total_tokens` as prompt + completion where the provider gave both but no total.
    #[must_use]
    pub fn with_total(mut self) -> Self {
        if let (None, Some(prompt), Some(completion)) = (
            self.total_tokens,
            self.prompt_tokens,
            self.completion_tokens,
        ) {
            self.total_tokens = prompt.checked_add(completion);
        }
        self
    }
}
