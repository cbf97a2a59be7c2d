//! How a name is recognised: one clause, in lower case.

use std::sync::OnceLock;

use regex_lite::Regex;
use serde::{Deserialize, Deserializer, de::Error as _};

/// What a name has to be like, such as `{"starts_with": "gpt-5"}`. Names are compared in lower case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Clause {
    Equals(Lower),
    StartsWith(Lower),
    EndsWith(Lower),
    Contains(Lower),
    /// Looked for anywhere in the name; as it stands, in lower case.
    Regex(Pattern),
    Or(Vec<Clause>),
    And(Vec<Clause>),
    Not(Box<Clause>),
}

impl Clause {
    pub(crate) fn equals(name: &str) -> Self {
        Self::Equals(Lower(name.to_lowercase()))
    }

    /// `name` is in lower case.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Equals(it) => name == it.0,
            Self::StartsWith(it) => name.starts_with(&it.0),
            Self::EndsWith(it) => name.ends_with(&it.0),
            Self::Contains(it) => name.contains(&it.0),
            Self::Regex(it) => it.is_match(name),
            Self::Or(clauses) => clauses.iter().any(|it| it.is_match(name)),
            Self::And(clauses) => clauses.iter().all(|it| it.is_match(name)),
            Self::Not(clause) => !clause.is_match(name),
        }
    }

    /// The first pattern in it that is none.
    pub(crate) fn bad_pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Regex(it) => it.is_bad().then_some(it),
            Self::Or(clauses) | Self::And(clauses) => clauses.iter().find_map(Self::bad_pattern),
            Self::Not(clause) => clause.bad_pattern(),
            Self::Equals(_) | Self::StartsWith(_) | Self::EndsWith(_) | Self::Contains(_) => None,
        }
    }
}

/// A text in lower case.
#[derive(Debug)]
pub(crate) struct Lower(String);

impl<'de> Deserialize<'de> for Lower {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(D::Error::custom("an empty text says nothing about a name"));
        }
        Ok(Self(text.to_lowercase()))
    }
}

/// A regular expression that is compiled when it is first needed: most never are.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }
}

impl Pattern {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|it| it.is_match(text))
    }

    /// Whether it matches from the first character on.
    pub(crate) fn is_at_start(&self, text: &str) -> bool {
        let found = self.regex().and_then(|it| it.find(text));
        found.is_some_and(|it| it.start() == 0)
    }

    pub(crate) fn is_bad(&self) -> bool {
        self.regex().is_none()
    }

    fn regex(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| Regex::new(&self.text).ok());
        compiled.as_ref()
    }
}
