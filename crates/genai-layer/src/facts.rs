//! What fields tell of a call.

use std::{
    error::Error,
    fmt::{self, Debug},
    panic::{AssertUnwindSafe, catch_unwind},
};

use metrics_core::{ErrorText, Usage};
use tracing::field::{Field, Visit};

use crate::operation::Operation;

/// What is known of a call so far; a visitor of the fields that tell of one.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) operation: Option<Operation>,
    requested_model: Option<String>,
    served_model: Option<String>,
    provider: Option<String>,
    system: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) tool_call_id: Option<String>,
    pub(crate) usage: Usage,
    /// The first part of a streamed reply was there.
    pub(crate) first_token: bool,
    /// There was a reply, or a tool's outcome.
    pub(crate) answered: bool,
    failed: bool,
    error_type: Option<String>,
    error_text: Option<String>,
}

impl Facts {
    /// The model as it was asked for, else as the provider names it.
    pub(crate) fn model(&self) -> Option<&str> {
        let name = self.requested_model.as_deref();
        name.or(self.served_model.as_deref())
    }

    pub(crate) fn provider(&self) -> Option<&str> {
        self.provider.as_deref().or(self.system.as_deref())
    }

    /// Why the call failed, where it is known to have.
    pub(crate) fn error(&self) -> Option<String> {
        match (&self.error_type, &self.error_text) {
            (Some(class), Some(text)) => Some(format!("{class}: {text}")),
            (Some(text), None) | (None, Some(text)) => Some(text.clone()),
            (None, None) => self.failed.then(|| "failed".to_owned()),
        }
    }

    /// Takes in what was learnt later.
    pub(crate) fn add(&mut self, newer: Self) {
        fn put<T>(slot: &mut Option<T>, newer: Option<T>) {
            if newer.is_some() {
                *slot = newer;
            }
        }
        put(&mut self.operation, newer.operation);
        put(&mut self.requested_model, newer.requested_model);
        put(&mut self.served_model, newer.served_model);
        put(&mut self.provider, newer.provider);
        put(&mut self.system, newer.system);
        put(&mut self.tool, newer.tool);
        put(&mut self.tool_call_id, newer.tool_call_id);
        put(&mut self.error_type, newer.error_type);
        put(&mut self.error_text, newer.error_text);
        let (usage, newer_usage) = (&mut self.usage, newer.usage);
        put(&mut usage.prompt_tokens, newer_usage.prompt_tokens);
        put(&mut usage.completion_tokens, newer_usage.completion_tokens);
        put(&mut usage.total_tokens, newer_usage.total_tokens);
        put(&mut usage.cached_tokens, newer_usage.cached_tokens);
        put(
            &mut usage.cache_write_tokens,
            newer_usage.cache_write_tokens,
        );
        put(&mut usage.reasoning_tokens, newer_usage.reasoning_tokens);
        self.first_token |= newer.first_token;
        self.answered |= newer.answered;
        self.failed |= newer.failed;
    }

    /// Takes a text, which is made only where it is wanted: prompts and replies are not even formatted.
    fn take_text(&mut self, name: &str, text: impl FnOnce() -> String) {
        self.take_sign(name);
        let slot = match name {
            "gen_ai.operation.name" => {
                self.operation = Some(Operation::named(&text()));
                return;
            }
            "otel.status_code" => {
                self.failed = text().eq_ignore_ascii_case("error");
                return;
            }
            "gen_ai.tool.call.outcome" => {
                match &*text() {
                    "success" => {}
                    // Its type stands beside it and says more.
                    "error" => self.failed = true,
                    // Such as `denied`.
                    other => self.error_text = Some(other.to_owned()),
                }
                return;
            }
            "gen_ai.request.model" => &mut self.requested_model,
            "gen_ai.response.model" => &mut self.served_model,
            "gen_ai.provider.name" => &mut self.provider,
            "gen_ai.system" => &mut self.system,
            "gen_ai.tool.name" => &mut self.tool,
            "gen_ai.tool.call.id" => &mut self.tool_call_id,
            "error.type" | "gen_ai.tool.error.type" => &mut self.error_type,
            "error" | "error.message" | "exception.message" | "otel.status_description" => {
                &mut self.error_text
            }
            _ => return,
        };
        let text = text();
        if !text.is_empty() {
            *slot = Some(text);
        }
    }

    fn take_count(&mut self, name: &str, count: u64) {
        self.take_sign(name);
        let usage = &mut self.usage;
        // Beside the conventions' names those that they had, and those that libraries have.
        let slot = match name {
            "gen_ai.usage.input_tokens" | "gen_ai.usage.prompt_tokens" => &mut usage.prompt_tokens,
            "gen_ai.usage.output_tokens" | "gen_ai.usage.completion_tokens" => {
                &mut usage.completion_tokens
            }
            "gen_ai.usage.total_tokens" => &mut usage.total_tokens,
            "gen_ai.usage.cache_read.input_tokens"
            | "gen_ai.usage.cache_read_input_tokens"
            | "gen_ai.usage.cached_tokens" => &mut usage.cached_tokens,
            "gen_ai.usage.cache_creation.input_tokens"
            | "gen_ai.usage.cache_creation_input_tokens" => &mut usage.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens" | "gen_ai.usage.reasoning_tokens" => {
                &mut usage.reasoning_tokens
            }
            _ => return,
        };
        *slot = Some(count);
    }

    /// Takes in that a field has a value, whatever it is.
    fn take_sign(&mut self, name: &str) {
        match name {
            // A stream that has begun is not yet one that has ended.
            "gen_ai.response.time_to_first_chunk" => self.first_token = true,
            _ if tells_answer(name) || tells_outcome(name) => self.answered = true,
            _ => {}
        }
    }
}

/// Whether a field of this name has a value once a model has answered.
pub(crate) fn tells_answer(name: &str) -> bool {
    name.starts_with("gen_ai.response.")
        || name.starts_with("gen_ai.usage.")
        || name == "gen_ai.output.messages"
}

/// Whether a field of this name has a value once a tool has ended, whichever way.
pub(crate) fn tells_outcome(name: &str) -> bool {
    name == "gen_ai.tool.call.outcome"
}

/// Whether a field of this name has a value where the call failed.
pub(crate) fn tells_error(name: &str) -> bool {
    matches!(
        name,
        "error.type" | "gen_ai.tool.error.type" | "otel.status_code"
    )
}

impl Visit for Facts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take_text(field.name(), || short(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take_count(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.take_count(field.name(), value);
        }
    }

    fn record_f64(&mut self, field: &Field, _: f64) {
        self.take_sign(field.name());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take_sign(field.name());
        if field.name() == "error" {
            self.failed = value;
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.take_text(field.name(), || shown(&format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take_text(field.name(), || shown(value));
    }
}

fn short(text: &str) -> String {
    ErrorText::new(text).as_str().to_owned()
}

/// The text of a value that was recorded as `%value` or `?value`, without the quotes of a string.
fn shown(value: &dyn Debug) -> String {
    struct Shown<'a>(&'a dyn Debug);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }
    // It is somebody else's code, and may panic; the worker must not notice.
    let text = catch_unwind(AssertUnwindSafe(|| ErrorText::from_display(&Shown(value))));
    let text = text.unwrap_or(ErrorText::new(""));
    let text = text.as_str();
    let inside = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inside.unwrap_or(text).to_owned()
}
