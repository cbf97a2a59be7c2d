//! `calculate`: arithmetic, exact where a decimal can be.

mod decimal;
mod expression;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use serde_json::{Value, json};
use worker_runner::{Tool, ToolDefinition, ToolError};

use crate::arguments::{Arguments, bad};

/// Evaluates `expression`: `+ - * / % ^`, parentheses, decimals, unary minus.
///
/// The arithmetic is on exact fractions, so `0.1+0.2` is `0.3` and `1/3*3` is `1`. A result that no
/// decimal of 60 places holds is rounded to 28 significant digits and ends in ` (rounded)`.
///
/// - `^` binds tightest and to the right, `-2^2` is `-4`; its exponent must be a whole number.
/// - `%` is the remainder and has the sign of the dividend: `-7 % 3` is `-1`.
/// - Errors name the character (counted from 1) at which the expression went wrong. An expression
///   may have 4096 characters, and no number within it more than about 308 digits.
#[derive(Debug)]
pub struct Calculate {
    definition: ToolDefinition,
}

impl Calculate {
    /// The tool; it has no options.
    pub fn new() -> Self {
        Self {
            definition: ToolDefinition {
                name: "calculate".to_owned(),
                description: "Evaluates an arithmetic expression exactly. Use it for any sum \
                              rather than working it out."
                    .to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "expression": {
                            "type": "string",
                            "description": "Numbers with + - * / % ^ and parentheses, such as \
                                            (2+3)*4.5. ^ takes whole exponents; % is the remainder.",
                        },
                    },
                    "required": ["expression"],
                    "additionalProperties": false,
                }),
            },
        }
    }
}

impl Default for Calculate {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Tool for Calculate {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        let expression = Arguments::new(arguments, &["expression"])?.text("expression")?;
        expression::evaluate(&expression)
            .map(|value| decimal::text(&value))
            .map_err(|err| bad(err.to_string()))
    }
}
