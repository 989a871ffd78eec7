//! Resolution of scalars to nodes, with warnings about readings that may surprise.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::manifest::number::Kept;
use crate::manifest::warnings::Warnings;
use crate::manifest::yaml::scalar::{Scalar, Type, is_number_beyond_range, notation, resolve, resolve_as};
use crate::manifest::yaml::{Place, refused};

const YAML_ORG: &str = "tag:yaml.org,2002:";
/// As in Go: bits beyond the last byte are ignored.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The kind of a node.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    Scalar(Scalar, Cow<'a, str>),
    /// The key `<<`.
    Merge,
    Sequence,
    Mapping,
    /// The index of another node.
    Alias(usize),
}

/// The name of a core tag of YAML. `!` requests a string.
fn name_of(tag: &Tag) -> Option<Cow<'_, str>> {
    match tag.parts() {
        ("", "!") => Some("str".into()),
        _ => tag.suffix_in_namespace(YAML_ORG),
    }
}

fn tag_refused(tag: &Tag, line: usize) -> Invalid {
    let message = format!(
        "the tag {} is not allowed: Kubernetes' tools drop it; write the plain value",
        excerpt(&tag.original())
    );
    refused(InvalidCode::YamlFeatureNotAllowed, &message, line)
}

/// Refuses tags of a sequence or a mapping other than its own type.
pub(super) fn check_collection_tag(tag: Option<&Tag>, own: &str, line: usize) -> Result<(), Invalid> {
    match tag {
        Some(tag) if name_of(tag).is_none_or(|name| name != own && tag.parts() != ("", "!")) => {
            Err(tag_refused(tag, line))
        }
        _ => Ok(()),
    }
}

/// Resolves a scalar, with a warning if its value differs from its looks.
pub(super) fn scalar<'a>(
    text: Cow<'a, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
    warnings: &mut Warnings,
) -> Result<Kind<'a>, Invalid> {
    let Place { line, is_key } = place;
    if text.contains('\0') {
        return Err(refused(InvalidCode::TextContainsNul, "a string contains the character NUL; remove it", line));
    }
    let Some(tag) = tag else {
        if style != ScalarStyle::Plain {
            return Ok(Kind::Scalar(Scalar::Text, text));
        }
        if is_key && text == "<<" {
            warnings.add(|| {
                format!("line {line}: << is read as the merge key of YAML 1.1: the keys of its value are copied")
            });
            return Ok(Kind::Merge);
        }
        let scalar = resolve(&text);
        warn(&scalar, &text, place, warnings);
        return Ok(Kind::Scalar(scalar, text));
    };
    let name = name_of(tag).ok_or_else(|| tag_refused(tag, line))?;
    let wanted = match &*name {
        "str" => return Ok(Kind::Scalar(Scalar::Text, text)),
        "binary" => return Ok(Kind::Scalar(Scalar::Text, decoded(&text, line)?.into())),
        "merge" if is_key && text == "<<" => return Ok(Kind::Merge),
        "null" => Type::Null,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "float" => Type::Float,
        _ => return Err(tag_refused(tag, line)),
    };
    let scalar = resolve_as(wanted, &text).ok_or_else(|| {
        let message = format!("{} does not match its tag !!{name}", excerpt(&text));
        refused(InvalidCode::YamlSyntax, &message, line)
    })?;
    Ok(Kind::Scalar(scalar, text))
}

fn decoded(text: &str, line: usize) -> Result<String, Invalid> {
    let written: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = BASE64
        .decode(written)
        .map_err(|_| refused(InvalidCode::YamlSyntax, "the value of the tag !!binary is not base64", line))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = "the value of the tag !!binary is not UTF-8; use the field binaryData, or data without the tag";
        refused(InvalidCode::YamlFeatureNotAllowed, message, line)
    })?;
    if text.contains('\0') {
        return Err(refused(InvalidCode::TextContainsNul, "a string contains the character NUL; remove it", line));
    }
    Ok(text)
}

/// Warns about a plain scalar that is read as a value that differs from its text.
fn warn(scalar: &Scalar, text: &str, Place { line, is_key }: Place, warnings: &mut Warnings) {
    let written = excerpt(text);
    if is_key {
        let what = match scalar {
            Scalar::Bool(_) => "a boolean",
            Scalar::Int(_) | Scalar::Float(..) => "a number",
            // Null and too large numbers are refused; strings need no warning.
            Scalar::Null | Scalar::Uint(_) | Scalar::Text => return,
        };
        let key = scalar.key(text).unwrap_or_default();
        return warnings.add(|| {
            format!("line {line}: the key {written} is read as {what} and becomes the string \"{key}\"; quote it")
        });
    }
    match (scalar, scalar.number()) {
        (Scalar::Bool(value), _) if text.to_ascii_lowercase() != value.to_string() => {
            warnings.add(|| format!("line {line}: {written} is read as the boolean {value}; write {value} or quote it"))
        }
        (Scalar::Int(_) | Scalar::Uint(_), Some(Kept::Exactly(number))) if number.to_string() != text => {
            let read = match notation(text) {
                Some(notation) => format!("{notation}, the number {number}"),
                None => format!("the number {number}"),
            };
            warnings.add(|| format!("line {line}: {written} is read as {read}; write {number} or quote it"));
        }
        (Scalar::Float(..), Some(Kept::Exactly(number))) if number.to_string() != text => {
            warnings
                .add(|| format!("line {line}: {written} is read as the number {number}; quote it if it is a string"));
        }
        (_, Some(Kept::Rounded(number))) => warnings.add(|| {
            format!(
                "line {line}: {written} is read as the number {number}, which has fewer digits; quote it to keep all"
            )
        }),
        (Scalar::Text, _) if is_number_beyond_range(text) => {
            warnings
                .add(|| format!("line {line}: {written} is too large for a number and is read as a string; quote it"));
        }
        _ => {}
    }
}
