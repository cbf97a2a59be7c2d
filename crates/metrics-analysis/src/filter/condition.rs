//! A condition, and whether it holds for a call.

use std::{cmp::Ordering, str::FromStr};

use metrics_core::{Decimal, Timestamp};
use model_prices::Usd;

use super::{
    field::{Field, Value},
    parse::{ConditionError, parse},
};
use crate::Call;

/// A condition such as `duration_ms > 10000 and success = false`.
///
/// Comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`; `==` is `=`) of a field with a text in quotes, a number, `true` or
/// `false`; `and`, `or`, `not` and parentheses; `success` alone is `success = true`. Where a call lacks a field, no
/// comparison with it holds, `!=` neither.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(pub(super) Node);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Compare(Field, Operator, Literal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(Box<str>),
    Number(Decimal),
    /// A number without a fraction, which needs no decimal arithmetic.
    Whole(u64),
    Money(Usd),
    Bool(bool),
    Time(Timestamp),
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        parse(text).map(Self)
    }
}

impl Condition {
    /// Whether it holds for `call`.
    #[inline]
    pub fn holds(&self, call: &Call<'_>) -> bool {
        self.0.holds(call)
    }

    pub(super) fn needs_metadata(&self) -> bool {
        self.0.needs_metadata()
    }
}

impl Node {
    fn holds(&self, call: &Call<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|it| it.holds(call)),
            Self::Any(nodes) => nodes.iter().any(|it| it.holds(call)),
            Self::Not(node) => !node.holds(call),
            Self::Compare(field, operator, literal) => field
                .of(call)
                .and_then(|it| compare(it, literal))
                .is_some_and(|it| operator.holds(it)),
        }
    }

    fn needs_metadata(&self) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::needs_metadata),
            Self::Not(node) => node.needs_metadata(),
            Self::Compare(field, ..) => matches!(field, Field::Owner | Field::Status),
        }
    }
}

fn compare(value: Value<'_>, literal: &Literal) -> Option<Ordering> {
    Some(match (value, literal) {
        (Value::Text(value), Literal::Text(text)) => value.cmp(text.as_bytes()),
        (Value::Whole(value), Literal::Whole(number)) => value.cmp(number),
        (Value::Whole(value), Literal::Number(number)) => Decimal::from(value).cmp(number),
        (Value::Money(value), Literal::Money(other)) => value.cmp(other),
        (Value::Bool(value), Literal::Bool(other)) => value.cmp(other),
        (Value::Time(value), Literal::Time(other)) => value.cmp(other),
        _ => return None, // The parser lets no such pair through.
    })
}

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
