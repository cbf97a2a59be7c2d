//! Points in time as all three tiers write them.

use std::{cell::Cell, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    ascii::{four_digits, two_digits},
    printable::printable,
};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// The canonical text has always this many bytes: `2025-12-15T04:08:08.123456Z`.
pub(crate) const TEXT_LEN: usize = 27;
const DATE_LEN: usize = 11; // `2025-12-15T`

/// A point in UTC, in whole microseconds, between the years 0000 and 9999.
///
/// - Text: RFC 3339 with exactly six fractional digits and `Z`; reading also takes any other zone and precision
///   (digits beyond the sixth are dropped).
/// - A time outside the range is moved to its nearest end, as four-digit years cannot say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// `0000-01-01T00:00:00.000000Z`.
    pub const MIN: Self = Self(-62_167_219_200 * MICROS_PER_SECOND);
    /// `9999-12-31T23:59:59.999999Z`.
    pub const MAX: Self = Self(253_402_300_800 * MICROS_PER_SECOND - 1);
    /// `1970-01-01T00:00:00.000000Z`.
    pub const UNIX_EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch, negative before it.
    pub const fn from_unix_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// Microseconds since the Unix epoch, negative before it.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// This time plus `micros`, which may be negative.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self::from_unix_micros(self.0.saturating_add(micros))
    }

    /// Writes the canonical text to `text`.
    #[inline]
    pub(crate) fn render(self, text: &mut [u8; TEXT_LEN]) {
        let of_day = self.0.rem_euclid(MICROS_PER_DAY).unsigned_abs();
        let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
        let (minutes, second) = (seconds / 60, seconds % 60);
        // Word by word, each put together in a register: `yyyy-mm-`, `ddThh:mm`, `:ss.mmmm`, `mmZ`.
        let (year_and_month, day) = date_words(self.0.div_euclid(MICROS_PER_DAY));
        let day_to_minute = day
            | two_digits(minutes / 60) << 24
            | two_digits(minutes % 60) << 48
            | u64::from_le_bytes(*b"\0\0T\0\0:\0\0");
        let second_to_fraction = two_digits(second) << 8
            | four_digits(micros / 100) << 32
            | u64::from_le_bytes(*b":\0\0.\0\0\0\0");
        let [tens, ones, ..] = two_digits(micros % 100).to_le_bytes();
        text[..8].copy_from_slice(&year_and_month.to_le_bytes());
        text[8..16].copy_from_slice(&day_to_minute.to_le_bytes());
        text[16..24].copy_from_slice(&second_to_fraction.to_le_bytes());
        text[24..].copy_from_slice(&[tens, ones, b'Z']);
    }
}

/// `yyyy-mm-` and `dd`. Most events fall on the same day as the one before.
#[inline]
fn date_words(days: i64) -> (u64, u64) {
    thread_local!(static LAST: Cell<(i64, (u64, u64))> = const { Cell::new((i64::MIN, (0, 0))) });
    let (last_days, mut words) = LAST.get();
    if days != last_days {
        let (year, month, day) = civil_from_days(days);
        let [year, month, day] = [year, month, day].map(u64::from);
        let hyphens = u64::from_le_bytes(*b"\0\0\0\0-\0\0-");
        let year_and_month = four_digits(year) | two_digits(month) << 40 | hyphens;
        words = (year_and_month, two_digits(day));
        LAST.set((days, words));
    }
    words
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_LEN];
        self.render(&mut text);
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Why a text is not a [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a timestamp with a zone, such as `2025-12-15T04:08:08.123456Z`")]
pub struct TimestampError {
    text: String,
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text.as_bytes()).ok_or_else(|| TimestampError {
            text: printable(text, 60),
        })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 timestamp with a zone")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Parses the canonical text and nothing else; a date equal to that of `near` is not read again.
#[inline]
pub(crate) fn parse_canonical(text: &[u8], near: Option<(Timestamp, &[u8])>) -> Option<Timestamp> {
    let text: &[u8; TEXT_LEN] = text.try_into().ok()?;
    if text[13] != b':' || text[16] != b':' || text[19] != b'.' || text[26] != b'Z' {
        return None;
    }
    let day_micros = match near {
        Some((near, near_text)) if near_text.starts_with(&text[..DATE_LEN]) => {
            near.0.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY
        }
        _ => {
            if text[4] != b'-' || text[7] != b'-' || text[10] != b'T' {
                return None;
            }
            let year = pair(text, 0)? * 100 + pair(text, 2)?;
            let (month, day) = (pair(text, 5)?, pair(text, 8)?);
            if !(1..=12).contains(&month) || day < 1 {
                return None;
            }
            let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
            if day > days_in_month(year, month) {
                return None;
            }
            days_from_civil(year, month, day) * MICROS_PER_DAY
        }
    };
    let (hour, minute, second) = (pair(text, 11)?, pair(text, 14)?, pair(text, 17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = (pair(text, 20)? * 100 + pair(text, 22)?) * 100 + pair(text, 24)?;
    let seconds = (hour * 60 + minute) * 60 + second;
    let micros = i64::from(seconds) * MICROS_PER_SECOND + i64::from(micros);
    Some(Timestamp(day_micros + micros))
}

/// The two digits at `at`.
#[inline]
fn pair(text: &[u8; TEXT_LEN], at: usize) -> Option<u32> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens * 10 + ones))
}

/// Parses RFC 3339; a space or a lower-case `t`, `z` and a zone without a colon are taken too.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    if date[4] != b'-' || date[7] != b'-' || time[3] != b':' || time[6] != b':' {
        return None;
    }
    if !matches!(time[0], b'T' | b't' | b' ') {
        return None;
    }
    let year = digits(&date[..4])?;
    let (month, day) = (digits(&date[5..7])?, digits(&date[8..10])?);
    let (hour, minute) = (digits(&time[1..3])?, digits(&time[4..6])?);
    let second = digits(&time[7..9])?;
    // A leap second is the first moment of the next minute.
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let (micros, zone) = parse_fraction(rest)?;
    let offset_seconds = parse_zone(zone)?;
    let seconds =
        days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
            - offset_seconds;
    Some(Timestamp::from_unix_micros(
        seconds * MICROS_PER_SECOND + micros,
    ))
}

fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(fraction) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let len = fraction.iter().take_while(|it| it.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let micros = (0..6).fold(0, |sum, i| {
        let digit = if i < len { fraction[i] - b'0' } else { 0 };
        sum * 10 + i64::from(digit)
    });
    Some((micros, &fraction[len..]))
}

/// Seconds east of Greenwich.
fn parse_zone(zone: &[u8]) -> Option<i64> {
    let (sign, zone) = match zone {
        b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match zone {
        [h @ .., b':', m1, m2] if h.len() == 2 => (h, [*m1, *m2]),
        [h1, h2, m1, m2] => (&[*h1, *h2][..], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(&minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years start in March here, so that
/// the leap day is the last one.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    // Shifted by one era of 400 years, so that no quotient is negative.
    let year = year + 400;
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468 - 146_097
}

/// The inverse of [`days_from_civil`], for days whose year has four digits: year, month and day.
///
/// After C. Neri and L. Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022),
/// as stamps are a good part of what a line costs. Years start in March here too.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range of `Timestamp` keeps all of these small and not negative"
)]
fn civil_from_days(days: i64) -> (u32, u32, u32) {
    // Shifted by one era of 400 years, so that all that follows is unsigned.
    let quarter_days = 4 * ((days + 719_468 + 146_097) as u32) + 3;
    let century = quarter_days / 146_097;
    let quarter_days = (quarter_days % 146_097) | 3;
    let product = 2_939_745 * u64::from(quarter_days);
    let year_of_century = (product >> 32) as u32;
    let day_of_year = (product as u32) / 2_939_745 / 4;
    let month_and_day = 2141 * day_of_year + 197_913;
    let (month, day) = (month_and_day >> 16, (month_and_day & 0xffff) / 2141 + 1);
    let next_year = day_of_year >= 306;
    let year = 100 * century + year_of_century + u32::from(next_year) - 400;
    (year, if next_year { month - 12 } else { month }, day)
}

#[cfg(test)]
mod tests;
