//! A fraction as a decimal: exact where one exists, else rounded and marked so.

use num::{BigInt, BigRational, Integer, Signed, ToPrimitive, Zero, traits::Pow};

/// The most decimal places an exact result is written with.
const MAX_PLACES: u32 = 60;
/// The significant digits of a rounded result.
const DIGITS: i64 = 28;
/// A rounded result with more zeros than this after its point is written with an exponent.
const MAX_LEADING_ZEROS: i64 = 20;

/// The value as a model reads it.
pub(super) fn text(value: &BigRational) -> String {
    match exact_places(value.denom()) {
        Some(0) => value.numer().to_string(),
        Some(places) => {
            let scaled = value.numer() * ten_to(places) / value.denom();
            with_point(&scaled, places as usize)
        }
        None => format!("{} (rounded)", rounded(value)),
    }
}

/// How many decimal places a fraction with this denominator needs, if that is few enough.
fn exact_places(denominator: &BigInt) -> Option<u32> {
    let twos = denominator.trailing_zeros().unwrap_or(0).to_u32()?;
    let mut rest = denominator >> twos;
    let five = BigInt::from(5);
    let mut fives = 0;
    while fives <= MAX_PLACES {
        let (quotient, remainder) = rest.div_rem(&five);
        if !remainder.is_zero() {
            break;
        }
        rest = quotient;
        fives += 1;
    }
    let places = twos.max(fives);
    (rest == BigInt::from(1) && places <= MAX_PLACES).then_some(places)
}

/// The value to [`DIGITS`] significant digits.
fn rounded(value: &BigRational) -> String {
    let (numerator, denominator) = (value.numer(), value.denom());
    // Between one too few and one too many; the second look settles it.
    let guess = n_digits(numerator) - n_digits(denominator);
    let mut places = DIGITS - guess;
    let mut digits = scaled(numerator, denominator, places);
    if n_digits(&digits) > DIGITS {
        places -= 1;
        digits = scaled(numerator, denominator, places);
    }
    if places <= 0 {
        return (digits * ten_to(u32::try_from(-places).unwrap_or(0))).to_string();
    }
    let leading_zeros = places - n_digits(&digits);
    if leading_zeros > MAX_LEADING_ZEROS {
        let fraction_places = n_digits(&digits) - 1;
        let mantissa = with_point(&digits, usize::try_from(fraction_places).unwrap_or(0));
        return format!("{}e-{}", trimmed(&mantissa), places - fraction_places);
    }
    let plain = with_point(&digits, usize::try_from(places).unwrap_or(0));
    trimmed(&plain).to_owned()
}

/// `numerator / denominator * 10^places`, rounded half away from zero.
fn scaled(numerator: &BigInt, denominator: &BigInt, places: i64) -> BigInt {
    let factor = ten_to(places.unsigned_abs().to_u32().unwrap_or(0));
    let (numerator, denominator) = if places < 0 {
        (numerator.clone(), denominator * factor)
    } else {
        (numerator * factor, denominator.clone())
    };
    let (quotient, remainder) = numerator.div_rem(&denominator);
    if remainder.abs() * 2 < denominator {
        quotient
    } else {
        quotient + numerator.signum()
    }
}

/// The digits of a whole number, with a point before the last `places` of them.
fn with_point(digits: &BigInt, places: usize) -> String {
    let sign = if digits.is_negative() { "-" } else { "" };
    let padded = format!("{:0>width$}", digits.abs().to_string(), width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    format!("{sign}{whole}.{fraction}")
}

/// A decimal without the zeros that say nothing.
fn trimmed(decimal: &str) -> &str {
    decimal.trim_end_matches('0').trim_end_matches('.')
}

fn n_digits(number: &BigInt) -> i64 {
    i64::try_from(number.abs().to_string().len()).unwrap_or(i64::MAX)
}

fn ten_to(exponent: u32) -> BigInt {
    Pow::pow(&BigInt::from(10), exponent)
}
