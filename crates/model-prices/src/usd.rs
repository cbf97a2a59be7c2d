//! Money: an exact number of US dollars.

use std::fmt;

use metrics_core::with_commas;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::value::RawValue;

/// Decimal places of a dollar that are kept.
pub(crate) const PLACES: u32 = 24;

/// An exact amount of US dollars: an integer of 10⁻²⁴ dollars.
///
/// A price per million tokens with up to 18 decimal places, times a number of tokens, is such an integer. So nothing is ever
/// rounded, and a sum is the same in whatever order it is made.
///
/// - `Display` is for people, to two digits that say something: `$0.0049`, `$12.34`, `$0.00000035`.
/// - In JSON it is a number with all its digits, up to 28: `0.0048501`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many 10⁻²⁴ dollars.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// How many 10⁻²⁴ dollars it is.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The sum, unless it is beyond 10¹⁴ dollars.
    pub const fn checked_add(self, more: Self) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// A decimal number of dollars, such as a provider reports; places behind the 24th are rounded. `None` beyond 10¹⁴
    /// dollars.
    pub fn from_decimal(dollars: Decimal) -> Option<Self> {
        let dollars = dollars.round_dp(PLACES);
        let factor = 10_i128.checked_pow(PLACES - dollars.scale())?;
        dollars.mantissa().checked_mul(factor).map(Self)
    }

    /// The same as a decimal number without trailing zeros; beyond 28 digits it is rounded.
    pub fn to_decimal(self) -> Decimal {
        let (mut units, mut scale) = (self.0, PLACES);
        while scale > 0 && units % 10 == 0 {
            (units, scale) = (units / 10, scale - 1);
        }
        loop {
            match Decimal::try_from_i128_with_scale(units, scale) {
                Ok(dollars) => return dollars,
                // 10¹⁴ dollars have 15 digits before the point, so there are always places to give up.
                Err(_) => (units, scale) = (rounded(units, 10), scale.saturating_sub(1)),
            }
        }
    }
}

/// A division that rounds to the nearest, and a half away from zero.
fn rounded(units: i128, by: i128) -> i128 {
    let (res, rest) = (units / by, units % by);
    if rest.abs() * 2 >= by {
        res + units.signum()
    } else {
        res
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = i128::try_from(self.0.unsigned_abs()).unwrap_or(i128::MAX);
        if units == 0 {
            return f.pad("$0");
        }
        // Two places from a dollar on; below, as many as two digits need.
        let digits = units.ilog10();
        let places = if digits >= PLACES {
            2
        } else {
            (PLACES + 1 - digits).min(PLACES)
        };
        let step = 10_i128.pow(PLACES - places);
        let (mut shown, mut places) = (rounded(units, step), places as usize);
        while places > 2 && shown >= 100 {
            // 0.00995 became 0.0100.
            (shown, places) = (shown / 10, places - 1);
        }
        let base = 10_i128.pow(u32::try_from(places).unwrap_or(PLACES));
        let (whole, part) = (with_commas(&(shown / base).to_string()), shown % base);
        f.pad(&format!("{sign}${whole}.{part:0places$}"))
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number =
            RawValue::from_string(self.to_decimal().to_string()).map_err(S::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Box::<RawValue>::deserialize(deserializer)?;
        let dollars = decimal(number.get()).and_then(Self::from_decimal);
        dollars.ok_or_else(|| D::Error::custom("not an amount of dollars, such as 0.0049"))
    }
}

/// A JSON number, digit for digit.
pub(crate) fn decimal(json: &str) -> Option<Decimal> {
    let exact = Decimal::from_str_exact(json).ok();
    exact.or_else(|| Decimal::from_scientific(json).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::Usd;

    fn usd(text: &str) -> Usd {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn people_read_two_digits_that_say_something() {
        for (dollars, text) in [
            ("0", "$0"),
            ("0.0049", "$0.0049"),
            ("0.00485", "$0.0049"),
            ("12.34", "$12.34"),
            ("12.345", "$12.35"),
            ("0.00000035", "$0.00000035"),
            ("0.42", "$0.42"),
            ("0.1", "$0.10"),
            ("0.05", "$0.050"),
            ("0.00995", "$0.010"),
            ("0.0994", "$0.099"),
            ("0.995", "$1.00"),
            ("1", "$1.00"),
            ("999.999", "$1,000.00"),
            ("1234567.891", "$1,234,567.89"),
            ("-0.0049", "-$0.0049"),
            ("0.000000000000000000000001", "$0.000000000000000000000001"),
            ("0.000000000000000000000099", "$0.000000000000000000000099"),
            ("99999999999999", "$99,999,999,999,999.00"),
        ] {
            assert_eq!(usd(dollars).to_string(), text, "{dollars}");
        }
        assert_eq!(format!("{:>8}", usd("0.42")), "   $0.42");
    }

    #[test]
    fn json_has_every_digit() {
        for text in ["0", "0.0048501", "-3.5", "99999999999999.12345678901234"] {
            assert_eq!(serde_json::to_string(&usd(text)).unwrap(), text);
        }
        assert_eq!(usd("4.9e-3"), usd("0.0049"));
        for text in ["\"1\"", "1e30", "null", "[1]", "9999999999999999"] {
            assert!(serde_json::from_str::<Usd>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_much_money_is_no_money() {
        let most = Usd(i128::MAX);
        assert_eq!(most.checked_add(Usd(1)), None);
        assert_eq!(Usd::from_decimal(Decimal::MAX), None);
        assert_eq!(
            most.to_decimal().to_string(),
            "170141183460469.23173168730372"
        );
        assert!(
            Usd(i128::MIN)
                .to_string()
                .starts_with("-$170,141,183,460,469.23")
        );
    }

    proptest! {
        #[test]
        fn a_decimal_and_back_is_the_same(mantissa in -10_i64.pow(15)..10_i64.pow(15), scale in 0_u32..=24) {
            let dollars = Decimal::new(mantissa, scale);
            if let Some(it) = Usd::from_decimal(dollars) {
                prop_assert_eq!(it.to_decimal(), dollars.normalize());
                prop_assert_eq!(serde_json::to_string(&it).unwrap(), dollars.normalize().to_string());
            }
        }

        #[test]
        fn any_amount_is_shown_and_read_back(units: i128) {
            let it = Usd(units);
            prop_assert!(it.to_string().contains('$'));
            prop_assert!(Usd::from_decimal(it.to_decimal()).is_some());
        }
    }
}
