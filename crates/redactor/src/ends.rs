//! Where what stands under a name ends, so that no text is read again and again.
//!
//! Every one of these searches comes to the same end from wherever below it begins; so the last end is remembered, and the
//! time for all the names of a long line is that of one.

use std::cell::{Cell, RefCell};

use crate::values::Quote;

/// What was found in one text.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    line: Last,
    bare: Last,
    in_query: Last,
    token: Last,
    /// One for each kind of quote that the text has: there are few.
    quoted: RefCell<Vec<(Quote, Last)>>,
}

/// Where a search began last, and where it ended.
#[derive(Debug, Default)]
struct Last(Cell<(usize, usize)>);

impl Last {
    fn end(&self, start: usize, search: impl FnOnce() -> usize) -> usize {
        let (from, end) = self.0.get();
        if (from..end).contains(&start) {
            return end;
        }
        let end = search();
        self.0.set((start, end));
        end
    }
}

impl Ends {
    /// Before the quote as deep as the one before `start`, or where the line ends without one.
    pub(crate) fn quoted(&self, text: &[u8], start: usize, quote: Quote) -> usize {
        let mut all = self.quoted.borrow_mut();
        let n = all.iter().position(|(it, _)| *it == quote);
        let n = n.unwrap_or_else(|| {
            all.push((quote, Last::default()));
            all.len() - 1
        });
        all[n].1.end(start, || closing(text, start, quote))
    }

    /// Of a value without quotes.
    pub(crate) fn bare(&self, text: &[u8], start: usize, in_query: bool) -> usize {
        let last = if in_query { &self.in_query } else { &self.bare };
        let end = last.end(start, || bare_end(text, start, in_query));
        let is_end = |it: u8| matches!(it, b'.' | b',' | b';' | b':' | b')' | b']' | b'}');
        without(text, start, end, is_end)
    }

    /// Of the line, or of the text in quotes that it is in.
    pub(crate) fn line(&self, text: &[u8], start: usize) -> usize {
        let end = self.line.end(start, || end_of_line(text, start));
        without(text, start, end, |it| matches!(it, b' ' | b'\t'))
    }

    /// Of what a bearer shows.
    pub(crate) fn token(&self, text: &[u8], start: usize) -> usize {
        let has = |it: &u8| it.is_ascii_alphanumeric() || b"-._~+/=".contains(it);
        self.token.end(start, || {
            start + text[start..].iter().take_while(|it| has(it)).count()
        })
    }
}

/// The same end, before the characters that rather belong to what is around.
fn without(text: &[u8], start: usize, mut end: usize, is_end: impl Fn(u8) -> bool) -> usize {
    while end > start && is_end(text[end - 1]) {
        end -= 1;
    }
    end
}

/// Where the text in quotes ends: before the quote as deep as the first one, or where the line ends without one.
fn closing(text: &[u8], start: usize, quote: Quote) -> usize {
    let mut backslashes = 0;
    for (n, byte) in text[start..].iter().enumerate() {
        let at = start + n;
        match byte {
            b'\\' => backslashes += 1,
            b'\n' => return at,
            _ => {
                if *byte == quote.mark {
                    let deeper = backslashes % (2 * (quote.backslashes + 1));
                    if deeper <= quote.backslashes {
                        return at - deeper;
                    }
                    // `"… \"a\\"`: a text around this one is over, and the backslashes are this one's.
                    if deeper <= 2 * quote.backslashes {
                        let outer = 1 << (deeper + 1).trailing_zeros();
                        return at + 1 - outer;
                    }
                } else if *byte == b'"' {
                    // A shell's text within JSON's is over where that is.
                    let after = text[at + 1..].first();
                    if matches!(after, None | Some(b',' | b'}' | b']' | b':')) {
                        return at - backslashes;
                    }
                }
                backslashes = 0;
            }
        }
    }
    text.len()
}

/// Where a value without quotes ends.
fn bare_end(text: &[u8], start: usize, in_query: bool) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' | b'\'' | b'`' | b'<' | b'>' => break,
            _ if byte.is_ascii_whitespace() || byte.is_ascii_control() => break,
            b'&' | b'#' if in_query => break,
            b'&' | b',' | b';' if ends_value(&text[at + 1..]) => break,
            b'\\' => {
                let n = text[at..].iter().take_while(|it| **it == b'\\').count();
                match text.get(at + n) {
                    None | Some(b'n' | b'r' | b't' | b'"' | b'\'') => break,
                    Some(b'u')
                        if text[at + n..].starts_with(b"u0026")
                            || text[at + n..].starts_with(b"u0022") =>
                    {
                        break;
                    }
                    _ => at += n,
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// Whether what follows a `,`, `;` or `&` is the next thing and no part of the value.
fn ends_value(rest: &[u8]) -> bool {
    const LONGEST: usize = 40;
    let name = rest
        .iter()
        .take(LONGEST)
        .take_while(|it| it.is_ascii_alphanumeric() || b"_-. ".contains(it))
        .count();
    match rest.first() {
        None => true,
        Some(it) if it.is_ascii_whitespace() || b"\"'\\}])&".contains(it) => true,
        _ => name > 0 && matches!(rest.get(name), Some(b'=' | b':')),
    }
}

/// Where the line ends, or the text that it is in.
fn end_of_line(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'<' => break,
            b'\\' => {
                let n = text[at..].iter().take_while(|it| **it == b'\\').count();
                match text.get(at + n) {
                    None | Some(b'n' | b'r' | b'"' | b'\'') => break,
                    _ => at += n,
                }
            }
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::Ends;
    use crate::values::Quote;

    /// What is remembered must be what would be found.
    #[test]
    fn an_end_is_the_same_from_wherever_the_search_begins() {
        let text = br#"a "b\" c': d\\" e" f,g: 'h' i=j&k=l; m\n "#.repeat(3);
        let quote = |backslashes, mark| Quote { backslashes, mark };
        let quotes = [
            quote(0, b'"'),
            quote(1, b'"'),
            quote(3, b'"'),
            quote(0, b'\''),
        ];
        let all = Ends::default();
        for start in 0..=text.len() {
            let fresh = Ends::default();
            assert_eq!(all.line(&text, start), fresh.line(&text, start), "{start}");
            assert_eq!(
                all.token(&text, start),
                fresh.token(&text, start),
                "{start}"
            );
            for in_query in [false, true] {
                let end = all.bare(&text, start, in_query);
                assert_eq!(end, fresh.bare(&text, start, in_query), "{start}");
            }
            // One in quotes is only asked for behind such a quote.
            for quote in quotes {
                if start > 0 && text[start - 1] == quote.mark {
                    let end = all.quoted(&text, start, quote);
                    assert_eq!(end, fresh.quoted(&text, start, quote), "{start} {quote:?}");
                }
            }
        }
    }
}
