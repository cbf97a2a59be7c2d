//! The second stamp at the head of a line: `2025-12-15 03:19:33`, UTC.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a stamp.
pub(crate) const STAMP_LEN: usize = 19;

/// 0000-01-01 00:00:00 and 9999-12-31 23:59:59 in Unix seconds: a year always has four digits.
const SECONDS_RANGE: (i64, i64) = (-62_167_219_200, 253_402_300_799);

/// Unix seconds now; before 1970 they are negative.
pub(crate) fn now_seconds() -> i64 {
    let seconds = |it: std::time::Duration| i64::try_from(it.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => seconds(before.duration()).saturating_neg(),
    }
}

/// The stamp of `unix_seconds`; a year outside 0..=9999 becomes the nearest one inside.
pub(crate) fn stamp(unix_seconds: i64) -> [u8; STAMP_LEN] {
    thread_local! {
        // Most events fall into the same second as the one before.
        static LAST: Cell<(i64, [u8; STAMP_LEN])> = const { Cell::new((i64::MIN, [0; STAMP_LEN])) };
    }
    let (last_seconds, last_stamp) = LAST.get();
    if last_seconds == unix_seconds && unix_seconds != i64::MIN {
        return last_stamp;
    }
    let res = render(unix_seconds);
    LAST.set((unix_seconds, res));
    res
}

/// The Unix seconds of a stamp, or `None` if the text is not one.
pub(crate) fn parse_stamp(text: &[u8]) -> Option<i64> {
    let text: &[u8; STAMP_LEN] = text.try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| text[at] != byte) {
        return None;
    }
    let number = |at: usize, len: usize| {
        text[at..at + len].iter().try_fold(0_i64, |res, digit| {
            digit
                .is_ascii_digit()
                .then(|| res * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let days = days_from_civil(year, month, day);
    let valid = (1..=12).contains(&month)
        && civil_from_days(days) == (year, month, day)
        && hour < 24
        && minute < 60
        && second < 60;
    valid.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn render(unix_seconds: i64) -> [u8; STAMP_LEN] {
    let seconds = unix_seconds.clamp(SECONDS_RANGE.0, SECONDS_RANGE.1);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let mut res = *b"0000-00-00 00:00:00";
    for (at, number) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ] {
        let digits = u8::try_from(number).unwrap_or(0); // Always below 100.
        res[at] = b'0' + digits / 10;
        res[at + 1] = b'0' + digits % 10;
    }
    res
}

/// Days since 1970-01-01 to (year, month, day); Howard Hinnant's `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`]; a day or month out of range gives some other day.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
