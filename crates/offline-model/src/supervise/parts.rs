//! A goal split into parts, by its lines, sentences and marks alone.

use crate::{
    plan::MAX_STEPS,
    words::{Kind, Token, Words},
};

/// The parts of a goal, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// Whether there were more than [`MAX_STEPS`].
    pub(super) more: bool,
}

/// What one worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) task: &'a str,
    /// Parts of the same turn are handed out together.
    pub(super) turn: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn of(goal: &'a str) -> Self {
        let mut parts: Vec<Part<'a>> = Vec::new();
        let mut words = Words::new(goal);
        loop {
            let waits = skip_to_part(&mut words);
            let Some(task) = take_part(goal, &mut words) else {
                return Self { parts, more: false };
            };
            if parts.len() == MAX_STEPS {
                return Self { parts, more: true };
            }
            let turn = parts.last().map_or(0, |it| it.turn + usize::from(waits));
            parts.push(Part { task, turn });
        }
    }
}

/// Takes what says nothing before a part; whether the part is to wait for those before.
fn skip_to_part(words: &mut Words<'_>) -> bool {
    let mut waits = false;
    loop {
        let mut ahead = *words;
        let Some(token) = ahead.next_token() else {
            return waits;
        };
        if takes_and_then(words) || words.take_one_of(&["then"]) {
            waits = true;
        } else if token.kind == Kind::Break || is_bullet(token) {
            *words = ahead;
        } else if !takes_number(words) {
            return waits;
        }
    }
}

/// Takes the words up to a part's end; `None` if there are no more.
fn take_part<'a>(goal: &'a str, words: &mut Words<'a>) -> Option<&'a str> {
    let mut part: Option<(usize, usize)> = None;
    // What follows is the next part's to look at.
    while !takes_and_then(&mut words.clone()) {
        let Some(token) = words.next_token() else {
            break;
        };
        let is_break = token.kind == Kind::Break;
        if is_break && matches!(token.text, "\n" | ";") {
            break;
        }
        if is_break && token.text == "," {
            continue; // Within a part only.
        }
        let (start, _) = part.unwrap_or((token.start, token.end));
        part = Some((start, token.end));
        if is_break {
            break; // A sentence keeps its mark.
        }
    }
    part.map(|(start, end)| &goal[start..end])
}

fn takes_and_then(words: &mut Words<'_>) -> bool {
    let mut ahead = *words;
    let found = ahead.take_one_of(&["and"]) && ahead.take_one_of(&["then"]);
    if found {
        *words = ahead;
    }
    found
}

fn is_bullet(token: Token<'_>) -> bool {
    matches!(token.word(), Some("-" | "*" | "•"))
}

/// Takes the number of a list: `2.` or `2)`.
fn takes_number(words: &mut Words<'_>) -> bool {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let mut ahead = *words;
    let Some(word) = ahead.next_word() else {
        return false;
    };
    let with_bracket = word.strip_suffix(')').is_some_and(is_number);
    let with_stop = is_number(word) && ahead.next_token().is_some_and(|it| it.text == ".");
    if with_bracket || with_stop {
        *words = ahead;
    }
    with_bracket || with_stop
}
