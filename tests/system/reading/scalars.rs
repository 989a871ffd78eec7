//! Scalars of every class, and numbers near every limit.

use fastrand::Rng;

/// Texts that a YAML reader may take for another type, and similar ones.
const CHOSEN: &str = "
    y Y n N yes Yes YES yEs no No NO on On ON off Off OFF oFF true True TRUE tRUE false False FALSE t f null Null NULL nULL nil none ~
    ~a 0 -0 +0 00 01 007 08 09 018 0640 0755 -0640 +0640 0o640 0O17 0o8 0o 0x1F 0X1f -0x10 +0x10 0xg 0x 0b101 0B11 -0b11 +0b11 0b2 0b
    0b-11 0b+11 -0b-1 1_000 1__0 1_ _1 -_1 0_640 0x_1f 1_0.5_0 1. .5 -.5 +.5 ._5 .5_ .5_0 1.5.2 1.10 1.0 0.0 -0.0 100.0 1e3 1E3 1e+3
    1e-3 1.e3 .5e1 1e 1e+ e3 1e3.5 1e999 -1e999 .5e999 1e-999 85e7724 123e4 12e03 0e0 1f 0x1p3 1,000 12:30 12:30:00 12:30:45.5 22:22
    190:20:30 -1:30 1:60 127.0.0.1 127.0.0.1:80 10.0.0.0/24 ::1 fe80::1 2020-01-01 2020-1-1 2020-13-01 2020-01-01T00:00:00Z
    2020-01-01t00:00:00.5+01:00 .inf -.inf +.inf .Inf .INF .iNF inf .nan .NaN .NAN -.nan nan NaN << = == - + . .. ...x -- ---x
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615 18446744073709551616
    10000000000000000000 0x7fffffffffffffff 0x8000000000000000 0xffffffffffffffff 0x7fffffffffffffffffffffff 0o777777777777777777777
    0o7777777777777777777777 9007199254740992 9007199254740993 9007199254740993.0 4611686018427387904.0 1e19 1e20 1e21 1e22 1e23
    123456789012345678901234567890 3.14 3.141592653589793238 0.1 0.30000000000000004 v1 v1.2.3 5-3 é 日本 😀
";

/// Texts with blanks, and the empty text.
const CHOSEN_WITH_BLANKS: [&str; 7] =
    ["", "2020-01-01 00:00:00", "2001-12-14 21:59:43.10 -5", "1 2", "a b", "a: b", "a #b"];

/// Characters of numbers and of texts that look like numbers.
const NUMERIC: &[u8] = b"0123456789012345678900__..eE+-:xXoObBaf";

/// A plain scalar; not every one is valid in every place.
pub(super) fn plain(rng: &mut Rng) -> String {
    match rng.u8(..10) {
        0..5 => rng.choice(CHOSEN.split_whitespace().collect::<Vec<_>>()).unwrap_or_default().to_owned(),
        5..8 => (0..rng.usize(1..9)).map(|_| char::from(NUMERIC[rng.usize(..NUMERIC.len())])).collect(),
        8 => CHOSEN_WITH_BLANKS[rng.usize(..CHOSEN_WITH_BLANKS.len())].to_owned(),
        _ => number(rng),
    }
}

/// A number of any size and notation, often near a limit.
pub(super) fn number(rng: &mut Rng) -> String {
    const BORDERS: [i128; 10] = [
        0,
        1 << 31,
        1 << 32,
        1 << 53,
        1 << 62,
        1 << 63,
        1 << 64,
        1_000_000,
        1_000_000_000_000_000_000_000,
        10_000_000_000_000_000_000,
    ];
    let near = BORDERS[rng.usize(..BORDERS.len())] + i128::from(rng.i32(-3..=3));
    let signed = if rng.bool() { near } else { -near };
    match rng.u8(..9) {
        0 => format!("{signed}"),
        1 => format!("{signed}.0"),
        2 => format!("{signed}.{}", rng.u32(..100_000)),
        3 => format!("{}{:#x}", if rng.bool() { "-" } else { "" }, near.unsigned_abs()),
        4 => format!("0{:o}", near.unsigned_abs()),
        5 => format!("{:?}", f64::from_bits(rng.u64(..))),
        6 => format!("{}e{}", rng.i32(-99_999..99_999), rng.i32(-330..330)),
        7 => format!("{}.{:0width$}", rng.u32(..1000), rng.u64(..1_000_000_000), width = rng.usize(1..20)),
        _ => format!("{}", rng.i64(..)),
    }
}

/// A JSON number.
pub(super) fn json_number(rng: &mut Rng) -> String {
    loop {
        let text = number(rng);
        if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            return text;
        }
    }
}

/// A scalar in any single-line style.
pub(super) fn in_line(rng: &mut Rng) -> String {
    let text = plain(rng);
    match rng.u8(..10) {
        0 => format!("'{}'", text.replace('\'', "''")),
        1 => serde_json::Value::from(text).to_string(),
        2 => {
            let tags = [
                "!!str",
                "!!int",
                "!!float",
                "!!bool",
                "!!null",
                "!!binary",
                "!",
                "!!timestamp",
                "!custom",
                "!<tag:yaml.org,2002:str>",
                "!!merge",
            ];
            let tag = tags[rng.usize(..tags.len())];
            if rng.bool() { format!("{tag} {text}") } else { format!("{tag} '{}'", text.replace('\'', "''")) }
        }
        _ => text,
    }
}
