//! What is wrong with an input, by meaning.
//!
//! [`Invalid`] is shared by everything that takes input: names, labels, selectors, manifests,
//! parameters. The HTTP layer maps each [`InvalidCode`] to one problem type; the text is ours and never a
//! library's, and echoes at most 64 characters of the input.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $slug:literal,)*) => {
        /// What class of mistake an input contains. Each has a stable slug, which names its problem type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum InvalidCode { $($(#[$doc])* $code,)* }

        impl InvalidCode {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The stable slug, as used in problem types.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$code => $slug,)* }
            }
        }
    };
}

codes! {
    /// A name is not a DNS label of Brokkr's form.
    NameInvalid = "name-invalid",
    /// A label's key or value is outside the Kubernetes grammar.
    LabelInvalid = "label-invalid",
    /// An annotation's key is outside the Kubernetes grammar, or they are too large together.
    AnnotationInvalid = "annotation-invalid",
    /// More labels or annotations than [`limits`](crate::model::limits) allow.
    TooManyLabels = "too-many-labels",
    /// A label selector is malformed.
    SelectorInvalid = "selector-invalid",
    /// A policy's value is out of range.
    PolicyInvalid = "policy-invalid",
    /// A field's value has the right type and a wrong content.
    FieldInvalid = "field-invalid",
    /// A reference names what is not there, or goes round in a circle.
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
    /// The body has a field that this operation does not know.
    UnknownField = "unknown-field",
    /// YAML that does not parse.
    YamlSyntax = "yaml-syntax",
    /// A YAML mapping names a key twice.
    YamlDuplicateKey = "yaml-duplicate-key",
    /// A YAML document would expand beyond the budget.
    YamlBudgetExceeded = "yaml-budget-exceeded",
    /// A YAML document nests too deeply.
    YamlTooDeep = "yaml-too-deep",
    /// A YAML alias that contains itself.
    YamlRecursiveAlias = "yaml-recursive-alias",
    /// A YAML feature that manifests may not use, such as custom tags.
    YamlFeatureNotAllowed = "yaml-feature-not-allowed",
    /// A plain scalar that YAML versions read differently.
    YamlAmbiguousScalar = "yaml-ambiguous-scalar",
    /// A number that JSON consumers cannot represent exactly.
    NumberOutOfRange = "number-out-of-range",
    /// No object in the manifests at all.
    ManifestEmpty = "manifest-empty",
    /// An object without what every Kubernetes object needs, or with what none may carry.
    ManifestInvalid = "manifest-invalid",
    /// The same object twice in one set.
    ManifestDuplicateObject = "manifest-duplicate-object",
    /// One object is too large.
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
