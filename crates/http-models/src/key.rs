//! The secret that a provider knows us by.

use std::{env, fmt};

use reqwest::header::HeaderValue;

use crate::options::SetupError;

/// What stands where a server sent the key back.
const INSTEAD: &str = "[key]";
/// A shorter one is a stand-in for a server that wants any key at all, such as `none`; a reply may well use that word.
const MIN_SECRET_LEN: usize = 12;

/// A provider's key. Its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key in an environment variable; `None` if that is not set or empty.
    ///
    /// # Errors
    /// A key that no header can carry, such as one with a line break in it.
    pub fn from_env(variable: &str) -> Result<Option<Self>, SetupError> {
        match env::var_os(variable) {
            Some(key) => Self::parse(&key.to_string_lossy(), variable),
            None => Ok(None),
        }
    }

    /// `source` is where it comes from, for the error.
    pub(crate) fn parse(key: &str, source: &str) -> Result<Option<Self>, SetupError> {
        let key = key.trim(); // A key from a file often ends with a line break.
        if key.is_empty() {
            return Ok(None);
        }
        match HeaderValue::from_str(key) {
            Ok(_) if key.is_ascii() => Ok(Some(Self(key.to_owned()))),
            _ => Err(SetupError::BadKey {
                variable: source.to_owned(),
            }),
        }
    }

    /// As a header's value, which no log shows.
    pub(crate) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// `text` without the key, if a server sent it back.
pub(crate) fn without_key(text: String, key: Option<&ApiKey>) -> String {
    match key {
        Some(ApiKey(key)) if key.len() >= MIN_SECRET_LEN && text.contains(&**key) => {
            text.replace(&**key, INSTEAD)
        }
        _ => text,
    }
}
