//! Resolution of scalars as in kubectl: YAML 1.1 as implemented by go-yaml 2, without base-60 numbers, and with
//! timestamps as strings.

use crate::manifest::number::{Kept, keep, keep_float};

/// The value of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above the range of signed 64-bit integers.
    Uint(u64),
    /// A float, and the decimal digits of its source.
    Float(f64, String),
    /// A string.
    Text,
}

/// The type that a tag requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Bool,
    Int,
    Float,
}

/// Resolves a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN, String::new()),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY, String::new()),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY, String::new()),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') if underscores_part_digits(text) => float(&without_underscores(text)).unwrap_or(Scalar::Text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let plain = without_underscores(text);
            integer(&plain).or_else(|| float(&plain)).or_else(|| signed_binary(&plain)).unwrap_or(Scalar::Text)
        }
        _ => Scalar::Text,
    }
}

/// Resolves a scalar with a tag, quoted or not. `None` if the text does not match the type.
pub(super) fn resolve_as(wanted: Type, text: &str) -> Option<Scalar> {
    match (wanted, resolve(text)) {
        (Type::Null, Scalar::Null) => Some(Scalar::Null),
        (Type::Bool, Scalar::Bool(value)) => Some(Scalar::Bool(value)),
        (Type::Int, value @ (Scalar::Int(_) | Scalar::Uint(_))) => Some(value),
        (Type::Float, Scalar::Int(value)) => Some(Scalar::Float(value as f64, value.to_string())),
        (Type::Float, value @ Scalar::Float(..)) => Some(value),
        _ => None,
    }
}

impl Scalar {
    /// How a number can be represented; `None` for other scalars.
    pub(super) fn number(&self) -> Option<Kept> {
        match self {
            Self::Int(value) => Some(Kept::Exactly((*value).into())),
            Self::Uint(value) => Some(keep(&value.to_string())),
            Self::Float(value, written) => Some(keep_float(*value, written)),
            Self::Null | Self::Bool(_) | Self::Text => None,
        }
    }

    /// The string that a key becomes. `None` for null and for integers above the signed 64-bit range, which cannot be
    /// keys.
    pub(super) fn key<'a>(&self, text: &'a str) -> Option<std::borrow::Cow<'a, str>> {
        match self {
            Self::Text => Some(text.into()),
            Self::Bool(value) => Some(value.to_string().into()),
            Self::Int(value) => Some(value.to_string().into()),
            Self::Float(value, _) => Some(float_key(*value).into()),
            Self::Null | Self::Uint(_) => None,
        }
    }
}

/// Whether the text is a number that is too large to be read as one.
pub(super) fn is_number_beyond_range(text: &str) -> bool {
    let plain = without_underscores(text);
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let (radix, rest) = radix_of(digits);
    let is_integer = radix != 10 && !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
    text.starts_with(|c: char| matches!(c, '0'..='9' | '+' | '-' | '.')) && (is_integer || is_float(&plain))
}

/// The notation of a number that is not written in decimal.
pub(super) fn notation(text: &str) -> Option<&'static str> {
    let plain = without_underscores(text);
    match radix_of(plain.strip_prefix(['+', '-']).unwrap_or(&plain)) {
        (2, _) => Some("binary"),
        (8, rest) if !rest.is_empty() => Some("octal"),
        (16, _) => Some("hexadecimal"),
        _ => None,
    }
}

fn without_underscores(text: &str) -> String {
    text.replace('_', "")
}

/// Whether each underscore is between two digits, as Go requires in floats.
fn underscores_part_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |n: Option<usize>| n.and_then(|n| bytes.get(n)).is_some_and(u8::is_ascii_digit);
    let mut underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    underscores.all(|(n, _)| is_digit(n.checked_sub(1)) && is_digit(Some(n + 1)))
}

/// The radix that the prefix of unsigned digits denotes, and the digits after the prefix.
fn radix_of(digits: &str) -> (u32, &str) {
    let bytes = digits.as_bytes();
    match (bytes.first(), bytes.get(1), bytes.len()) {
        (Some(b'0'), Some(b'b' | b'B'), 3..) => (2, &digits[2..]),
        (Some(b'0'), Some(b'o' | b'O'), 3..) => (8, &digits[2..]),
        (Some(b'0'), Some(b'x' | b'X'), 3..) => (16, &digits[2..]),
        (Some(b'0'), Some(_), _) => (8, &digits[1..]),
        _ => (10, digits),
    }
}

fn integer(plain: &str) -> Option<Scalar> {
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (radix, digits) = radix_of(digits);
    in_radix(plain.starts_with('-'), plain.starts_with('+'), digits, radix)
}

/// go-yaml 2 also reads `0b` before a sign.
fn signed_binary(plain: &str) -> Option<Scalar> {
    let rest = plain.strip_prefix("0b")?;
    in_radix(rest.starts_with('-'), true, rest.strip_prefix(['+', '-'])?, 2)
}

fn in_radix(negative: bool, signed: bool, digits: &str, radix: u32) -> Option<Scalar> {
    // `from_str_radix` accepts a sign, so refuse a second one here.
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) => (!signed).then_some(Scalar::Uint(magnitude)),
    }
}

fn float(plain: &str) -> Option<Scalar> {
    let value = is_float(plain).then(|| plain.parse::<f64>().ok())??;
    value.is_finite().then(|| Scalar::Float(value, plain.to_owned()))
}

/// Whether the text is a decimal number: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_float(plain: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && digits(exponent)
        && !exponent.is_empty()
        && !(whole.is_empty() && fraction.is_empty())
}

/// The text of a float key: that of the nearest 32-bit float, in exponent form from 1e6 and below 1e-4.
fn float_key(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        -4..=5 => value.to_string(),
        exponent => format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64, written: &str) -> Scalar {
        Scalar::Float(value, written.to_owned())
    }

    #[test]
    fn keywords_are_resolved() {
        let cases = |word: &str| {
            let mut title = word.to_owned();
            title[..1].make_ascii_uppercase();
            [word.to_owned(), title, word.to_ascii_uppercase()]
        };
        for (words, expected) in [
            (&["y", "yes", "true", "on"][..], Scalar::Bool(true)),
            (&["n", "no", "false", "off"], Scalar::Bool(false)),
            (&["null", "~"], Scalar::Null),
        ] {
            for word in words.iter().flat_map(|word| cases(word)) {
                assert_eq!(resolve(&word), expected, "{word}");
            }
        }
        assert_eq!(resolve(""), Scalar::Null);
        for (text, expected) in [(".inf", f64::INFINITY), ("+.Inf", f64::INFINITY), ("-.INF", f64::NEG_INFINITY)] {
            assert_eq!(resolve(text), float(expected, ""), "{text}");
        }
        assert!(matches!(resolve(".NaN"), Scalar::Float(value, _) if value.is_nan()));
        for text in [
            "yEs", "tRUE", "oN", "nUll", "none", "nil", "t", "f", " ", "-.iNF", "inf", "nan", "-.nan", "+.nan", "<<",
            "=",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
    }

    #[test]
    fn integers_are_resolved() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("+5", 5),
            ("00", 0),
            ("0640", 416),
            ("-0640", -416),
            ("0o640", 416),
            ("0O17", 15),
            ("0x1F", 31),
            ("0Xff", 255),
            ("-0x10", -16),
            ("+0x10", 16),
            ("0b101", 5),
            ("0B11", 3),
            ("-0b11", -3),
            ("0b-11", -3),
            ("0b+11", 3),
            ("1_000", 1000),
            ("1__0_", 10),
            ("-_7", -7),
            ("0_640", 416),
            ("0x_1_f", 31),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("-0x8000000000000000", i64::MIN),
        ] {
            assert_eq!(resolve(text), Scalar::Int(expected), "{text}");
        }
        for (text, expected) in [
            ("9223372036854775808", 1 << 63),
            ("18446744073709551615", u64::MAX),
            ("0xffffffffffffffff", u64::MAX),
            ("0b1000000000000000000000000000000000000000000000000000000000000000", 1 << 63),
        ] {
            assert_eq!(resolve(text), Scalar::Uint(expected), "{text}");
        }
    }

    #[test]
    fn floats_are_resolved() {
        for (text, expected, written) in [
            ("0.5", 0.5, "0.5"),
            ("-1.5", -1.5, "-1.5"),
            ("+1.5e-3", 0.0015, "+1.5e-3"),
            ("1.", 1.0, "1."),
            ("1e3", 1000.0, "1e3"),
            ("1E+03", 1000.0, "1E+03"),
            ("08", 8.0, "08"),
            ("0900", 900.0, "0900"),
            ("-09.5", -9.5, "-09.5"),
            ("1_0.5_0", 10.5, "10.50"),
            (".5", 0.5, ".5"),
            (".5e1", 5.0, ".5e1"),
            (".1_0", 0.1, ".10"),
            ("+.5", 0.5, "+.5"),
            ("18446744073709551616", 18_446_744_073_709_551_616.0, "18446744073709551616"),
            ("+9223372036854775808", 9_223_372_036_854_775_808.0, "+9223372036854775808"),
        ] {
            assert_eq!(resolve(text), float(expected, written), "{text}");
        }
    }

    #[test]
    fn other_scalars_are_strings() {
        for text in [
            "12:30:00",
            "22:22",
            "1:30.5",
            "127.0.0.1",
            "2020-01-01",
            "2020-01-01T00:00:00Z",
            "0xg",
            "0x",
            "0b",
            "0o",
            "0o8",
            "0b2",
            "-",
            "+",
            ".",
            "..",
            ".e5",
            "1e",
            "1e+",
            "1.2.3",
            "1e3.5",
            "--1",
            "+-1",
            "-+1",
            "1 000",
            "_1",
            "._1",
            ".1_",
            ".1__0",
            "0b--1",
            "-0b-1",
            "0b1_",
            "v1",
            "5-3",
            "1e999",
            "-1e999",
            ".5e999",
            "85e7724",
            "0x1ffffffffffffffff",
            "-0x8000000000000001",
            "0o7777777777777777777777",
            "+18446744073709551615x",
            "0x1p3",
            "1f",
            "e5",
            "٣",
        ] {
            let expected = if text == "0b1_" { Scalar::Int(1) } else { Scalar::Text };
            assert_eq!(resolve(text), expected, "{text}");
        }
        for text in ["1e999", "-1_0e999", ".5e999", "85e7724", "0x1ffffffffffffffff", "0o7777777777777777777777"] {
            assert!(is_number_beyond_range(text), "{text}");
        }
        for text in ["0xg", "12:30", "0x", "e999", "x", "", "0b2", "_1e999"] {
            assert!(!is_number_beyond_range(text), "{text}");
        }
    }

    #[test]
    fn tagged_scalar_is_resolved_by_type() {
        assert_eq!(resolve_as(Type::Int, "0x10"), Some(Scalar::Int(16)));
        assert_eq!(resolve_as(Type::Int, "18446744073709551615"), Some(Scalar::Uint(u64::MAX)));
        assert_eq!(resolve_as(Type::Float, "16"), Some(float(16.0, "16")));
        assert_eq!(resolve_as(Type::Float, "0x10"), Some(float(16.0, "16")));
        assert_eq!(resolve_as(Type::Float, "1.5"), Some(float(1.5, "1.5")));
        assert_eq!(resolve_as(Type::Bool, "yes"), Some(Scalar::Bool(true)));
        assert_eq!(resolve_as(Type::Null, "~"), Some(Scalar::Null));
        for (wanted, text) in [
            (Type::Int, "1.0"),
            (Type::Int, "08"),
            (Type::Int, "~"),
            (Type::Int, "x"),
            (Type::Float, "x"),
            (Type::Float, "18446744073709551615"),
            (Type::Float, "1e999"),
            (Type::Bool, "1"),
            (Type::Null, "x"),
        ] {
            assert_eq!(resolve_as(wanted, text), None, "{wanted:?} {text}");
        }
    }

    #[test]
    fn keys_become_strings() {
        for (written, key) in [
            ("9000", "9000"),
            ("0640", "416"),
            ("yes", "true"),
            ("off", "false"),
            ("3.14", "3.14"),
            ("3.14159265358979", "3.1415927"),
            ("123456.0", "123456"),
            ("1000000.0", "1e+06"),
            ("1234567.0", "1.234567e+06"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("-2.5e-7", "-2.5e-07"),
            ("1e30", "1e+30"),
            ("1e39", ".inf"),
            ("-1e39", "-.inf"),
            (".nan", ".nan"),
            ("-0.0", "-0"),
            ("x", "x"),
        ] {
            assert_eq!(resolve(written).key(written).as_deref(), Some(key), "{written}");
        }
        for written in ["~", "18446744073709551615"] {
            assert_eq!(resolve(written).key(written), None, "{written}");
        }
    }

    #[test]
    fn numbers_are_kept_exactly_or_refused() {
        let kept = |text: &str| resolve(text).number();
        assert_eq!(kept("0640"), Some(Kept::Exactly(416.into())));
        assert_eq!(kept("1_0.0"), Some(Kept::Exactly(10.into())));
        assert_eq!(kept("10000000000000000000"), Some(keep("1e19")));
        for text in ["18446744073709551615", "0xffffffffffffffff", "99999999999999999999999999", ".inf", ".nan"] {
            assert_eq!(kept(text), Some(Kept::Not), "{text}");
        }
        assert_eq!(resolve_as(Type::Float, "9007199254740993").and_then(|it| it.number()), Some(Kept::Not));
        assert_eq!(kept("x"), None);
        for (text, expected) in
            [("0640", Some("octal")), ("-0x1", Some("hexadecimal")), ("0b1", Some("binary")), ("0", None), ("10", None)]
        {
            assert_eq!(notation(text), expected, "{text}");
        }
    }
}
