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
/// More need not be looked for.
const MAX_PLACES: usize = 64;
/// Bits after which a place is rare enough: one of 32 KiB.
const RARE: u32 = 15;
/// Below it nearly every line has such a place.
const COMMON: u32 = 6;

/// Finds lines.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: RegexMatcher,
    /// One of these is in each line that matches.
    needles: Option<Prefilter>,
    plain: Option<Plain>,
}

/// A pattern that is a plain ASCII text.
#[derive(Debug, Clone)]
struct Plain {
    text: Vec<u8>,
    /// Where in it a needle begins.
    needle_at: usize,
    has_case: bool,
    /// No letter beyond ASCII is another case of one in it.
    is_all: bool,
}

impl Plain {
    /// Whether it stands in `text`, with a needle at `at`. An uncertain no is `None`.
    fn is_at(&self, text: &[u8], at: usize) -> Option<bool> {
        let begun = at.checked_sub(self.needle_at).map(|from| &text[from..]);
        let whole = begun.and_then(|it| it.get(..self.text.len()));
        let is_equal = whole.is_some_and(|it| {
            *it == self.text || (!self.has_case && it.eq_ignore_ascii_case(&self.text))
        });
        (is_equal || self.is_all).then_some(is_equal)
    }
}

impl Pattern {
    /// In upper and lower case, unless the pattern `has_case`.
    pub(super) fn new(pattern: &str, has_case: bool) -> Result<Self, StoreError> {
        let regex = RegexMatcherBuilder::new()
            .case_insensitive(!has_case)
            .line_terminator(Some(b'\n'))
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(10 << 20)
            .build(pattern)
            .map_err(|it| StoreError::Pattern {
                pattern: pattern.chars().take(200).collect(),
                reason: reason(&it.to_string()),
            })?;
        // As that builder reads it, too.
        let part = parse(pattern, !has_case).and_then(|it| rarest_part(&it));
        // Flags within the pattern may ask for one case only.
        let as_it_stands = parse(pattern, false).filter(|_| !pattern.contains("(?"));
        let plain = as_it_stands.and_then(|it| match it.into_kind() {
            HirKind::Literal(text) if text.0.is_ascii() => Some(text.0.into_vec()),
            _ => None,
        });
        Ok(Self {
            regex,
            plain: plain.zip(part.as_ref()).map(|(text, part)| Plain {
                needle_at: part.from,
                has_case,
                is_all: has_case || !text.iter().any(|it| b"kKsS".contains(it)),
                text,
            }),
            needles: part.and_then(|it| Prefilter::new(MatchKind::LeftmostFirst, &it.spelled())),
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
        let mut from = 0;
        while let Some(needle) = needles.find(text, Span::from(from..text.len())) {
            let plain = self.plain.as_ref();
            match plain.and_then(|it| it.is_at(text, needle.start)) {
                None => return Ok(Some(LineMatchKind::Candidate(needle.start))),
                Some(true) => return Ok(Some(LineMatchKind::Confirmed(needle.start))),
                Some(false) => from = needle.start + 1,
            }
        }
        Ok(None)
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

/// Places of the pattern, side by side, that each match has.
struct Part {
    /// How many places of the same run stand before them.
    from: usize,
    places: Vec<Place>,
}

impl Part {
    fn spelled(&self) -> Vec<Vec<u8>> {
        let mut spelled = vec![Vec::new()];
        for place in &self.places {
            let longer = spelled.iter().flat_map(|begun: &Vec<u8>| {
                let spellings = place.iter();
                spellings.map(move |it| [begun.as_slice(), it.as_slice()].concat())
            });
            spelled = longer.collect();
        }
        spelled
    }
}

fn parse(pattern: &str, case_insensitive: bool) -> Option<Hir> {
    let mut parser = ParserBuilder::new();
    let parser = parser.utf8(false).case_insensitive(case_insensitive);
    parser.build().parse(pattern).ok()
}

/// The part of the pattern that is found the least often, as far as that can be told.
fn rarest_part(pattern: &Hir) -> Option<Part> {
    let mut runs = Runs::default();
    runs.add(pattern);
    let mut best: Option<(u32, Part)> = None;
    for max in SPELLINGS {
        for (from, places) in runs.parts(max) {
            let bits = places.iter().map(bits).sum();
            if best.as_ref().is_none_or(|(most, _)| bits > *most) {
                let places = places.to_vec();
                best = Some((bits, Part { from, places }));
            }
        }
        if best.as_ref().is_some_and(|(bits, _)| *bits >= RARE) {
            break;
        }
    }
    best.filter(|(bits, _)| *bits >= COMMON).map(|(_, it)| it)
}

/// How rare a place is, by the letters of English and the marks of JSON: about the logarithm of one in how many.
fn bits(place: &Place) -> u32 {
    let first = place.first().and_then(|it| it.first());
    match first.map(u8::to_ascii_lowercase) {
        None => 0,
        Some(b' ' | b'"' | b':' | b',' | b'_' | b'.' | b'-' | b'=') => 2,
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

    /// The longest parts of all runs that have at most `max` spellings, and where in its run each begins.
    fn parts(&self, max: usize) -> impl Iterator<Item = (usize, &[Place])> {
        let runs = self.ended.iter().chain([&self.open]);
        runs.flat_map(move |run| {
            (0..run.len()).map(move |from| {
                let mut spellings = 1;
                let fits = |it: &&Place| {
                    spellings *= it.len();
                    spellings <= max
                };
                let len = run[from..].iter().take(MAX_PLACES).take_while(fits).count();
                (from, &run[from..from + len])
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
