//! A tool call's arguments, checked: the texts that tell a model which one is wrong and why.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use worker_runner::ToolError;

use crate::text::shown;

/// The arguments of one call, of which each is taken by name.
///
/// An optional argument may also be given as `null`, as models often do.
#[derive(Debug)]
pub(crate) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Accepts an object that has no other names than `known`.
    pub(crate) fn new(arguments: Value, known: &[&str]) -> Result<Self, ToolError> {
        let values = match arguments {
            Value::Object(values) => values,
            // What a model sends to a tool without arguments.
            Value::Null => Map::new(),
            other => {
                return Err(bad(format!(
                    "the arguments must be a JSON object, not {}",
                    kind(&other)
                )));
            }
        };
        if let Some(name) = values.keys().find(|name| !known.contains(&name.as_str())) {
            let takes = match known {
                [] => "no arguments".to_owned(),
                known => format!("`{}`", known.join("`, `")),
            };
            return Err(bad(format!(
                "unknown argument `{}`; this tool takes {takes}",
                shown(name)
            )));
        }
        Ok(Self(values))
    }

    /// A string that must be there.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, ToolError> {
        self.optional_text(name)?
            .ok_or_else(|| bad(format!("`{name}` is missing; it must be a string")))
    }

    /// A string that may be left out.
    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, ToolError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// A shell command that must be there: the argument `command`.
    pub(crate) fn command(&mut self) -> Result<String, ToolError> {
        let command = self.text("command")?;
        if command.trim().is_empty() {
            return Err(bad("`command` is empty; give a shell command"));
        }
        if command.contains('\0') {
            return Err(bad("`command` holds a NUL character, which no command may"));
        }
        Ok(command)
    }

    /// A whole number within `range` that may be left out.
    pub(crate) fn optional_integer(
        &mut self,
        name: &str,
        range: RangeInclusive<i32>,
    ) -> Result<Option<i32>, ToolError> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .filter(|number| range.contains(number))
                .map(Some)
                .ok_or_else(|| bad(format!("`{name}` must be {wanted}, not {number}"))),
            Some(other) => Err(wrong_type(name, &wanted, &other)),
        }
    }

    /// A whole number that is not negative and may be left out.
    pub(crate) fn optional_count(&mut self, name: &str) -> Result<Option<u64>, ToolError> {
        const WANTED: &str = "a whole number of 0 or more";
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(bad(format!("`{name}` must be {WANTED}, not {number}"))),
            },
            Some(other) => Err(wrong_type(name, WANTED, &other)),
        }
    }

    /// An object that may be left out; empty then.
    pub(crate) fn optional_object(&mut self, name: &str) -> Result<Map<String, Value>, ToolError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(values)) => Ok(values),
            Some(other) => Err(wrong_type(name, "an object", &other)),
        }
    }
}

/// The error of arguments that do not fit.
pub(crate) fn bad(reason: impl Into<String>) -> ToolError {
    ToolError::BadArguments(reason.into())
}

/// The error of an argument of the wrong JSON type.
pub(crate) fn wrong_type(name: &str, wanted: &str, given: &Value) -> ToolError {
    bad(format!("`{name}` must be {wanted}, not {}", kind(given)))
}

/// What a JSON value is, for a sentence.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
