//! Long numbers as people read them.

/// A whole number's digits with a comma before each three: `1234567` as `1,234,567`. A minus before them may be there.
///
/// ```
/// assert_eq!(metrics_core::with_commas("-1234567"), "-1,234,567");
/// assert_eq!(metrics_core::with_commas("-123"), "-123");
/// ```
pub fn with_commas(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
