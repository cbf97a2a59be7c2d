//! How each step begins: the verbs, and what must follow them.
//!
//! Every rule looks at a handful of words at most, so that a task is read in linear time.

use crate::words::{Kind, Token, Words};

/// Words that may stand before `time` or `date`.
const BEFORE_TIME: [&str; 12] = [
    "tell", "give", "show", "get", "what", "what's", "is", "me", "us", "it", "the", "current",
];
/// The most of them.
const MAX_BEFORE_TIME: usize = 6;
/// Words that may stand behind `time` or `date`.
const BEHIND_TIME: [&str; 6] = ["is", "it", "now", "today", "in", "utc"];

/// The beginning of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening<'a> {
    /// All up to the end of the step is an expression.
    Expression,
    /// All up to the end of the step is a text to say.
    Text,
    /// A whole step already.
    Calculate(&'a str),
    /// A whole step already.
    Time,
    /// A whole step already.
    Fetch(&'a str),
    /// A whole step already.
    Run(&'a str),
    /// A whole step already.
    Read(&'a str),
    /// A whole step already.
    List(&'a str),
    /// A whole step already: the host and the command.
    RunOn(&'a str, &'a str),
}

/// The step that begins here, if one does, and what follows its beginning.
pub(crate) fn opening(words: Words<'_>) -> Option<(Opening<'_>, Words<'_>)> {
    bare_expression(words)
        .or_else(|| time(words))
        .or_else(|| with_verb(words))
}

/// An expression without a verb: it begins like a number and soon has an operator.
fn bare_expression(words: Words<'_>) -> Option<(Opening<'_>, Words<'_>)> {
    let mut ahead = words;
    let first = ahead.next_word()?;
    if !begins_like_a_number(first) || !first.chars().all(is_arithmetic) {
        return None;
    }
    let has_operator = first.chars().skip(1).any(is_operator)
        || ahead
            .next_word()
            .is_some_and(|second| second.starts_with(is_operator));
    has_operator.then_some((Opening::Expression, words))
}

fn time(mut words: Words<'_>) -> Option<(Opening<'_>, Words<'_>)> {
    for _ in 0..MAX_BEFORE_TIME {
        if !words.take_one_of(&BEFORE_TIME) {
            break;
        }
    }
    if !words.take_one_of(&["time", "date"]) {
        return None;
    }
    // "the date and time" asks for one thing.
    let mut ahead = words;
    if ahead.take_one_of(&["and"]) && ahead.take_one_of(&["time", "date"]) {
        words = ahead;
    }
    while words.take_one_of(&BEHIND_TIME) {}
    Some((Opening::Time, words))
}

fn with_verb(mut words: Words<'_>) -> Option<(Opening<'_>, Words<'_>)> {
    let written = words.next_word()?;
    let verb = written.strip_suffix(':').unwrap_or(written);
    let is = |verbs: &[&str]| verbs.iter().any(|it| it.eq_ignore_ascii_case(verb));
    if is(&["calculate", "compute", "evaluate"]) {
        if let Some(quoted) = quoted(&mut words) {
            return Some((Opening::Calculate(quoted), words));
        }
        return Some((Opening::Expression, words));
    }
    if is(&["what's"]) || is(&["what"]) && words.take_one_of(&["is"]) {
        let mut ahead = words;
        let operand = ahead.next_word().is_some_and(begins_like_a_number);
        return operand.then_some((Opening::Expression, words));
    }
    if is(&["fetch", "get", "download"]) {
        let target = words.next_token().filter(names_something)?;
        return target
            .text
            .contains("://")
            .then_some((Opening::Fetch(target.text), words));
    }
    if is(&["run", "sh"]) {
        if let Some(quoted) = quoted(&mut words) {
            return Some((Opening::Run(quoted), words));
        }
        // Looking at whole lines is affordable only where they are taken.
        let line = written.ends_with(':').then(|| words.take_line())?;
        return (!line.is_empty()).then_some((Opening::Run(line), words));
    }
    if is(&["read"]) {
        words.take_one_of(&["the"]);
        let first = words.next_token().filter(names_something)?;
        // A file may be called "file".
        let mut ahead = words;
        if let Some(second) = ahead.next_token().filter(names_something)
            && first.is_one_of(&["file"])
        {
            return Some((Opening::Read(second.text), ahead));
        }
        return Some((Opening::Read(first.text), words));
    }
    if is(&["list"]) {
        words.take_one_of(&["the"]);
        if !words.take_one_of(&["files", "directory", "folder"]) {
            return None;
        }
        words.take_one_of(&["in", "of"]);
        words.take_one_of(&["the"]);
        let mut ahead = words;
        // Where none is named it is the one the worker works in; "and" begins another step.
        let named = ahead.next_token().filter(names_something);
        return Some(match named.filter(|it| !it.is_one_of(&["and", "then"])) {
            Some(path) => (Opening::List(path.text), ahead),
            None => (Opening::List("."), words),
        });
    }
    if is(&["on"]) {
        let host = words.next_word()?;
        if !words.take_one_of(&["run", "run:"]) {
            return None;
        }
        return quoted(&mut words).map(|command| (Opening::RunOn(host, command), words));
    }
    if is(&["say"]) {
        return Some((Opening::Text, words));
    }
    None
}

/// Whether a token can be a path or a URL.
fn names_something(token: &Token<'_>) -> bool {
    token.kind != Kind::Break && !token.text.trim().is_empty()
}

/// Takes a backticked text that is not blank.
fn quoted<'a>(words: &mut Words<'a>) -> Option<&'a str> {
    let mut ahead = *words;
    let token = ahead
        .next_token()
        .filter(|it| it.kind == Kind::Quoted && !it.text.trim().is_empty())?;
    *words = ahead;
    Some(token.text)
}

fn begins_like_a_number(word: &str) -> bool {
    word.trim_start_matches(['(', '-', '−', '+', '.'])
        .starts_with(|it: char| it.is_ascii_digit())
        || word.starts_with('(')
}

fn is_operator(it: char) -> bool {
    matches!(it, '+' | '-' | '−' | '*' | '×' | '/' | '÷' | '%' | '^')
}

fn is_arithmetic(it: char) -> bool {
    it.is_ascii_digit() || is_operator(it) || matches!(it, '(' | ')' | '.' | 'e' | 'E')
}
