//! Where the scanners of YAML 1.1 and YAML 1.2 differ. The parser here has that of 1.2; what kubectl's takes for something else, or for
//! nothing, is refused.

use serde_saphyr::granit_parser::{ScalarStyle, Span};

use crate::error::{Invalid, InvalidCode};
use crate::manifest::yaml::refused;

/// Checks a scalar beside the text that it was read from.
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

/// In a flow, kubectl takes any question mark, and a colon at the begin, for an indicator; and a colon after a text only before a blank.
fn plain_in_flow(text: &str, after: &str) -> Option<&'static str> {
    if text.contains('?') || text.starts_with(':') {
        return Some("quote a text with a question mark, or one that begins with a colon, between braces or brackets");
    }
    let is_value = after.strip_prefix(':').is_some_and(|rest| rest.starts_with([',', '[', ']', '{', '}']));
    is_value.then_some("write a blank after the colon, or quote the text, between braces or brackets")
}

/// `\/` and halves of characters are escapes of JSON, which YAML 1.1 does not know.
fn escapes(quoted: &str) -> Option<&'static str> {
    let mut rest = quoted;
    while let Some((_, escape)) = rest.split_once('\\') {
        let is_half = escape
            .strip_prefix('u')
            .and_then(|hex| hex.get(..4))
            .is_some_and(|hex| u32::from_str_radix(hex, 16).is_ok_and(|code| (0xd800..0xe000).contains(&code)));
        if is_half || escape.starts_with('/') {
            return Some(
                "YAML 1.1 does not know the escape \\/, nor \\u for half a character; write the character itself",
            );
        }
        let mut chars = escape.chars();
        chars.next();
        rest = chars.as_str();
    }
    None
}

/// The names of anchors that kubectl can read.
pub(super) fn check_anchor(name: &str, line: usize) -> Result<(), Invalid> {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Ok(());
    }
    Err(refused(InvalidCode::YamlSyntax, "the name of an anchor has letters, digits, - and _ only", line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_stricter() {
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
    fn escapes_of_json_are_found() {
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
