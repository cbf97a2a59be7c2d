//! Taking a tool's arguments out of JSON: what is missing, of the wrong type or unknown is named.

use std::{fmt, str::FromStr, time::Duration};

use serde_json::{Map, Value};

use crate::{
    JobRef,
    texts::{self, cut, one_line},
};

/// The longest time limit, in seconds: a week.
const MAX_SECONDS: f64 = 604_800.0;

/// What is wrong with an argument, and what to give instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadArgument(String);

/// The arguments of one call; each is taken once, so that what is left over is unknown.
pub(super) struct Arguments<'a> {
    given: Option<&'a Map<String, Value>>,
    taken: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, BadArgument> {
        let given = match value {
            Value::Object(map) => Some(map),
            Value::Null => None,
            _ => {
                return Err(BadArgument(
                    "the arguments must be a JSON object, such as {\"job_id\": 1}.".to_owned(),
                ));
            }
        };
        Ok(Self {
            given,
            taken: Vec::new(),
        })
    }

    /// Refuses arguments that nobody took.
    pub(super) fn end(self) -> Result<(), BadArgument> {
        let given = self.given.into_iter().flat_map(Map::keys);
        match given
            .into_iter()
            .find(|it| !self.taken.contains(&it.as_str()))
        {
            None => Ok(()),
            Some(unknown) => Err(BadArgument(format!(
                "there is no argument `{}`. Use {}.",
                one_line(&cut(unknown, 60)),
                self.taken.join(", ")
            ))),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<String, BadArgument> {
        let text = self.optional_text(name)?;
        text.ok_or_else(|| {
            BadArgument(format!(
                "argument `{name}` is missing. Give it as a string."
            ))
        })
    }

    pub(super) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<String>, BadArgument> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong(name, "a string", other)),
        }
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, BadArgument> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong(name, "true or false", other)),
        }
    }

    pub(super) fn whole(
        &mut self,
        name: &'static str,
        min: u64,
        max: u64,
    ) -> Result<Option<u64>, BadArgument> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        // Some models write numbers as strings.
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        match number.filter(|it| (min..=max).contains(it)) {
            Some(number) => Ok(Some(number)),
            None if max == u64::MAX => {
                Err(wrong(name, &format!("a whole number from {min} on"), value))
            }
            None => Err(wrong(
                name,
                &format!("a whole number from {min} to {max}"),
                value,
            )),
        }
    }

    pub(super) fn seconds(&mut self, name: &'static str) -> Result<Option<Duration>, BadArgument> {
        let seconds = self.number(name, MAX_SECONDS)?;
        Ok(seconds.map(Duration::from_secs_f64))
    }

    pub(super) fn hours(&mut self, name: &'static str) -> Result<Option<f64>, BadArgument> {
        self.number(name, 1e9)
    }

    pub(super) fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, BadArgument>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let text = self.optional_text(name)?;
        let parsed = text.map(|it| it.parse::<T>()).transpose();
        parsed
            .map_err(|it| BadArgument(format!("argument `{name}`: {}.", one_line(&it.to_string()))))
    }

    pub(super) fn job(&mut self) -> Result<JobRef, BadArgument> {
        let Some(value) = self.take("job_id") else {
            return Err(BadArgument(
                "argument `job_id` is missing. Use list_workers to see job ids.".to_owned(),
            ));
        };
        JobRef::from_json(value).map_err(|_| {
            BadArgument(match value {
                Value::String(text) => texts::not_found(text),
                other => texts::not_found(&other.to_string()),
            })
        })
    }

    /// A number above zero.
    fn number(&mut self, name: &'static str, max: f64) -> Result<Option<f64>, BadArgument> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        match number.filter(|it: &f64| *it > 0.0 && *it <= max) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(
                name,
                &format!("a number above 0 and up to {max}"),
                value,
            )),
        }
    }

    /// The value of `name`; `null` is the same as none.
    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.given?.get(name).filter(|it| !it.is_null())
    }
}

fn wrong(name: &str, expected: &str, given: &Value) -> BadArgument {
    let given = one_line(&cut(&given.to_string(), 60));
    BadArgument(format!(
        "argument `{name}` must be {expected}, not {given}."
    ))
}
