//! Who may use the server over HTTP: everybody who reaches it, or whoever has a token.

use std::{collections::BTreeSet, fmt};

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// A shorter token could be guessed.
const MIN_TOKEN_CHARS: usize = 16;

/// Who may use the server, and as whom.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever reaches it, as this owner. For this machine only.
    Anybody {
        /// Whose workers they see.
        owner: String,
    },
    /// Whoever has one of these tokens.
    Tokens(Tokens),
}

/// Tokens, each of an owner. Kept as digests, and never shown.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Token>);

#[derive(Clone)]
struct Token {
    digest: [u8; 32],
    owner: String,
}

/// Tokens that cannot be used. The text never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{problem}")]
pub struct TokenError {
    place: String,
    problem: String,
}

impl Tokens {
    /// From a text with an owner and a token on each line; empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`TokenError`], with the line's number; also if there is no token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at_line = |error: TokenError| TokenError {
                place: format!("line {}: ", number + 1),
                ..error
            };
            let mut words = line.split_whitespace();
            let (Some(owner), Some(token), None) = (words.next(), words.next(), words.next())
            else {
                return Err(at_line(TokenError::new(
                    "give an owner and a token, `OWNER TOKEN`",
                )));
            };
            tokens.add(owner, token).map_err(at_line)?;
        }
        if tokens.0.is_empty() {
            return Err(TokenError::new(
                "there is no token; give an owner and a token a line, `OWNER TOKEN`",
            ));
        }
        Ok(tokens)
    }

    /// One token.
    ///
    /// # Errors
    /// [`TokenError`] for one that is too short, or holds characters that a header cannot.
    pub fn one(owner: &str, token: &str) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        tokens.add(owner, token)?;
        Ok(tokens)
    }

    fn add(&mut self, owner: &str, token: &str) -> Result<(), TokenError> {
        if token.len() < MIN_TOKEN_CHARS {
            return Err(TokenError::new(&format!(
                "the token is shorter than {MIN_TOKEN_CHARS} characters; make one with `openssl rand -hex 32`"
            )));
        }
        if !token.bytes().all(is_token_byte) {
            return Err(TokenError::new(
                "a token consists of letters, digits and `-._~+/=`; make one with `openssl rand -hex 32`",
            ));
        }
        if self.owner_of(token.as_bytes()).is_some() {
            return Err(TokenError::new("the token is there twice"));
        }
        self.0.push(Token {
            digest: Sha256::digest(token).into(),
            owner: owner.to_owned(),
        });
        Ok(())
    }

    /// Whose token it is. How long that takes says nothing about the tokens.
    pub(crate) fn owner_of(&self, token: &[u8]) -> Option<&str> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for it in &self.0 {
            let is_same: Choice = it.digest.ct_eq(&digest);
            if is_same.into() {
                found = Some(&*it.owner);
            }
        }
        found
    }

    pub(crate) fn owners(&self) -> BTreeSet<&str> {
        self.0.iter().map(|it| &*it.owner).collect()
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

impl TokenError {
    fn new(problem: &str) -> Self {
        Self {
            place: String::new(),
            problem: problem.to_owned(),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.owners()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;

    const ONE: &str = "0123456789abcdef";
    const TWO: &str = "fedcba9876543210";

    #[test]
    fn each_token_is_its_owners() {
        let tokens = Tokens::parse(&format!("# the team\n\nana {ONE}\n  bo\t{TWO}  \r\n")).unwrap();
        assert_eq!(tokens.owner_of(ONE.as_bytes()), Some("ana"));
        assert_eq!(tokens.owner_of(TWO.as_bytes()), Some("bo"));
        for wrong in ["", "0123456789abcdeg", &ONE[1..], &format!("{ONE}0"), "ana"] {
            assert_eq!(tokens.owner_of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(format!("{tokens:?}"), r#"Tokens({"ana", "bo"})"#);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_without_the_token() {
        for (text, problem) in [
            (String::new(), "there is no token"),
            (format!("# ana {ONE}"), "there is no token"),
            (ONE.to_owned(), "line 1: give an owner and a token"),
            (
                format!("\nana {ONE} x"),
                "line 2: give an owner and a token",
            ),
            (
                "ana 0123456789abcde".to_owned(),
                "line 1: the token is shorter",
            ),
            (format!("ana {ONE}ä"), "line 1: a token consists of"),
            (
                format!("ana {ONE}\nbo {ONE}"),
                "line 2: the token is there twice",
            ),
        ] {
            let error = Tokens::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
    }
}
