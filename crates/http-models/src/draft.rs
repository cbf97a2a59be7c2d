//! A reply in the making: what both protocols come to.

use metrics_core::{Decimal, Usage};
use serde_json::{Map, Value, json};
use worker_runner::{ErrorClass, Message, ModelError, Role, ToolRequest};

/// The most tool calls of one reply. A server that asks for more, or numbers one higher, is broken.
const MAX_CALLS: usize = 128;
/// Under this key goes what a model wrote instead of a JSON object, when it is told what it said.
const NOT_AN_OBJECT: &str = "not_a_json_object";

/// What is known of a reply so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) usage: Usage,
    pub(crate) cost_usd: Option<Decimal>,
    /// Why the message ends, if not by itself.
    pub(crate) cut_short: Option<String>,
    /// The provider has said why the message ends: it is whole.
    pub(crate) is_whole: bool,
    /// Nothing follows any more.
    pub(crate) is_over: bool,
}

/// A tool call in the making.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The provider's number for it, which its pieces carry.
    pub(crate) index: u64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Draft {
    /// Whether a user would see something: text or a tool call.
    pub(crate) fn has_begun(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty()
    }

    /// The call with this number, new if need be.
    pub(crate) fn call(&mut self, index: u64) -> Result<&mut Call, ModelError> {
        let at = match self.calls.iter().position(|it| it.index == index) {
            Some(at) => at,
            None => {
                self.start_call(index)?;
                self.calls.len() - 1
            }
        };
        Ok(&mut self.calls[at])
    }

    pub(crate) fn start_call(&mut self, index: u64) -> Result<&mut Call, ModelError> {
        if self.calls.len() >= MAX_CALLS {
            return Err(bad(format!(
                "the reply asks for more than {MAX_CALLS} tool calls"
            )));
        }
        self.calls.push(Call {
            index,
            ..Call::default()
        });
        // Just pushed.
        self.calls.last_mut().ok_or_else(|| bad("no tool call"))
    }

    /// The message; `clean` is what every text of it goes through.
    pub(crate) fn message(self, clean: impl Fn(String) -> String) -> Message {
        let mut message = Message::text(Role::Assistant, clean(self.text));
        let calls = self.calls.into_iter().enumerate();
        message.tool_calls = calls
            .map(|(n, call)| ToolRequest {
                // Some servers give none, and the output must name one.
                id: match call.id {
                    id if id.is_empty() => format!("call_{}", n + 1),
                    id => clean(id),
                },
                name: clean(call.name),
                arguments: clean(call.arguments),
            })
            .collect();
        message
    }
}

/// An answer that makes no sense.
pub(crate) fn bad(reason: impl Into<String>) -> ModelError {
    ModelError::new(ErrorClass::BadReply, reason)
}

/// A count; anything but a whole number from 0 up is none.
pub(crate) fn count(value: &Value) -> Option<u64> {
    value.as_u64()
}

/// A text; anything else is an empty one.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What a model wrote as arguments, as the object that providers want to see in the conversation. A model that wrote
/// something else reads so, beside the tool's complaint.
pub(crate) fn arguments_object(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => object,
        _ if arguments.trim().is_empty() => Value::Object(Map::new()),
        _ => json!({ NOT_AN_OBJECT: arguments }),
    }
}
