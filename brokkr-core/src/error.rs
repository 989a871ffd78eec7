//! What is wrong with an input, by meaning.
//!
//! [`Invalid`] is shared by everything that takes input: names, labels, selectors, manifests,
//! parameters. The HTTP layer maps each [`InvalidCode`] to one problem type; the text is ours and never a
//! library's, and echoes at most 64 characters of the input.

use std::fmt;

/// What class of mistake an input contains. The name in kebab-case is the problem's stable slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidCode {
    /// A name is not a DNS label of Brokkr's form.
    NameInvalid,
    /// A label's key or value is outside the Kubernetes grammar.
    LabelInvalid,
    /// An annotation's key is outside the Kubernetes grammar, or they are too large together.
    AnnotationInvalid,
    /// More labels or annotations than [`limits`](crate::model::limits) allow.
    TooManyLabels,
    /// A label selector is malformed.
    SelectorInvalid,
    /// A policy's value is out of range.
    PolicyInvalid,
    /// A field's value has the right type and a wrong content.
    FieldInvalid,
    /// A text is longer than allowed.
    TextTooLong,
    /// A text contains the character NUL.
    TextContainsNul,
    /// The body is not UTF-8.
    BodyNotUtf8,
    /// The body is not JSON.
    JsonSyntax,
    /// A JSON object names a key twice.
    JsonDuplicateKey,
    /// A JSON document nests too deeply.
    JsonTooDeep,
    /// The body has a field that this operation does not know.
    UnknownField,
    /// YAML that does not parse.
    YamlSyntax,
    /// A YAML mapping names a key twice.
    YamlDuplicateKey,
    /// A YAML document would expand beyond the budget.
    YamlBudgetExceeded,
    /// A YAML document nests too deeply.
    YamlTooDeep,
    /// A YAML alias that contains itself.
    YamlRecursiveAlias,
    /// A YAML feature that manifests may not use: custom tags, keys that are no texts, what Kubernetes' tools leave out.
    YamlFeatureNotAllowed,
    /// A number that Kubernetes cannot store without changing it.
    NumberOutOfRange,
    /// No object in the manifests at all.
    ManifestEmpty,
    /// An object without what every Kubernetes object needs, or with what none may carry.
    ManifestInvalid,
    /// Two different objects of one name in one set.
    ManifestDuplicateObject,
    /// One object is too large.
    ObjectTooLarge,
    /// The set has too many objects or bytes.
    SetTooLarge,
    /// Parameters do not fit the generator's schema.
    ParamsInvalid,
    /// No generator of this name is registered.
    GeneratorUnknown,
    /// A query parameter is unknown, repeated or malformed.
    QueryInvalid,
    /// A cursor was not issued by this broker to this caller for this list.
    CursorInvalid,
}

impl InvalidCode {
    /// The stable slug, as used in problem types.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NameInvalid => "name-invalid",
            Self::LabelInvalid => "label-invalid",
            Self::AnnotationInvalid => "annotation-invalid",
            Self::TooManyLabels => "too-many-labels",
            Self::SelectorInvalid => "selector-invalid",
            Self::PolicyInvalid => "policy-invalid",
            Self::FieldInvalid => "field-invalid",
            Self::TextTooLong => "text-too-long",
            Self::TextContainsNul => "text-contains-nul",
            Self::BodyNotUtf8 => "body-not-utf8",
            Self::JsonSyntax => "json-syntax",
            Self::JsonDuplicateKey => "json-duplicate-key",
            Self::JsonTooDeep => "json-too-deep",
            Self::UnknownField => "unknown-field",
            Self::YamlSyntax => "yaml-syntax",
            Self::YamlDuplicateKey => "yaml-duplicate-key",
            Self::YamlBudgetExceeded => "yaml-budget-exceeded",
            Self::YamlTooDeep => "yaml-too-deep",
            Self::YamlRecursiveAlias => "yaml-recursive-alias",
            Self::YamlFeatureNotAllowed => "yaml-feature-not-allowed",
            Self::NumberOutOfRange => "number-out-of-range",
            Self::ManifestEmpty => "manifest-empty",
            Self::ManifestInvalid => "manifest-invalid",
            Self::ManifestDuplicateObject => "manifest-duplicate-object",
            Self::ObjectTooLarge => "object-too-large",
            Self::SetTooLarge => "set-too-large",
            Self::ParamsInvalid => "params-invalid",
            Self::GeneratorUnknown => "generator-unknown",
            Self::QueryInvalid => "query-invalid",
            Self::CursorInvalid => "cursor-invalid",
        }
    }

    /// Whether the input could not be read at all (HTTP 400), as against read and refused (422).
    pub fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::BodyNotUtf8
                | Self::JsonSyntax
                | Self::JsonDuplicateKey
                | Self::JsonTooDeep
                | Self::QueryInvalid
                | Self::CursorInvalid
        )
    }
}

/// An input that is refused: what is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}{}", code.slug(), Place(pointer))]
pub struct Invalid {
    /// The class of the mistake.
    pub code: InvalidCode,
    /// JSON pointer (RFC 6901) to the offending value; empty for the whole input.
    pub pointer: String,
    /// One sentence for the person who has to mend it.
    pub message: String,
}

struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (at {})", self.0) }
    }
}

impl Invalid {
    /// A refusal of the whole input.
    pub fn new(code: InvalidCode, message: impl Into<String>) -> Self {
        Self { code, pointer: String::new(), message: message.into() }
    }

    /// The same refusal seen from one level further out: `segment` is put before the pointer.
    #[must_use]
    pub fn within(mut self, segment: &str) -> Self {
        self.pointer = format!("/{}{}", escape_pointer(segment), self.pointer);
        self
    }
}

/// One segment of a JSON pointer, escaped as RFC 6901 asks and cut to 64 characters.
pub fn escape_pointer(segment: &str) -> String {
    excerpt(segment).replace('~', "~0").replace('/', "~1")
}

/// At most 64 characters of an input, with control characters escaped: fit to stand in an error text.
pub fn excerpt(input: &str) -> String {
    let mut out = String::new();
    for (n, c) in input.chars().enumerate() {
        if n == 64 {
            out.push('…');
            break;
        }
        // Control, and the invisible or direction-changing characters that make texts lie.
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
