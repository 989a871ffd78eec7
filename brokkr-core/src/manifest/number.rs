//! Numbers as Kubernetes clients represent them: 64-bit signed integers or 64-bit floats.

use serde_json::Number;

/// How a written number can be represented.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kept {
    /// Exactly.
    Exactly(Number),
    /// As the nearest float, because the fraction has more digits than a float holds.
    Rounded(Number),
    /// Not at all: an integer that would change, or a number beyond the range of floats.
    Not,
}

/// Represents a number in decimal digits, with or without a fraction and an exponent.
pub(super) fn keep(written: &str) -> Kept {
    if let Ok(integer) = written.parse::<i64>() {
        return Kept::Exactly(integer.into());
    }
    written.parse().map_or(Kept::Not, |float| keep_float(float, written))
}

/// Represents a float that was written in decimal digits.
pub(super) fn keep_float(float: f64, written: &str) -> Kept {
    let Some(number) = as_sent(float) else {
        return Kept::Not;
    };
    let (written, held) = (Decimal::of(written), Decimal::of(&format!("{float:e}")));
    match written == held {
        true => Kept::Exactly(number),
        false if written.is_integer() => Kept::Not,
        false => Kept::Rounded(number),
    }
}

/// The JSON number that a Kubernetes client sends for a float: an integer if the float's shortest text is one. `None`
/// for infinities and NaN.
pub(super) fn as_sent(float: f64) -> Option<Number> {
    let shortest = Decimal::of(&format!("{float:e}"));
    shortest.as_i64().map(Number::from).or_else(|| Number::from_f64(float))
}

/// A decimal value, independent of notation: `1.50e3` and `1500` are equal.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// The digits without leading and trailing zeros. Empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Self {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = format!("{whole}{fraction}");
        let significant = written.trim_end_matches('0');
        let dropped = written.len() - significant.len();
        let digits = significant.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        // An exponent beyond i64 occurs only for zero or infinity, which are never compared.
        let exponent = exponent.parse::<i64>().unwrap_or(i64::MAX);
        let shift = i64::try_from(dropped).unwrap_or(i64::MAX) - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        Self { negative, digits, exponent: exponent.saturating_add(shift) }
    }

    fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    fn as_i64(&self) -> Option<i64> {
        // The largest i64 has 19 digits.
        let zeros = usize::try_from(self.exponent).ok().filter(|zeros| *zeros < 19)?;
        format!("{}{}{}", if self.negative { "-" } else { "" }, self.digits, "0".repeat(zeros))
            .parse()
            .ok()
            .or_else(|| self.digits.is_empty().then_some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(number: impl Into<Number>) -> Kept {
        Kept::Exactly(number.into())
    }

    fn float(value: f64) -> Number {
        Number::from_f64(value).expect("finite")
    }

    #[test]
    fn number_is_kept_exactly_or_refused() {
        for (written, expected) in [
            ("0", exactly(0)),
            ("-0", exactly(0)),
            ("-0.0", exactly(0)),
            ("0e5", exactly(0)),
            ("08", exactly(8)),
            ("+5", exactly(5)),
            ("1.0", exactly(1)),
            ("1.", exactly(1)),
            ("1e3", exactly(1000)),
            ("-1.50e2", exactly(-150)),
            ("1500e-2", exactly(15)),
            ("9223372036854775807", exactly(i64::MAX)),
            ("-9223372036854775808", exactly(i64::MIN)),
            ("9223372036854775808", Kept::Not),
            ("-9223372036854775809", Kept::Not),
            ("18446744073709551615", Kept::Not),
            ("9007199254740993.0", Kept::Not),
            ("9007199254740992.0", exactly(9_007_199_254_740_992_i64)),
            // 2^62: the shortest text of this float is a different integer.
            ("4611686018427387904.0", Kept::Not),
            ("4611686018427387904", exactly(4_611_686_018_427_387_904_i64)),
            ("9e18", exactly(9_000_000_000_000_000_000_i64)),
            ("99999999999999999999999999", Kept::Not),
            ("1e999", Kept::Not),
            ("-1e999", Kept::Not),
            ("1e99999999999999999999", Kept::Not),
        ] {
            assert_eq!(keep(written), expected, "{written}");
        }
        for (written, expected) in [
            ("0.5", 0.5),
            ("1e19", 1e19),
            ("10000000000000000000", 1e19),
            ("1e21", 1e21),
            ("1.5e300", 1.5e300),
            ("-2.5e-7", -2.5e-7),
        ] {
            assert_eq!(keep(written), Kept::Exactly(float(expected)), "{written}");
        }
        assert_eq!(keep("0.1234567890123456789"), Kept::Rounded(float(0.123_456_789_012_345_68)));
        assert_eq!(keep("1e-999"), Kept::Rounded(0.into()));
    }

    #[test]
    fn integral_floats_are_sent_as_integers() {
        for (value, expected) in [
            (0.0, Some(0.into())),
            (-0.0, Some(0.into())),
            (-3.0, Some((-3).into())),
            (0.5, Some(float(0.5))),
            (9.2e18, Some(9_200_000_000_000_000_000_i64.into())),
            (9.3e18, Some(float(9.3e18))),
            (1e300, Some(float(1e300))),
            (f64::INFINITY, None),
            (f64::NAN, None),
        ] {
            assert_eq!(as_sent(value), expected, "{value}");
        }
    }
}
