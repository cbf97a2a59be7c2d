//! The result in one line: asked of a model, or else its beginning.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use metrics_collector::llm_call;
use metrics_core::{ErrorText, Phase};
use redactor::Redactor;
use serde_json::{Value, json};

use crate::{
    model::{ChatModel, ChatReply, ChatRequest, Message, Role},
    react::panic_text,
    redact,
    result::{cut, summary_of},
};

/// How long a model may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a result a model is shown: what a line of 150 characters can tell is said by then.
const MAX_RESULT_CHARS: usize = 20_000;

/// A summary and how it was made, as they stand in the metadata.
pub(crate) struct Summary {
    pub(crate) text: String,
    pub(crate) meta: Value,
}

impl Summary {
    /// The beginning of `result`.
    pub(crate) fn beginning(result: &str) -> Self {
        Self {
            text: summary_of(result),
            meta: json!({"source": "beginning"}),
        }
    }

    /// The beginning of `result`, because `model` did not give a summary.
    pub(crate) fn without(model: &dyn ChatModel, result: &str, error: &str) -> Self {
        Self {
            text: summary_of(result),
            meta: json!({
                "source": "beginning",
                "model": model.name(),
                "error": ErrorText::new(error).as_str(),
            }),
        }
    }

    /// Without its secrets: the result has none, but a model may say anything.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let text = redactor.text(&self.text).into_owned();
        let meta = match self.meta {
            Value::Object(meta) => Value::Object(redact::facts(redactor, meta)),
            other => other,
        };
        Self { text, meta }
    }

    /// What `model` makes of `result`; a model that fails, hangs, panics or says nothing costs only its summary.
    pub(crate) async fn ask(model: &dyn ChatModel, result: &str) -> Self {
        match ask(model, result).await {
            Ok(text) => Self {
                text,
                meta: json!({"source": "model", "model": model.name()}),
            },
            Err(error) => Self::without(model, result, &error),
        }
    }
}

async fn ask(model: &dyn ChatModel, result: &str) -> Result<String, String> {
    let result = cut(result, MAX_RESULT_CHARS);
    let prompt = format!("Summarize this result in at most 150 characters.\n\n{result}");
    let messages = [Message::text(Role::User, prompt)];
    let request = ChatRequest {
        messages: &messages,
        tools: &[],
    };
    let call = llm_call(model.name(), Phase::SUMMARY, async {
        match tokio::time::timeout(TIMEOUT, model.chat(request)).await {
            Ok(reply) => reply.map_err(|it| it.to_string()),
            Err(_) => Err(ErrorText::TIMEOUT.to_string()),
        }
    });
    let call = match model.provider() {
        Some(provider) => call.provider(provider),
        None => call,
    };
    let call = call.report(ChatReply::describe);
    let asked = AssertUnwindSafe(call).catch_unwind().await;
    let reply = asked.map_err(|panic| format!("the model panicked: {}", panic_text(&*panic)))??;
    match summary_of(&reply.message.content) {
        summary if summary.is_empty() => Err("the model said nothing".to_owned()),
        summary => Ok(summary),
    }
}
