//! OpenAPI schemas of values that requests and responses share.
//!
//! Each schema is a component of the document, so that a pattern or limit appears once. Types that only describe a
//! value, such as [`Message`], are used as `#[schema(value_type = Message)]` on fields of other types.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::model::{
    Annotations, KeyKind, KeyScope, KindPattern, Labels, Name, NamespacePattern, Requirement, SourceNetwork, limits,
};

/// A DNS label (RFC 1123) in lower case.
const DNS_LABEL: &str = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
/// The name part of a label key, or a non-empty label value.
const QUALIFIED_PART: &str = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
/// Any text without NUL.
const TEXT: &str = r"^[^\u0000]*$";
/// Maximum characters of a label key: a DNS subdomain, a slash and a name.
const LABEL_KEY_LENGTH: usize = 253 + 1 + 63;

fn label_key() -> String {
    format!("({DNS_LABEL}(\\.{DNS_LABEL})*/)?{QUALIFIED_PART}")
}

/// A string schema with a pattern and a range of lengths in characters.
pub(crate) fn text(description: &str, pattern: &str, lengths: (usize, usize), example: impl Into<Value>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .min_length((lengths.0 > 0).then_some(lengths.0))
        .max_length((lengths.1 < usize::MAX).then_some(lengths.1))
        .examples([example.into()])
        .build()
}

fn map(description: &str, values: Object, example: Value) -> Object {
    let keys =
        text("A key in the grammar of Kubernetes.", &format!("^{}$", label_key()), (1, LABEL_KEY_LENGTH), "team");
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .property_names(Some(Schema::Object(keys)))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(values)))))
        .max_properties(Some(limits::LABELS))
        .examples([example])
        .build()
}

/// Implements utoipa's schema traits for a type.
macro_rules! component {
    ($type:ty, $name:expr, $schema:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema))
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    };
}

/// Declares uninhabited types that only describe a value.
macro_rules! described {
    ($($(#[$doc:meta])* $type:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $type {}

        component!($type, stringify!($type), $schema);
    )*};
}

component!(
    Name,
    "Name",
    text(
        "A DNS label (RFC 1123) in lower case: 1 to 63 letters, digits and hyphens, with a letter or digit at both ends.",
        &format!("^{DNS_LABEL}$"),
        (1, 63),
        "web"
    )
);

/// A pattern for the scopes that fit a kind of key.
fn scopes_of(kinds: &[KeyKind]) -> String {
    let fitting = KeyScope::fixed().filter(|scope| kinds.iter().any(|kind| scope.fits(*kind)));
    let words: Vec<String> = fitting.map(|scope| scope.to_string().replace('*', "\\*")).collect();
    format!("^({}|gate:{DNS_LABEL})$", words.join("|"))
}

component!(
    KeyScope,
    "KeyScope",
    text("What the holder of a key may do.", &scopes_of(&[KeyKind::Admin, KeyKind::Agent]), (1, 68), "stacks:read")
);

component!(SourceNetwork, "SourceNetwork", {
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let four = format!("{octet}(\\.{octet}){{3}}(/(3[0-2]|[12]?[0-9]))?");
    let group = "[0-9a-f]{1,4}";
    let six: Vec<String> = (0..7)
        .map(|before| {
            let head = if before == 0 { String::new() } else { format!("{group}(:{group}){{{}}}", before - 1) };
            let tail =
                if before == 6 { format!("({group})?") } else { format!("({group}(:{group}){{0,{}}})?", 5 - before) };
            format!("{head}::{tail}")
        })
        .chain([format!("{group}(:{group}){{7}}")])
        .collect();
    text(
        "A network in CIDR notation, or a single address. Address bits after the prefix are dropped.",
        &format!("^({four}|({})(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$", six.join("|")),
        (2, 43),
        "10.20.0.0/16",
    )
});

component!(
    Labels,
    "Labels",
    map(
        "Labels in the grammar of Kubernetes. A bare label has an empty value.",
        label_value(),
        json!({"env": "prod", "example.com/tier": "web"})
    )
);

component!(
    Annotations,
    "Annotations",
    map(
        "Annotations: keys in the grammar of Kubernetes, values any text without NUL. At most 262,144 bytes together.",
        text("Any text without NUL.", TEXT, (0, usize::MAX), "Team Web"),
        json!({"example.com/contact": "Team Web"})
    )
);

component!(
    KindPattern,
    "KindPattern",
    text(
        "A pattern of kinds: `Deployment.apps`, `ConfigMap` of the core group, `*.apps` for a whole group, or `*` for all.",
        &format!(r"^(\*|[A-Za-z0-9]{{1,63}}|(\*|[A-Za-z0-9]{{1,63}})\.{DNS_LABEL}(\.{DNS_LABEL})*)$"),
        (1, crate::model::grant::KIND_PATTERN_LENGTH),
        "*.apps"
    )
);

component!(
    NamespacePattern,
    "NamespacePattern",
    text(
        "A pattern of namespaces: a name, a prefix with `*` at its end, or `*` for all. `{generator}` at the beginning stands for the \
         generator's name.",
        &format!(
            r"^(\*|{DNS_LABEL}|[a-z0-9][-a-z0-9]{{0,61}}\*|\{{generator\}}(([-a-z0-9]{{0,61}}[a-z0-9])?|[-a-z0-9]{{0,61}}\*))$"
        ),
        (1, 11 + 62),
        "{generator}-*"
    )
);

fn label_value() -> Object {
    text(
        "A label's value in the grammar of Kubernetes: empty, or at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit \
         at both ends.",
        &format!("^({QUALIFIED_PART})?$"),
        (0, 63),
        "prod",
    )
}

described! {
    /// The key of a label.
    LabelKey = text(
        "A label's key in the grammar of Kubernetes: an optional DNS subdomain with a slash, and a name of at most 63 characters.",
        &format!("^{}$", label_key()),
        (1, LABEL_KEY_LENGTH),
        "env",
    );
    /// The value of a label.
    LabelValue = label_value();
    /// A label selector in its text form, for query parameters.
    LabelSelectorText = {
        let (key, value) = (label_key(), format!("({QUALIFIED_PART})?"));
        let term = format!("(!?{key}|{key}(==?|!=){value}|{key} (in|notin) \\({value}(,{value}){{0,63}}\\))");
        text(
            "A label selector in kubectl's form: terms joined by commas, all of which must hold. Empty selects everything.",
            &format!("^({term}(,{term}){{0,63}})?$"),
            (0, usize::MAX),
            "env=prod,tier in (web,api),!legacy",
        )
    };
    /// A scope that an admin key can have.
    AdminKeyScope = text(
        "What the holder of an admin key may do.",
        &scopes_of(&[KeyKind::Admin]),
        (1, 68),
        "stacks:read",
    );
    /// A scope that a generator's key can have.
    GeneratorKeyScope = text(
        "What the holder of a generator's key may do, within the generator's own rows.",
        &scopes_of(&[KeyKind::Generator]),
        (1, 68),
        "stacks:write",
    );
    /// The name of a namespace.
    NamespaceName = text(
        "The name of a namespace: a DNS label (RFC 1123).",
        &format!("^{DNS_LABEL}$"),
        (1, 63),
        "default",
    );
    /// A description.
    Description = text(
        "A text for people of at most 4,096 characters, without NUL.",
        TEXT,
        (0, limits::DESCRIPTION_CHARACTERS),
        "The shop's front end",
    );
    /// The message of a revision, an event or a condition.
    Message = text(
        "A sentence for people of at most 4,096 characters, without NUL.",
        TEXT,
        (0, limits::MESSAGE_CHARACTERS),
        "Release 1.4.0",
    );
    /// A short text.
    ShortText = text(
        "A text of at most 253 characters, without NUL.",
        TEXT,
        (0, limits::SHORT_TEXT_CHARACTERS),
        "eu-west-1",
    );
    /// The UID that identifies a cluster.
    ClusterUid = text(
        "The UID of the Namespace `kube-system`, which identifies the cluster: 1 to 253 characters, without NUL.",
        TEXT,
        (1, limits::SHORT_TEXT_CHARACTERS),
        "6a2f4f0e-5f0d-4a6c-9d67-0b8f4a3d9c11",
    );
    /// The public part and the hash of a key.
    KeyHashText = text(
        "The short id of a key and SHA-256 of its whole text: `<short id>:sha256:<64 hexadecimal digits>`.",
        "^[0-9A-Za-z]{12}:sha256:[0-9a-f]{64}$",
        (84, 84),
        "0aZ456789abc:sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    /// Any text without NUL.
    Text = text("A text without NUL.", TEXT, (0, usize::MAX), "text");
    /// A JSON pointer to a field that a stack ignores.
    FieldPointer = text(
        "A JSON pointer (RFC 6901) to a field of an object. Fields that identify the object, and Brokkr's own labels, cannot be \
         named.",
        r"^(?!/(apiVersion|kind)(/|$))(?!/metadata(/(name|namespace|labels|uid))?$)(?!/metadata/labels/(brokkr\.io|applyset\.kubernetes\.io))(/([^/~\u0000]|~[01])*)+$",
        (1, limits::POINTER_CHARACTERS),
        "/spec/replicas",
    );
}

/// One of two shapes: a requirement on the value, or on the key alone.
impl PartialSchema for Requirement {
    fn schema() -> RefOr<Schema> {
        let shape = OneOfBuilder::new()
            .description(Some("One requirement of a label selector."))
            .item(Ref::from_schema_name(ValueRequirement::name()))
            .item(Ref::from_schema_name(KeyRequirement::name()));
        RefOr::T(Schema::OneOf(shape.build()))
    }
}

impl ToSchema for Requirement {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Requirement")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([
            (ValueRequirement::name().into_owned(), ValueRequirement::schema()),
            (KeyRequirement::name().into_owned(), KeyRequirement::schema()),
            (LabelKey::name().into_owned(), LabelKey::schema()),
            (LabelValue::name().into_owned(), LabelValue::schema()),
        ]);
    }
}

fn requirement(description: &str, operators: [&str; 2], values: (usize, usize)) -> ObjectBuilder {
    let operator = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The comparison."))
        .enum_values(Some(operators));
    let values = ArrayBuilder::new()
        .description(Some("The values to compare with."))
        .items(Ref::from_schema_name(LabelValue::name()))
        .min_items((values.0 > 0).then_some(values.0))
        .max_items(Some(values.1));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .property("key", Ref::from_schema_name(LabelKey::name()))
        .required("key")
        .property("operator", operator)
        .required("operator")
        .property("values", values)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

described! {
    /// A requirement on a label's value.
    ValueRequirement = requirement(
        "`In`: the key is present with one of the values. `NotIn`: the key is absent, or has none of the values.",
        ["In", "NotIn"],
        (1, limits::SELECTOR_TERMS),
    )
    .required("values")
    .build();
    /// A requirement on a label's key alone.
    KeyRequirement = requirement(
        "`Exists`: the key is present. `DoesNotExist`: the key is absent.",
        ["Exists", "DoesNotExist"],
        (0, 0),
    )
    .build();
}

/// A map in a merge patch: null removes a key.
fn patched(description: &str, mut values: Object, example: Value) -> Object {
    values.schema_type = [Type::String, Type::Null].into_iter().collect();
    map(description, values, example)
}

described! {
    /// Changes of labels.
    PatchLabels = patched(
        "Labels to set, in the grammar of Kubernetes. Null removes a label; absent keys stay unchanged.",
        label_value(),
        json!({"env": "prod", "legacy": null}),
    );
    /// Changes of annotations.
    PatchAnnotations = patched(
        "Annotations to set, as in `Annotations`. Null removes an annotation; absent keys stay unchanged.",
        text("Any text without NUL.", TEXT, (0, usize::MAX), "Team Web"),
        json!({"example.com/contact": null}),
    );
}
