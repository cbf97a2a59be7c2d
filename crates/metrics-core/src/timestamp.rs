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

/// Parses the canonical text and nothing else.
#[inline]
pub(crate) fn parse_canonical(text: &[u8; TEXT_LEN]) -> Option<Timestamp> {
    let day_micros = parse_date(text)?;
    let clock = digits_in_form(text, DATE_LEN, *b"00:00:00")?;
    let fraction = digits_in_form(text, DATE_LEN + 8, *b".000000Z")?;
    let pair = |digits: u64, at: usize| {
        let pair = digits >> (8 * at);
        (pair & 0xff) * 10 + (pair >> 8 & 0xff)
    };
    let (hour, minute, second) = (pair(clock, 0), pair(clock, 3), pair(clock, 6));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = (pair(fraction, 1) * 100 + pair(fraction, 3)) * 100 + pair(fraction, 5);
    let of_day = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    Some(Timestamp(day_micros + of_day.cast_signed()))
}

/// Microseconds from the Unix epoch to the day of a canonical text. Mostly it is the same day as the last time.
#[inline]
fn parse_date(text: &[u8; TEXT_LEN]) -> Option<i64> {
    thread_local!(static LAST: Cell<([u8; DATE_LEN], i64)> = const { Cell::new((*b"1970-01-01T", 0)) });
    let date = text.first_chunk()?;
    let (last_date, last_micros) = LAST.get();
    if *date == last_date {
        return Some(last_micros);
    }
    let micros = parse_new_date(text)?;
    LAST.set((*date, micros));
    Some(micros)
}

#[cold]
fn parse_new_date(text: &[u8; TEXT_LEN]) -> Option<i64> {
    let digits = digits_in_form(text, 0, *b"0000-00-")?.to_le_bytes();
    let [y1, y2, y3, y4, _, m1, m2, _] = digits.map(i64::from);
    let [d1, d2, b'T'] = text[8..DATE_LEN] else {
        return None;
    };
    let (year, month) = (((y1 * 10 + y2) * 10 + y3) * 10 + y4, m1 * 10 + m2);
    let day = self::digits(&[d1, d2])?;
    let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| days_from_civil(year, month, day) * MICROS_PER_DAY)
}

/// The digits of eight bytes at `at`, each in its byte: those that are `0` in `form`. The others must be as in `form`.
#[inline]
fn digits_in_form(text: &[u8; TEXT_LEN], at: usize, form: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(*text[at..].first_chunk()?) ^ u64::from_le_bytes(form);
    // What brings the first value that is too high to 0x80: 10 of a digit, 1 of another character.
    let limits = u64::from_le_bytes(form.map(|it| if it == b'0' { 0x80 - 10 } else { 0x80 - 1 }));
    let too_high = digits | ((digits & u64::from_le_bytes([0x7f; 8])) + limits);
    (too_high & u64::from_le_bytes([0x80; 8]) == 0).then_some(digits)
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
