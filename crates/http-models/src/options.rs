//! What a model over HTTP is made of.

use std::{fmt, str::FromStr, time::Duration};

use crate::key::ApiKey;

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// OpenAI's chat completions, as many servers speak them.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

impl Protocol {
    /// Its name: `openai` or `anthropic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// Where its own provider serves it.
    pub fn default_base_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
        }
    }

    /// The variable that its provider's key is usually in.
    pub fn key_variable(self) -> &'static str {
        match self {
            Self::OpenAi => "OPENAI_API_KEY",
            Self::Anthropic => "ANTHROPIC_API_KEY",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Self, SetupError> {
        [Self::OpenAi, Self::Anthropic]
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| SetupError::UnknownProtocol {
                name: text.chars().take(100).collect(),
            })
    }
}

/// How to reach a model.
#[derive(Debug, Clone)]
pub struct HttpModelOptions {
    /// What the server speaks.
    pub protocol: Protocol,
    /// The model's name, as the server knows it and as it stands on all three tiers.
    pub model: String,
    /// Everything before `/chat/completions` or `/messages`; a URL without a path gets `/v1`. `None` for the protocol's
    /// own provider.
    pub base_url: Option<String>,
    /// The key, where the server wants one.
    pub key: Option<ApiKey>,
    /// Whether the answer comes in pieces, which tells the time to its first token.
    pub stream: bool,
    /// The most tokens of one reply. Anthropic wants a number and gets 8,192 where there is none.
    pub max_reply_tokens: Option<u32>,
    /// The most bytes of one answer.
    pub max_answer_bytes: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the server may be silent: before the answer, and between two pieces of it.
    pub silence_timeout: Duration,
    /// How long one call may take in all.
    pub call_timeout: Duration,
}

impl HttpModelOptions {
    /// A model at its protocol's own provider, streamed, without a key.
    pub fn new(protocol: Protocol, model: impl Into<String>) -> Self {
        Self {
            protocol,
            model: model.into(),
            base_url: None,
            key: None,
            stream: true,
            max_reply_tokens: None,
            max_answer_bytes: 16 << 20,
            connect_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_mins(5),
            call_timeout: Duration::from_mins(10),
        }
    }

    /// Takes the key from the environment: from `variable`, which must then be set, or from the protocol's usual one, if
    /// that is.
    pub fn key_from_env(mut self, variable: Option<&str>) -> Result<Self, SetupError> {
        self.key = match variable {
            None => ApiKey::from_env(self.protocol.key_variable())?,
            Some(variable) => {
                let key = ApiKey::from_env(variable)?;
                Some(key.ok_or_else(|| SetupError::NoKey {
                    variable: variable.to_owned(),
                })?)
            }
        };
        Ok(self)
    }
}

/// Why no model can be made of some options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No such protocol.
    #[error("no protocol is called `{name}`; there are `openai` and `anthropic`")]
    UnknownProtocol {
        /// What was asked for.
        name: String,
    },
    /// Not the address of a server.
    #[error("`{url}` is no base URL: {reason}; one looks like `http://localhost:8080/v1`")]
    BadBaseUrl {
        /// The URL, without what may be secret in it.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable that was named is not set.
    #[error("the variable `{variable}`, which the key shall come from, is not set")]
    NoKey {
        /// The variable.
        variable: String,
    },
    /// A key that cannot be sent.
    #[error("the key in `{variable}` holds a character that no key has")]
    BadKey {
        /// The variable.
        variable: String,
    },
    /// No HTTP client can be made here.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
}
