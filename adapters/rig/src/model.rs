//! A completion model of rig's as a `ChatModel`.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use metrics_core::Usage;
use rig_core::{
    DynModel, ErrorKind, ErrorReport, ProviderError,
    completion::{CompletionResponse, FinishReason},
    operation::Completion,
};
use worker_runner::{ChatModel, ChatReply, ChatRequest, ErrorClass, ModelError};

use crate::messages;

/// A completion model of rig's, from any of its providers.
///
/// - Answered whole: there is no `ttft_ms`.
/// - Token counts are the provider's. rig's cost comes from a catalogue, not from the provider, and is left out.
/// - Of an earlier turn the text and the tool calls go back to the model; its reasoning does not.
pub struct RigModel {
    name: String,
    model: DynModel<Completion>,
}

impl RigModel {
    /// `model`, which is called `name` on all three tiers.
    pub fn new(name: impl Into<String>, model: impl Into<DynModel<Completion>>) -> Self {
        Self {
            name: name.into(),
            model: model.into(),
        }
    }
}

#[async_trait]
impl ChatModel for RigModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        let request = messages::request(request)
            .map_err(|reason| ModelError::new(ErrorClass::Refused, reason))?;
        let response = self.model.call(request).await.map_err(|it| failure(&it))?;
        if let Some(reason) = refusal(&response) {
            return Err(ModelError::new(ErrorClass::Refused, reason));
        }
        let mut reply = ChatReply::new(messages::reply(&response));
        reply.usage = Usage {
            prompt_tokens: response.usage.input_tokens,
            completion_tokens: response.usage.output_tokens,
            total_tokens: response.usage.total_tokens,
            cached_tokens: response.usage.cached_input_tokens,
            cache_write_tokens: response.usage.cache_creation_input_tokens,
            reasoning_tokens: response.usage.reasoning_tokens,
        };
        reply.provider = Some(response.provider().to_owned());
        reply.cut_short = (response.finish_reason() == Some(FinishReason::Length))
            .then(|| "the token limit of one reply".to_owned());
        Ok(reply)
    }
}

fn refusal(response: &CompletionResponse) -> Option<String> {
    let filtered = response.finish_reason() == Some(FinishReason::ContentFilter);
    let filtered = filtered.then(|| "the provider's content filter".to_owned());
    response.error.clone().or(filtered)
}

fn failure(error: &ProviderError) -> ModelError {
    let report = ErrorReport::from(error);
    let class = match (report.http_status, report.kind) {
        (Some(401 | 403), _) => ErrorClass::Unauthorized,
        (Some(429), _) => ErrorClass::RateLimited,
        (Some(408), _) | (None, ErrorKind::Timeout) => ErrorClass::Timeout,
        (Some(500..), _) => ErrorClass::ServerError,
        _ if matches!(error, ProviderError::Truncated) => ErrorClass::BrokenOff,
        (None, ErrorKind::Http) => ErrorClass::Unreachable,
        (_, ErrorKind::Json | ErrorKind::Response) => ErrorClass::BadReply,
        _ => ErrorClass::Refused,
    };
    let mut res = ModelError::new(class, report.message.clone());
    // The form in seconds, which providers send.
    res.retry_after = report
        .provider_response_headers()
        .and_then(|it| it.get("retry-after")?.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    res
}

impl fmt::Debug for RigModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RigModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
