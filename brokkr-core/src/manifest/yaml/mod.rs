//! YAML as kubectl reads it: YAML 1.1 as implemented by go-yaml 2, converted to JSON as in sigs.k8s.io/yaml.
//!
//! Parsing has three stages: [`stream`] splits the input into documents, [`tree`] parses the nodes and counts what
//! their aliases expand to, and [`build`] creates the value. An input is refused if kubectl refuses it, if kubectl
//! would silently drop or change part of it, or if it exceeds the [`limits`].

mod build;
mod dialect;
mod kind;
mod scalar;
mod stream;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Invalid, InvalidCode};
use crate::manifest::json::parse_counted;
use crate::manifest::warnings::Warnings;
use crate::model::limits;

/// The position of a scalar.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: usize,
    is_key: bool,
}

/// Parses the documents of an input and passes each to `take`. Empty documents are skipped.
pub(super) fn read(
    bytes: &[u8],
    warnings: &mut Warnings,
    mut take: impl FnMut(Value, &mut Warnings) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Invalid::new(InvalidCode::BodyNotUtf8, "the body is not UTF-8"))?;
    let text = without_mark(text);
    if text.contains('\0') {
        return Err(Invalid::new(InvalidCode::TextContainsNul, "the body contains the character NUL; remove it"));
    }
    // Normalise line ends to one character, and end the last line with one.
    let mut text = Cow::from(text);
    if text.contains("\r\n") {
        text = text.replace("\r\n", "\n").into();
    }
    if !text.ends_with('\n') {
        text.to_mut().push('\n');
    }
    let mut total = tree::Total::default();
    for (n, document) in stream::Documents::of(&text).enumerate() {
        if n == 2 * limits::OBJECTS {
            return Err(over_budget());
        }
        let document = document?;
        let value =
            if document.is_json { json(&document, &mut total)? } else { yaml(&document, &mut total, warnings)? };
        if !value.is_null() {
            take(value, warnings)?;
        }
    }
    Ok(())
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn json(document: &stream::Document<'_>, total: &mut tree::Total) -> Result<Value, Invalid> {
    let (value, values) = parse_counted(document.text, document.first_line).map_err(|error| {
        let code = match error.code {
            InvalidCode::JsonDuplicateKey => InvalidCode::YamlDuplicateKey,
            InvalidCode::JsonTooDeep => InvalidCode::YamlTooDeep,
            InvalidCode::JsonSyntax => InvalidCode::YamlSyntax,
            code => code,
        };
        Invalid { code, ..error }
    })?;
    total.add(values, document.text.len())?;
    Ok(value)
}

fn yaml(document: &stream::Document<'_>, total: &mut tree::Total, warnings: &mut Warnings) -> Result<Value, Invalid> {
    let document = stream::Document { text: without_mark(document.text), ..*document };
    check_characters(&document)?;
    let nodes = tree::read(&document, total, warnings)?;
    if tree::is_null(&nodes) {
        return Ok(Value::Null);
    }
    build::Builder { nodes: &nodes, warnings }.value(0)
}

/// Refuses characters that YAML 1.1 does not allow, and those that it treats as line breaks.
fn check_characters(document: &stream::Document<'_>) -> Result<(), Invalid> {
    if document.text.starts_with('\u{feff}') || document.text.contains("\n\u{feff}") {
        let message = "byte-order mark inside a document; remove it";
        return Err(refused(InvalidCode::YamlSyntax, message, document.first_line));
    }
    let refuses = |c: char| !matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    let ends_line = |c: char| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    let Some((at, c)) = document.text.char_indices().find(|(_, c)| refuses(*c) || ends_line(*c)) else {
        return Ok(());
    };
    let line = document.first_line + document.text.get(..at).unwrap_or_default().matches('\n').count();
    let c = u32::from(c);
    Err(if ends_line(char::from_u32(c).unwrap_or_default()) {
        let message =
            format!("YAML 1.1 treats the character U+{c:04X} as a line break; write \"\\u{c:04x}\" in quotes");
        refused(InvalidCode::YamlFeatureNotAllowed, &message, line)
    } else {
        let message = format!("the character U+{c:04X} is not allowed; write \"\\u{c:04x}\" in quotes");
        refused(InvalidCode::YamlSyntax, &message, line)
    })
}

fn refused(code: InvalidCode, message: &str, line: usize) -> Invalid {
    Invalid::new(code, format!("line {line}: {message}"))
}

fn too_deep() -> Invalid {
    Invalid::new(InvalidCode::YamlTooDeep, format!("nests deeper than {} levels", limits::DEPTH))
}

fn over_budget() -> Invalid {
    Invalid::new(
        InvalidCode::YamlBudgetExceeded,
        "the documents are too large after aliases are expanded; use fewer aliases or split the stack",
    )
}
