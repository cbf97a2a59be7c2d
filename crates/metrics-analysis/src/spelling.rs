//! Which name was probably meant.

/// The name nearest to `typed`, if one is near enough to be a slip.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    if typed.len() > 40 {
        return None;
    }
    let names: Vec<_> = names.collect();
    // Whoever types `p95` means what begins so.
    if typed.len() > 2
        && let Some(longer) = names.iter().find(|it| it.starts_with(&typed))
    {
        return Some(longer);
    }
    let near = names.into_iter().map(|name| (distance(&typed, name), name));
    let (distance, name) = near.min_by_key(|it| it.0)?;
    (distance <= 1 + typed.len() / 4).then_some(name)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<_> = one.chars().collect();
    let other: Vec<_> = other.chars().collect();
    let mut before = Vec::new();
    let mut last: Vec<_> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                let swapped: &Vec<usize> = &before;
                best = best.min(swapped[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn slips_are_near_and_other_words_far() {
        for (one, other, expected) in [
            ("duration_ms", "duration_ms", 0),
            ("duraton_ms", "duration_ms", 1),
            ("modle", "model", 1),
            ("", "tool", 4),
            ("tools", "tool", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
        let names = ["model", "tool", "duration_ms"];
        assert_eq!(nearest("modle", names.into_iter()), Some("model"));
        assert_eq!(
            nearest("Duration_MS", names.into_iter()),
            Some("duration_ms")
        );
        assert_eq!(nearest("dur", names.into_iter()), Some("duration_ms"));
        assert_eq!(nearest("latency", names.into_iter()), None);
    }
}
