//! How many tokens a text takes of a model's context: an estimate from above that needs no tokenizer.
//!
//! Models cut text differently, and their vocabularies are megabytes. What they have in common: a word that is often met
//! is one token, digits go in threes, and any other text takes a token for less than two characters. So the words that our
//! own texts are made of count one each, and all else as the rarest text of its kind does.

/// Words of our own texts and tools, in lower case, in the order of the alphabet.
const USUAL_WORDS: [&str; 55] = [
    "after",
    "all",
    "and",
    "at",
    "be",
    "call",
    "calls",
    "completion",
    "could",
    "decision",
    "error",
    "events",
    "exec",
    "execution",
    "failed",
    "file",
    "first",
    "flight",
    "for",
    "from",
    "get",
    "http",
    "in",
    "initial",
    "job",
    "left",
    "line",
    "lines",
    "list",
    "lost",
    "max",
    "metrics",
    "model",
    "more",
    "ms",
    "none",
    "not",
    "of",
    "other",
    "out",
    "prompt",
    "read",
    "request",
    "running",
    "shell",
    "start",
    "status",
    "summary",
    "that",
    "time",
    "times",
    "tokens",
    "tool",
    "used",
    "worker",
];

/// At least as many tokens as a model counts for `text`.
pub(crate) fn at_most(text: &str) -> usize {
    let mut rest = text;
    let mut tokens = 0;
    while let Some(first) = rest.chars().next() {
        let (length, cost) = match first {
            '0'..='9' => {
                let n = run(rest, u8::is_ascii_digit);
                (n, n.div_ceil(3))
            }
            'a'..='z' | 'A'..='Z' => word(rest),
            // It goes with the word or the sign behind it.
            ' ' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic) => (1, 0),
            // No token is shorter than a byte.
            other => (other.len_utf8(), other.len_utf8()),
        };
        tokens += cost;
        rest = &rest[length..];
    }
    tokens
}

/// The length and the cost of the word that `text` begins with: letters of one case, but for a large one at the start.
fn word(text: &str) -> (usize, usize) {
    let large = run(text, u8::is_ascii_uppercase);
    let length = match large {
        0 | 1 => large + run(&text[large..], u8::is_ascii_lowercase),
        // The last one begins the next word.
        _ if text[large..].starts_with(|it: char| it.is_ascii_lowercase()) => large - 1,
        _ => large,
    };
    let is_whole = !text[length..].starts_with(|it: char| it.is_ascii_alphabetic());
    let is_usual = || USUAL_WORDS.binary_search(&&*text[..length].to_ascii_lowercase());
    if large <= 1 && is_whole && is_usual().is_ok() {
        (length, 1)
    } else if large > 3 {
        // Few pairs of large letters are one token.
        (length, length)
    } else {
        (length, (length * 2).div_ceil(3).max(1))
    }
}

/// The bytes at the start of `text` that are ASCII and of this kind.
fn run(text: &str, is_kind: impl Fn(&u8) -> bool) -> usize {
    text.bytes().take_while(is_kind).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

    use super::{USUAL_WORDS, at_most};

    fn tokenizers() -> [&'static CoreBPE; 2] {
        [cl100k_base_singleton(), o200k_base_singleton()]
    }

    /// What models of two generations count, at most.
    fn n_tokens(text: &str) -> usize {
        let counted = tokenizers().map(|it| it.encode_ordinary(text).len());
        counted.into_iter().max().unwrap()
    }

    #[test]
    fn usual_words_are_a_token_each() {
        assert!(USUAL_WORDS.is_sorted());
        let mut longer = Vec::new();
        for word in USUAL_WORDS {
            assert_eq!(at_most(&format!(" {word}")), 1, "{word}");
            let (first, rest) = word.split_at(1);
            let capital = first.to_ascii_uppercase() + rest;
            let texts = [
                format!("a {word} b"),
                format!("_{word}"),
                format!("({word}"),
                format!("\n{capital}: "),
            ];
            let is_longer = |it: &&String| n_tokens(it) > at_most(it);
            longer.extend(texts.iter().find(is_longer).cloned());
        }
        assert_eq!(longer, [""; 0]);
    }

    #[test]
    fn an_estimate_is_not_much_too_large_for_our_own_texts() {
        let text = "LLM calls: 12345, 123456ms (2m 3s) in all, slowest 1234ms (1.2s)\n";
        let counted = n_tokens(text);
        assert!(
            at_most(text) <= counted * 3 / 2,
            "{} for {counted}",
            at_most(text)
        );
    }

    proptest! {
        #[test]
        fn no_text_has_more_tokens_than_estimated(
            text in "([a-z]{0,40}|[A-Z]{0,20}|[0-9]{0,12}|[ -~]{0,40}|\\PC{0,20}|[\\n \\t]{0,9}| ){0,8}"
        ) {
            let counted = n_tokens(&text);
            prop_assert!(at_most(&text) >= counted, "{counted} tokens in {text:?}");
        }
    }
}
