//! Differences between the scanners of YAML 1.1 and YAML 1.2. This parser scans YAML 1.2; it refuses text that
//! kubectl's scanner reads differently or not at all.

use serde_saphyr::granit_parser::{ScalarStyle, Span};

use crate::error::{Invalid, InvalidCode};
use crate::manifest::yaml::refused;

/// Checks a scalar against its source text.
pub(super) fn check(
    text: &str,
    source: &str,
    style: ScalarStyle,
    span: Span,
    in_flow: bool,
    line: usize,
) -> Result<(), Invalid> {
    let (start, end) =
        (span.start.byte_offset().unwrap_or(source.len()), span.end.byte_offset().unwrap_or(source.len()));
    let problem = match style {
        ScalarStyle::Plain if in_flow => plain_in_flow(text, source.get(end..).unwrap_or_default()),
        ScalarStyle::DoubleQuoted => source.get(start..end).and_then(escapes),
        _ => None,
    };
    problem.map_or(Ok(()), |problem| Err(refused(InvalidCode::YamlSyntax, problem, line)))
}

/// In a flow collection, kubectl treats any question mark and a leading colon as indicators, and a colon after a scalar
/// only if a blank follows.
fn plain_in_flow(text: &str, after: &str) -> Option<&'static str> {
    if text.contains('?') || text.starts_with(':') {
        return Some("between braces or brackets, quote a string that contains a question mark or begins with a colon");
    }
    let is_value = after.strip_prefix(':').is_some_and(|rest| rest.starts_with([',', '[', ']', '{', '}']));
    is_value.then_some("between braces or brackets, write a blank after the colon or quote the string")
}

/// `\/` and surrogates are escapes of JSON that YAML 1.1 does not define.
fn escapes(quoted: &str) -> Option<&'static str> {
    let mut rest = quoted;
    while let Some((_, escape)) = rest.split_once('\\') {
        let is_half = escape
            .strip_prefix('u')
            .and_then(|hex| hex.get(..4))
            .is_some_and(|hex| u32::from_str_radix(hex, 16).is_ok_and(|code| (0xd800..0xe000).contains(&code)));
        if is_half || escape.starts_with('/') {
            return Some(
                "YAML 1.1 does not support the escape \\/, nor \\u for surrogates; write the character itself",
            );
        }
        let mut chars = escape.chars();
        chars.next();
        rest = chars.as_str();
    }
    None
}

/// Checks that kubectl can read the name of an anchor.
pub(super) fn check_anchor(name: &str, line: usize) -> Result<(), Invalid> {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Ok(());
    }
    Err(refused(InvalidCode::YamlSyntax, "the name of an anchor may contain only letters, digits, - and _", line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_scalars_are_checked_strictly() {
        for (text, after, is_read) in [
            ("a", "", true),
            ("a:b", ",", true),
            ("a", ": b", true),
            ("a", ":\n", true),
            ("a", ":b", true),
            ("a?", "", false),
            ("?a", "", false),
            (":a", "", false),
            ("a", ":,", false),
            ("a", ":]", false),
            ("a", ":}", false),
            ("a", ":[b]", false),
            ("a", ":{}", false),
            ("a", ",", true),
        ] {
            assert_eq!(plain_in_flow(text, after).is_none(), is_read, "{text} {after}");
        }
    }

    #[test]
    fn json_escapes_are_detected() {
        for (quoted, is_read) in [
            (r#""a/b""#, true),
            (r#""\\/""#, true),
            (r#""\"\n\u00e9\x41""#, true),
            (r#""\u0ae0\ue000\ud7ff""#, true),
            (r#""\/""#, false),
            (r#""\\\/""#, false),
            (r#""\ud83d\ude00""#, false),
            (r#""\uDFFF""#, false),
            (r#""\\ud83d""#, true),
        ] {
            assert_eq!(escapes(quoted).is_none(), is_read, "{quoted}");
        }
        for (name, is_read) in [("a-B_9", true), ("a.b", false), ("é", false)] {
            assert_eq!(check_anchor(name, 1).is_ok(), is_read, "{name}");
        }
    }
}
