//! A pattern, and bytes without which no line matches it: those are found many times faster than the pattern is.

use grep_matcher::{LineMatchKind, LineTerminator, Match, Matcher, NoCaptures, NoError};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use regex_automata::{MatchKind, Span, util::prefilter::Prefilter};
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use crate::StoreError;

/// The largest compiled pattern, in bytes. Time to search grows with it.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Of how many spellings one may be looked for: first as few as that, and more only where those are found too often.
const SPELLINGS: [usize; 3] = [1, 4, 16];
/// Bits after which a place is rare enough: one of 32 KiB.
const RARE: u32 = 15;
/// Below it nearly every line has such a place.
const COMMON: u32 = 6;

/// Finds lines, in upper or lower case.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: RegexMatcher,
    /// One of these is in each line that matches.
    needles: Option<Prefilter>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, StoreError> {
        let regex = RegexMatcherBuilder::new()
            .case_insensitive(true)
            .line_terminator(Some(b'\n'))
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(10 << 20)
            .build(pattern)
            .map_err(|it| StoreError::Pattern {
                pattern: pattern.chars().take(200).collect(),
                reason: reason(&it.to_string()),
            })?;
        // As that builder reads it, too.
        let mut parser = ParserBuilder::new()
            .utf8(false)
            .case_insensitive(true)
            .build();
        let parsed = parser.parse(pattern).ok();
        Ok(Self {
            regex,
            needles: parsed.and_then(|it| Prefilter::new(MatchKind::LeftmostFirst, &needles(&it)?)),
        })
    }

    /// The line's characters around its first match.
    pub(super) fn excerpt(&self, line: &[u8], max_chars: usize) -> String {
        let found = self.regex.find(line).ok().flatten();
        let start = found.map_or(0, |it| it.start());
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let total = text.chars().count();
        if total <= max_chars {
            return text.to_owned();
        }
        // A long line is shown from a little before its match, and to the full length.
        let before = String::from_utf8_lossy(&line[..start]).chars().count();
        let skip = before.saturating_sub(max_chars / 4).min(total - max_chars);
        text.chars().skip(skip).take(max_chars).collect()
    }
}

impl Matcher for Pattern {
    type Captures = NoCaptures;
    type Error = NoError;

    fn find_at(&self, text: &[u8], at: usize) -> Result<Option<Match>, NoError> {
        self.regex.find_at(text, at)
    }

    fn shortest_match_at(&self, text: &[u8], at: usize) -> Result<Option<usize>, NoError> {
        self.regex.shortest_match_at(text, at)
    }

    fn new_captures(&self) -> Result<NoCaptures, NoError> {
        Ok(NoCaptures::new())
    }

    fn line_terminator(&self) -> Option<LineTerminator> {
        self.regex.line_terminator()
    }

    fn find_candidate_line(&self, text: &[u8]) -> Result<Option<LineMatchKind>, NoError> {
        let Some(needles) = &self.needles else {
            return self.regex.find_candidate_line(text);
        };
        let found = needles.find(text, Span::from(0..text.len()));
        Ok(found.map(|it| LineMatchKind::Candidate(it.start)))
    }
}

/// The last line of a parser's message. Those before it show the pattern, however long it is.
fn reason(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    last.trim_end_matches('.').chars().take(300).collect()
}

/// The spellings of one place of the pattern, of one character mostly.
type Place = Vec<Vec<u8>>;

/// All spellings of the rarest part of the pattern that each match has.
fn needles(pattern: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut runs = Runs::default();
    runs.add(pattern);
    let mut best: Option<(u32, &[Place])> = None;
    for max in SPELLINGS {
        for part in runs.parts(max) {
            let bits = part.iter().map(bits).sum();
            if best.is_none_or(|(most, _)| bits > most) {
                best = Some((bits, part));
            }
        }
        if best.is_some_and(|(bits, _)| bits >= RARE) {
            break;
        }
    }
    let (_, part) = best.filter(|(bits, _)| *bits >= COMMON)?;
    let mut spelled = vec![Vec::new()];
    for place in part {
        let longer = spelled.iter().flat_map(|begun: &Vec<u8>| {
            place
                .iter()
                .map(move |it| [begun.as_slice(), it.as_slice()].concat())
        });
        spelled = longer.collect();
    }
    Some(spelled)
}

/// How rare a place is, by the letters of English and the marks of JSON: about the logarithm of one in how many.
fn bits(place: &Place) -> u32 {
    let first = place.first().and_then(|it| it.first());
    match first.map(u8::to_ascii_lowercase) {
        None => 0,
        Some(b' ' | b'"' | b':' | b',' | b'_' | b'.' | b'-') => 2,
        Some(b'0'..=b'9' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r') => 3,
        Some(b'w' | b'y' | b'b' | b'v') => 5,
        Some(it) if it.is_ascii_lowercase() && !matches!(it, b'k' | b'x' | b'j' | b'q' | b'z') => 4,
        Some(_) => 6,
    }
}

/// Places of a pattern that stand side by side in each match.
#[derive(Default)]
struct Runs {
    ended: Vec<Vec<Place>>,
    open: Vec<Place>,
}

impl Runs {
    fn add(&mut self, part: &Hir) {
        match part.kind() {
            HirKind::Empty | HirKind::Look(_) => {} // What stands on both sides still touches.
            HirKind::Literal(text) => self.open.extend(text.0.iter().map(|it| vec![vec![*it]])),
            HirKind::Class(class) => match spellings(class) {
                Some(place) => self.open.push(place),
                None => self.end(),
            },
            HirKind::Capture(it) => self.add(&it.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|it| self.add(it)),
            HirKind::Repetition(it) => {
                self.end();
                if it.min > 0 {
                    self.add(&it.sub);
                    self.end();
                }
            }
            HirKind::Alternation(_) => self.end(),
        }
    }

    fn end(&mut self) {
        self.ended.push(std::mem::take(&mut self.open));
    }

    /// The longest parts of all runs that have at most `max` spellings.
    fn parts(&self, max: usize) -> impl Iterator<Item = &[Place]> {
        let runs = self.ended.iter().chain([&self.open]);
        runs.flat_map(move |run| {
            (0..run.len()).map(move |from| {
                let mut spellings = 1;
                let fits = |it: &&Place| {
                    spellings *= it.len();
                    spellings <= max
                };
                let len = run[from..].iter().take_while(fits).count();
                &run[from..from + len]
            })
        })
    }
}

/// The characters of a class, if they are as few as the cases of a letter.
fn spellings(class: &Class) -> Option<Place> {
    const MAX: usize = 4;
    let mut place = Vec::new();
    match class {
        Class::Unicode(class) => {
            for range in class.iter() {
                for it in (range.start()..=range.end()).take(MAX + 1) {
                    place.push(it.to_string().into_bytes());
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.iter() {
                place.extend((range.start()..=range.end()).map(|it| vec![it]));
            }
        }
    }
    (1..=MAX).contains(&place.len()).then_some(place)
}

#[cfg(test)]
mod tests;
