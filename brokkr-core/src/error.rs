//! Validation errors.
//!
//! Every operation that takes input (names, labels, selectors, manifests, parameters) reports [`Invalid`]. The HTTP
//! layer maps each [`InvalidCode`] to one problem type. Messages are Brokkr's own, never a library's, and echo at most
//! 64 characters of the input.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $slug:literal,)*) => {
        /// The class of a validation error. Each class has a stable slug, which names its problem type in the REST API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum InvalidCode { $($(#[$doc])* $code,)* }

        impl InvalidCode {
            /// All classes.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The stable slug, as used in problem types, for example `name-invalid`.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$code => $slug,)* }
            }
        }
    };
}

codes! {
    /// A name is not a DNS label (RFC 1123) in lower case.
    NameInvalid = "name-invalid",
    /// A label's key or value is outside the Kubernetes grammar.
    LabelInvalid = "label-invalid",
    /// An annotation's key is outside the Kubernetes grammar, or the annotations together exceed
    /// [`ANNOTATION_BYTES`](crate::model::limits::ANNOTATION_BYTES).
    AnnotationInvalid = "annotation-invalid",
    /// More labels or annotations than [`limits`](crate::model::limits) allow.
    TooManyLabels = "too-many-labels",
    /// A label selector is malformed.
    SelectorInvalid = "selector-invalid",
    /// A grant does not allow an object or a policy.
    NotGranted = "not-granted",
    /// A generator is limited to environments that the agent is not in, or a key to others than it would give.
    OutsideEnvironments = "outside-environments",
    /// A policy's value is out of range.
    PolicyInvalid = "policy-invalid",
    /// A field's value has the right type but is not allowed.
    FieldInvalid = "field-invalid",
    /// A reference names an entity that does not exist, or the references form a cycle.
    ReferenceInvalid = "reference-invalid",
    /// A text is longer than allowed.
    TextTooLong = "text-too-long",
    /// A text contains the character NUL.
    TextContainsNul = "text-contains-nul",
    /// The body is not UTF-8.
    BodyNotUtf8 = "body-not-utf8",
    /// The body is not JSON.
    JsonSyntax = "json-syntax",
    /// A JSON object names a key twice.
    JsonDuplicateKey = "json-duplicate-key",
    /// A JSON document nests too deeply.
    JsonTooDeep = "json-too-deep",
    /// The body has a field that this operation does not define.
    UnknownField = "unknown-field",
    /// The YAML does not parse.
    YamlSyntax = "yaml-syntax",
    /// A YAML mapping names a key twice.
    YamlDuplicateKey = "yaml-duplicate-key",
    /// The YAML documents expand beyond the limits for nodes or bytes.
    YamlBudgetExceeded = "yaml-budget-exceeded",
    /// A YAML document nests too deeply.
    YamlTooDeep = "yaml-too-deep",
    /// A YAML alias contains itself.
    YamlRecursiveAlias = "yaml-recursive-alias",
    /// The YAML uses a feature that manifests may not use: a custom tag, a key that is not a string, or content that
    /// Kubernetes' tools silently drop.
    YamlFeatureNotAllowed = "yaml-feature-not-allowed",
    /// Kubernetes cannot store a number without changing it.
    NumberOutOfRange = "number-out-of-range",
    /// The manifests contain no object.
    ManifestEmpty = "manifest-empty",
    /// An object lacks a field that every Kubernetes object needs, or has a field that manifests may not set.
    ManifestInvalid = "manifest-invalid",
    /// Two different manifests in one set describe the same object.
    ManifestDuplicateObject = "manifest-duplicate-object",
    /// One object exceeds [`OBJECT_BYTES`](crate::model::limits::OBJECT_BYTES).
    ObjectTooLarge = "object-too-large",
    /// The set has too many objects or bytes.
    SetTooLarge = "set-too-large",
    /// Parameters do not fit the generator's schema.
    ParamsInvalid = "params-invalid",
    /// No generator of this name is registered.
    GeneratorUnknown = "generator-unknown",
    /// A query parameter is unknown, repeated or malformed.
    QueryInvalid = "query-invalid",
    /// A cursor was not issued by this broker to this caller for this list.
    CursorInvalid = "cursor-invalid",
}

/// A validation error: what is wrong, where, and how to fix it.
///
/// ```
/// use brokkr_core::error::{Invalid, InvalidCode};
///
/// let error = Invalid::new(InvalidCode::LabelInvalid, "the value is too long").within("env").within("labels");
/// assert_eq!(error.pointer, "/labels/env");
/// assert_eq!(error.to_string(), "label-invalid: the value is too long (at /labels/env)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}{}", code.slug(), Place(pointer))]
pub struct Invalid {
    /// The class of the error.
    pub code: InvalidCode,
    /// JSON pointer (RFC 6901) to the invalid value. Empty when the whole input is invalid.
    pub pointer: String,
    /// One sentence for people: what is wrong and how to fix it.
    pub message: String,
}

struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (at {})", self.0) }
    }
}

impl Invalid {
    /// An error about the whole input. Narrow it with [`within`](Self::within).
    pub fn new(code: InvalidCode, message: impl Into<String>) -> Self {
        Self { code, pointer: String::new(), message: message.into() }
    }

    /// Prepends `segment` to the pointer. Call it while the error passes outwards through nested fields.
    #[must_use]
    pub fn within(mut self, segment: &str) -> Self {
        self.pointer = format!("/{}{}", escape_pointer(segment), self.pointer);
        self
    }
}

/// Escapes one segment of a JSON pointer (RFC 6901) and truncates it to 64 characters.
pub fn escape_pointer(segment: &str) -> String {
    excerpt(segment).replace('~', "~0").replace('/', "~1")
}

/// Truncates an input to 64 characters and escapes control and invisible characters, for use in error messages.
pub fn excerpt(input: &str) -> String {
    let mut out = String::new();
    for (n, c) in input.chars().enumerate() {
        if n == 64 {
            out.push('…');
            break;
        }
        // Escape control characters, and invisible or direction-changing ones, which make a displayed text misleading.
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
