//! Reads a condition. A fault is told with its place and, for a name, the one that was probably meant.

use metrics_core::Timestamp;
use model_prices::Usd;

use super::{
    condition::{Literal, Node, Operator},
    field::{Field, Type},
};
use crate::spelling;

/// Deeper nesting is nobody's question, and would take the stack.
const MAX_DEPTH: usize = 100;

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at column {column}\n  {text}\n  {:>column$}", "^")]
pub struct ConditionError {
    text: String,
    reason: String,
    column: usize,
}

impl ConditionError {
    /// Where, in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

pub(super) fn parse(text: &str) -> Result<Node, ConditionError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let parsed = parser.any().and_then(|node| match parser.peek()? {
        Token::End => Ok(node),
        token => Err(parser.unexpected(&token, "`and`, `or` or the end")),
    });
    parsed.map_err(|Fault { at, reason }| ConditionError {
        // One line, one column a character, whatever stands there.
        text: text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .collect(),
        column: text.get(..at).unwrap_or(text).chars().count() + 1,
        reason,
    })
}

struct Fault {
    at: usize,
    reason: String,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Text(String),
    Number(&'a str),
    Operator(Operator),
    Not,
    And,
    Or,
    Open,
    Close,
    End,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Node, Fault> {
        let mut nodes = vec![self.all()?];
        while self.peek()? == Token::Or {
            self.take()?;
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() > 1 {
            Node::Any(nodes)
        } else {
            nodes.remove(0)
        })
    }

    fn all(&mut self) -> Result<Node, Fault> {
        let mut nodes = vec![self.one()?];
        while self.peek()? == Token::And {
            self.take()?;
            nodes.push(self.one()?);
        }
        Ok(if nodes.len() > 1 {
            Node::All(nodes)
        } else {
            nodes.remove(0)
        })
    }

    fn one(&mut self) -> Result<Node, Fault> {
        self.skip_space();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault(self.at, "too deeply nested".to_owned()));
        }
        let start = self.at;
        let node = match self.take()? {
            Token::Not => Node::Not(Box::new(self.one()?)),
            Token::Open => {
                let node = self.any()?;
                match self.peek()? {
                    Token::Close => self.take()?,
                    token => return Err(self.unexpected(&token, "`)`")),
                };
                node
            }
            Token::Word(name) => self.comparison(start, name)?,
            token => {
                self.at = start;
                return Err(self.unexpected(&token, "a field, such as `duration_ms`"));
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    /// Behind a name.
    fn comparison(&mut self, start: usize, name: &str) -> Result<Node, Fault> {
        let Some(field) = Field::named(name) else {
            let known = Field::NAMES.iter().copied();
            let hint = match spelling::nearest(name, known) {
                Some(nearest) => format!("; did you mean `{nearest}`?"),
                None => format!("; there are {}", Field::NAMES.join(", ")),
            };
            return Err(self.fault(start, format!("no field `{name}`{hint}")));
        };
        let operator = match self.peek()? {
            Token::Operator(operator) => operator,
            _ if field.kind() == Type::Bool => {
                return Ok(Node::Compare(field, Operator::Equal, Literal::Bool(true)));
            }
            token => {
                return Err(self.unexpected(&token, "one of `=`, `!=`, `<`, `<=`, `>`, `>=`"));
            }
        };
        self.take()?;
        self.skip_space();
        let start = self.at;
        let token = self.take()?;
        let literal = literal(field.kind(), &token).ok_or_else(|| {
            let wanted = field.kind().example();
            self.fault(
                start,
                format!("`{}` is compared with {wanted}", field.name()),
            )
        })?;
        Ok(Node::Compare(field, operator, literal))
    }

    fn peek(&mut self) -> Result<Token<'a>, Fault> {
        self.skip_space();
        let at = self.at;
        let token = self.take();
        self.at = at;
        token
    }

    fn take(&mut self) -> Result<Token<'a>, Fault> {
        self.skip_space();
        let start = self.at;
        let rest = &self.text[start..];
        let symbols = [
            ("==", Token::Operator(Operator::Equal)),
            ("=", Token::Operator(Operator::Equal)),
            ("!=", Token::Operator(Operator::NotEqual)),
            ("<>", Token::Operator(Operator::NotEqual)),
            ("<=", Token::Operator(Operator::LessOrEqual)),
            (">=", Token::Operator(Operator::GreaterOrEqual)),
            ("<", Token::Operator(Operator::Less)),
            (">", Token::Operator(Operator::Greater)),
            ("&&", Token::And),
            ("||", Token::Or),
            ("!", Token::Not),
            ("(", Token::Open),
            (")", Token::Close),
        ];
        if let Some((symbol, token)) = symbols.into_iter().find(|it| rest.starts_with(it.0)) {
            self.at += symbol.len();
            return Ok(token);
        }
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        match first {
            '"' | '\'' => self.quoted(first),
            '0'..='9' | '-' | '.' => Ok(Token::Number(self.word())),
            _ if is_word(first) => Ok(match self.word() {
                word if word.eq_ignore_ascii_case("and") => Token::And,
                word if word.eq_ignore_ascii_case("or") => Token::Or,
                word if word.eq_ignore_ascii_case("not") => Token::Not,
                word => Token::Word(word),
            }),
            _ => Err(self.fault(
                start,
                format!("`{}` means nothing here", first.escape_debug()),
            )),
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|it| !is_word(it) && !matches!(it, '.' | '-' | '+'));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// A text in quotes; a backslash takes the next character as it is.
    fn quoted(&mut self, quote: char) -> Result<Token<'a>, Fault> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((at, it)) = chars.next() {
            match it {
                _ if it == quote => {
                    self.at = start + 1 + at + 1;
                    return Ok(Token::Text(text));
                }
                '\\' => text.extend(chars.next().map(|it| it.1)),
                _ => text.push(it),
            }
        }
        Err(self.fault(start, "the quoted text does not end".to_owned()))
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn unexpected(&self, token: &Token<'_>, wanted: &str) -> Fault {
        let reason = match token {
            Token::End => format!("expected {wanted}, and there it ends"),
            _ => format!("expected {wanted}"),
        };
        self.fault(self.at, reason)
    }

    #[expect(clippy::unused_self, reason = "reads as the other ways to fail do")]
    fn fault(&self, at: usize, reason: String) -> Fault {
        Fault { at, reason }
    }
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

fn literal(kind: Type, token: &Token<'_>) -> Option<Literal> {
    Some(match (kind, token) {
        (Type::Text, Token::Text(text)) => Literal::Text(text.as_str().into()),
        (Type::Time, Token::Text(text)) => Literal::Time(time(text)?),
        (Type::Bool, Token::Word(word)) => Literal::Bool(word.to_ascii_lowercase().parse().ok()?),
        (Type::Number, Token::Number(number)) => match number.parse() {
            Ok(whole) => Literal::Whole(whole),
            Err(_) => Literal::Number(number.parse().ok()?),
        },
        (Type::Money, Token::Number(number)) => {
            Literal::Money(Usd::from_decimal(number.parse().ok()?)?)
        }
        _ => return None,
    })
}

/// A timestamp, or a day, which is its first moment.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let whole = text.parse().ok();
    whole.or_else(|| format!("{text}T00:00:00Z").parse().ok())
}
