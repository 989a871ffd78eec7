//! The types of problems: every reason for which the API refuses a request.

use std::borrow::Cow;
use std::fmt;

use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// What problem types begin with.
pub(crate) const PREFIX: &str = "/problems/";

macro_rules! problem_types {
    ($($type:ident = $slug:literal, $status:literal, $title:literal, $remedy:literal;)*) => {
        /// Why a request was not carried out: the stable part of a [`ProblemDocument`](super::ProblemDocument).
        ///
        /// It is written as `/problems/<slug>`. Clients decide by it, and by nothing else of a problem. Versions to come may add
        /// types, so a client treats one that it does not know by its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ProblemType {
            $(
                #[doc = concat!($title, " (", $status, "). ", $remedy)]
                $type,
            )*
        }

        impl ProblemType {
            /// Every type, ordered by status and name.
            pub const ALL: &[Self] = &[$(Self::$type,)*];

            /// The stable name.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$type => $slug,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$type => $status,)* }
            }

            /// The kind of problem in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$type => $title,)* }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$type => $remedy,)* }
            }
        }
    };
}

problem_types! {
    BodyIncomplete = "body-incomplete", 400, "Incomplete body", "Send the whole body, within 30 seconds.";
    BodyNotUtf8 = "body-not-utf8", 400, "Body is not UTF-8", "Encode the body as UTF-8.";
    CredentialInUrl = "credential-in-url", 400, "Key in the URL", "Send the key in the Authorization header. Rotate this one: URLs are logged.";
    CursorInvalid = "cursor-invalid", 400, "Invalid cursor", "Use the `next` of a page of this list, or begin without a cursor.";
    HeaderInvalid = "header-invalid", 400, "Invalid header", "Send the header in the form that the detail names.";
    JsonDuplicateKey = "json-duplicate-key", 400, "Duplicate key in JSON", "Name each key of an object once.";
    JsonSyntax = "json-syntax", 400, "Invalid JSON", "Send one JSON document.";
    JsonTooDeep = "json-too-deep", 400, "JSON nests too deeply", "Nest at most 64 levels.";
    QueryInvalid = "query-invalid", 400, "Invalid query parameter", "Send each parameter of the operation at most once, in the form that it takes.";
    Unauthenticated = "unauthenticated", 401, "No valid key", "Send a valid key as `Authorization: Bearer <key>`.";
    AgentRetired = "agent-retired", 403, "Agent is retired", "Set the agent's status to active, or stop its process.";
    Forbidden = "forbidden", 403, "Not allowed for this key", "Use a key of a kind that may do this.";
    NotFound = "not-found", 404, "Not found", "Check the path and the ids, and that this key may see the object.";
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed", "Use a method that the Allow header names.";
    NotAcceptable = "not-acceptable", 406, "No acceptable media type", "Accept application/json or application/yaml.";
    AlreadyExists = "already-exists", 409, "Already exists", "Choose another name, or change what has this one.";
    Contention = "contention", 409, "Too many concurrent changes", "Try again after the time that Retry-After names.";
    InUse = "in-use", 409, "Still in use", "Remove first what the detail names.";
    InstanceSuperseded = "instance-superseded", 409, "Superseded by a newer process", "Stop this process: a newer one runs with the agent's key.";
    LimitReached = "limit-reached", 409, "Limit reached", "Delete what is no longer needed first.";
    ReferenceInvalid = "reference-invalid", 409, "Reference does not hold", "Refer to what exists, and not in a circle.";
    StackDeleting = "stack-deleting", 409, "Stack is being deleted", "Wait until every cluster has confirmed; GET …/status shows who has not.";
    WrongCluster = "wrong-cluster", 409, "Agent belongs to another cluster", "Create an agent of its own for this cluster.";
    PositionExpired = "position-expired", 410, "Position expired", "Read the present state from the lists, then follow the feed from its end.";
    PreconditionFailed = "precondition-failed", 412, "Version does not match", "Read the object again, and repeat the change with its new ETag.";
    BodyTooLarge = "body-too-large", 413, "Body too large", "Send less: the detail names the limit.";
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported media type", "Send a Content-Type that the detail names.";
    AnnotationInvalid = "annotation-invalid", 422, "Invalid annotation", "Use keys in the grammar of Kubernetes, and at most 262,144 bytes together.";
    FieldInvalid = "field-invalid", 422, "Invalid field", "Send what the detail says is expected at the pointer.";
    GeneratorRefused = "generator-refused", 422, "Generator refused the parameters", "Change the parameters as the detail says.";
    GeneratorUnknown = "generator-unknown", 422, "Unknown generator", "Name a generator that is registered with this broker.";
    IdempotencyKeyReused = "idempotency-key-reused", 422, "Idempotency key reused", "Use a new key for a new request; repeat a request unchanged.";
    LabelInvalid = "label-invalid", 422, "Invalid label", "Use keys and values in the grammar of Kubernetes.";
    ManifestDuplicateObject = "manifest-duplicate-object", 422, "Duplicate object in manifests", "Name each object once.";
    ManifestEmpty = "manifest-empty", 422, "No object in manifests", "Publish at least one object; delete the stack to remove all.";
    ManifestInvalid = "manifest-invalid", 422, "Invalid manifest", "Send Kubernetes objects with apiVersion, kind and metadata.name.";
    NameInvalid = "name-invalid", 422, "Invalid name", "Use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends.";
    NumberOutOfRange = "number-out-of-range", 422, "Number out of range", "Send a number in range; quote numbers of which every digit counts.";
    ObjectTooLarge = "object-too-large", 422, "Object too large", "Keep each object within 1 MiB of compact JSON.";
    ParamsInvalid = "params-invalid", 422, "Parameters do not fit the generator", "Send parameters that the generator's schema allows.";
    PolicyInvalid = "policy-invalid", 422, "Invalid policy", "Send a value that the policy takes.";
    SelectorInvalid = "selector-invalid", 422, "Invalid selector", "Write selectors as kubectl does; give values for In and NotIn only.";
    SetTooLarge = "set-too-large", 422, "Too many manifests", "Publish at most 5,000 objects and 8 MiB in one stack.";
    TextContainsNul = "text-contains-nul", 422, "Text contains NUL", "Leave out the character U+0000.";
    TextTooLong = "text-too-long", 422, "Text too long", "Shorten the text to the limit that the detail names.";
    TooManyLabels = "too-many-labels", 422, "Too many labels", "Keep at most 64 labels, and at most 64 annotations.";
    UnknownField = "unknown-field", 422, "Unknown field", "Leave out the field, or correct its name.";
    YamlBudgetExceeded = "yaml-budget-exceeded", 422, "YAML expands too far", "Publish less, or use fewer aliases.";
    YamlDuplicateKey = "yaml-duplicate-key", 422, "Duplicate key in YAML", "Name each key of a mapping once.";
    YamlFeatureNotAllowed = "yaml-feature-not-allowed", 422, "YAML feature not allowed", "Leave out custom tags.";
    YamlRecursiveAlias = "yaml-recursive-alias", 422, "Recursive YAML alias", "Leave out aliases that contain themselves.";
    YamlSyntax = "yaml-syntax", 422, "Invalid YAML", "Correct the YAML at the line that the detail names.";
    YamlTooDeep = "yaml-too-deep", 422, "YAML nests too deeply", "Nest at most 64 levels.";
    PreconditionRequired = "precondition-required", 428, "If-Match required", "Send If-Match with the ETag that was read, or * for any version.";
    Internal = "internal", 500, "Internal error", "Report the request id; the broker's log has the cause.";
    GeneratorUnavailable = "generator-unavailable", 503, "Generator unavailable", "Try again after the time that Retry-After names.";
    StoreUnavailable = "store-unavailable", 503, "Store unavailable", "Try again after the time that Retry-After names.";
    ViewStale = "view-stale", 503, "Replica is behind", "Try again after the time that Retry-After names, or ask another replica.";
}

impl ProblemType {
    /// The type of this slug; `None` for one that this version does not know.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.slug() == slug)
    }

    /// As it is written in a problem: `/problems/<slug>`.
    pub fn uri(self) -> String {
        format!("{PREFIX}{}", self.slug())
    }
}

/// An enum of all types. Generators of clients read the names of its values from `x-enum-varnames`. A second extension would
/// make the document differ from process to process: utoipa keeps extensions in a hash map.
impl PartialSchema for ProblemType {
    fn schema() -> RefOr<Schema> {
        let mut description =
            "The type of a problem, with the status and the title that go with it, and what to do:\n".to_owned();
        for it in Self::ALL {
            let (slug, status, title, remedy) = (it.slug(), it.status(), it.title(), it.remedy());
            description.push_str(&format!("\n- `{PREFIX}{slug}` ({status}, {title}): {remedy}"));
        }
        let names: Vec<String> = Self::ALL.iter().map(|it| it.slug().replace('-', "_").to_uppercase()).collect();
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(description))
            .enum_values(Some(Self::ALL.iter().map(|it| it.uri())))
            .extensions(Some(Extensions::from_iter([("x-enum-varnames", names)])));
        RefOr::T(Schema::Object(schema.build()))
    }
}

impl ToSchema for ProblemType {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ProblemType")
    }
}

impl fmt::Display for ProblemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use brokkr_control::BrokerErrorKind;
    use brokkr_core::error::InvalidCode;

    use super::*;

    /// What the HTTP layer answers by itself.
    const OF_HTTP: [ProblemType; 9] = [
        ProblemType::BodyIncomplete,
        ProblemType::BodyTooLarge,
        ProblemType::CredentialInUrl,
        ProblemType::HeaderInvalid,
        ProblemType::MethodNotAllowed,
        ProblemType::NotAcceptable,
        ProblemType::PreconditionRequired,
        ProblemType::UnsupportedMediaType,
        ProblemType::NotFound,
    ];

    #[test]
    fn the_types_are_all_that_can_be_answered() {
        let invalid = InvalidCode::ALL.iter().map(|code| code.slug());
        let broker = BrokerErrorKind::ALL.iter().map(|kind| kind.slug());
        let answered: BTreeSet<&str> = invalid.chain(broker).chain(OF_HTTP.map(ProblemType::slug)).collect();
        let documented: BTreeSet<&str> = ProblemType::ALL.iter().map(|it| it.slug()).collect();
        assert_eq!(answered, documented);
        assert_eq!(documented.len(), ProblemType::ALL.len());
    }

    #[test]
    fn each_type_has_a_title_and_a_remedy_of_its_own() {
        let titles: BTreeSet<&str> = ProblemType::ALL.iter().map(|it| it.title()).collect();
        assert_eq!(titles.len(), ProblemType::ALL.len(), "titles tell the types apart");
        assert!(ProblemType::ALL.iter().all(|it| it.remedy().ends_with('.') && (400..=503).contains(&it.status())));
        let ordered = |it: &[ProblemType; 2]| (it[0].status(), it[0].slug()) < (it[1].status(), it[1].slug());
        let pairs: Vec<[ProblemType; 2]> = ProblemType::ALL.array_windows().copied().collect();
        assert!(pairs.iter().all(ordered), "{pairs:?}");
    }
}
