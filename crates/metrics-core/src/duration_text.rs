//! How a duration reads on Tier 1.

use std::{fmt, time::Duration};

/// Shows a duration as a supervisor reads it: `98ms`, `1234ms (1.2s)`, `135000ms (2m 15s)`.
///
/// Always a number of milliseconds above zero: below one millisecond two decimals, rounded up; above, whole
/// milliseconds, rounded down, as `duration_ms` is.
///
/// ```
/// use std::time::Duration;
/// use metrics_core::DurationText;
///
/// assert_eq!(DurationText(Duration::from_millis(98)).to_string(), "98ms");
/// assert_eq!(DurationText(Duration::ZERO).to_string(), "0.01ms");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            let hundredths = self.0.as_nanos().div_ceil(10_000).max(1);
            // Rounding up may reach a whole millisecond.
            return match hundredths {
                100 => f.write_str("1ms"),
                _ => write!(f, "0.{hundredths:02}ms"),
            };
        }
        write!(f, "{millis}ms")?;
        let seconds = millis / 1000;
        let (hours, minutes) = (seconds / 3600, seconds / 60);
        match (hours, minutes, seconds) {
            (0, 0, 0) => Ok(()),
            (0, 0, _) => write!(f, " ({seconds}.{}s)", millis / 100 % 10),
            (0, _, _) => write!(f, " ({minutes}m {}s)", seconds % 60),
            _ => write!(f, " ({hours}h {}m {}s)", minutes % 60, seconds % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::DurationText;

    #[test]
    fn every_size_reads_as_promised() {
        for (micros, text) in [
            (0, "0.01ms"),
            (1, "0.01ms"),
            (10, "0.01ms"),
            (11, "0.02ms"),
            (420, "0.42ms"),
            (991, "1ms"),
            (999, "1ms"),
            (1_000, "1ms"),
            (98_999, "98ms"),
            (999_999, "999ms"),
            (1_000_000, "1000ms (1.0s)"),
            (1_234_000, "1234ms (1.2s)"),
            (59_999_000, "59999ms (59.9s)"),
            (60_000_000, "60000ms (1m 0s)"),
            (135_000_000, "135000ms (2m 15s)"),
            (3_599_999_000, "3599999ms (59m 59s)"),
            (3_723_000_000, "3723000ms (1h 2m 3s)"),
            (90_061_000_000, "90061000ms (25h 1m 1s)"),
        ] {
            let shown = DurationText(Duration::from_micros(micros)).to_string();
            assert_eq!(shown, text, "{micros} us");
        }
    }
}
