//! Places in a line, as English says them.

use std::fmt;

/// A place in a line, shown as `1st`, `2nd`, `3rd`, `11th`, `21st`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordinal(pub u64);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match (self.0 % 100, self.0 % 10) {
            (11..=13, _) => "th",
            (_, 1) => "st",
            (_, 2) => "nd",
            (_, 3) => "rd",
            _ => "th",
        };
        write!(f, "{}{suffix}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Ordinal;

    #[test]
    fn each_number_has_its_suffix() {
        for (suffix, numbers) in [
            ("st", &[1, 21, 31, 91, 101, 121, 1_001, 10_021][..]),
            ("nd", &[2, 22, 32, 92, 102, 122, 1_002]),
            ("rd", &[3, 23, 33, 93, 103, 123, 1_003]),
            ("th", &[0, 4, 9, 10, 11, 12, 13, 14, 19, 20, 30, 100]),
            ("th", &[111, 112, 113, 211, 1_011, 1_012, 1_013, u64::MAX]),
        ] {
            for number in numbers {
                assert_eq!(Ordinal(*number).to_string(), format!("{number}{suffix}"));
            }
        }
    }
}
