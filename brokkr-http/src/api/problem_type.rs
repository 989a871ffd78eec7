//! Problem types: every reason for which the API refuses a request.

use std::borrow::Cow;
use std::fmt;

use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The URI prefix of every problem type.
pub(crate) const PREFIX: &str = "/problems/";

macro_rules! problem_types {
    ($($type:ident = $slug:literal, $status:literal, $title:literal, $remedy:literal;)*) => {
        /// The reason for an error response: the stable part of a [`ProblemDocument`](super::ProblemDocument).
        ///
        /// Serialized as `/problems/<slug>`. Clients decide by the type alone, not by the title or the detail. Later
        /// versions may add types; a client handles a type that it does not know by its status.
        ///
        /// ```
        /// use brokkr_http::api::ProblemType;
        ///
        /// assert_eq!(ProblemType::NotFound.uri(), "/problems/not-found");
        /// assert_eq!(ProblemType::from_slug("view-stale").map(ProblemType::status), Some(503));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ProblemType {
            $(
                #[doc = concat!($title, " (", $status, "). ", $remedy)]
                $type,
            )*
        }

        impl ProblemType {
            /// Every type, ordered by status and then by slug.
            pub const ALL: &[Self] = &[$(Self::$type,)*];

            /// The stable identifier, without the URI prefix.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$type => $slug,)* }
            }

            /// The HTTP status of responses of this type.
            pub const fn status(self) -> u16 {
                match self { $(Self::$type => $status,)* }
            }

            /// A short summary, the same for every problem of this type.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$type => $title,)* }
            }

            /// How to correct the request; the default detail of a problem.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$type => $remedy,)* }
            }
        }
    };
}

problem_types! {
    BodyIncomplete = "body-incomplete", 400, "Incomplete body", "Send the complete body within 30 seconds, without a pause of 10 seconds.";
    BodyNotUtf8 = "body-not-utf8", 400, "Body is not UTF-8", "Encode the body as UTF-8.";
    CredentialInUrl = "credential-in-url", 400, "Key in the URL", "Send the key in the Authorization header. Rotate this key: proxies and servers log URLs.";
    CursorInvalid = "cursor-invalid", 400, "Invalid cursor", "Use `next` from a page of the same list, read with the same key, or omit the cursor.";
    HeaderInvalid = "header-invalid", 400, "Invalid header", "Correct the header as the detail says.";
    JsonDuplicateKey = "json-duplicate-key", 400, "Duplicate key in JSON", "Remove the duplicate key.";
    JsonSyntax = "json-syntax", 400, "Invalid JSON", "Send one valid JSON document.";
    JsonTooDeep = "json-too-deep", 400, "JSON nests too deeply", "Reduce the nesting to at most 64 levels.";
    QueryInvalid = "query-invalid", 400, "Invalid query parameter", "Send only parameters that the operation defines, each at most once, with a valid value.";
    RequestMalformed = "request-malformed", 400, "Malformed request", "Send the request as RFC 9112 defines, with one meaning.";
    Unauthenticated = "unauthenticated", 401, "Not authenticated", "Send a valid key as `Authorization: Bearer <key>`.";
    AgentRetired = "agent-retired", 403, "Agent is retired", "Set the agent's status to `active`, or stop the agent process.";
    EnvironmentProtected = "environment-protected", 403, "Environment is protected", "Promote from an earlier environment, or use a key with the scope break-glass.";
    Forbidden = "forbidden", 403, "Not allowed", "Use credentials that permit this operation, such as a key with a scope for it.";
    NotFound = "not-found", 404, "Not found", "Check the path and the ids, and that this key has access to the object.";
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed", "Use one of the methods in the Allow header.";
    NotAcceptable = "not-acceptable", 406, "No acceptable media type", "Send an Accept header that allows application/json or application/yaml.";
    AgentOutdated = "agent-outdated", 409, "Agent is outdated", "Update the agent: it must know the action hold, and say so with hold=true.";
    AlreadyExists = "already-exists", 409, "Already exists", "Choose another name, or change the existing object.";
    Contention = "contention", 409, "Too many concurrent changes", "Retry after the delay in the Retry-After header.";
    DeletionProtected = "deletion-protected", 409, "Stack is protected from deletion", "Set deletion_protection of the stack to false first.";
    InUse = "in-use", 409, "Still in use", "Remove the objects that the detail names first.";
    InstanceSuperseded = "instance-superseded", 409, "Superseded by a newer process", "Stop this process: a newer process runs with the same agent key.";
    LastAdminKey = "last-admin-key", 409, "Last usable admin key", "Create another key with the preset admin first: POST /api/v1/keys. Without an admin key, brokkr-broker keys recover makes one.";
    LimitReached = "limit-reached", 409, "Limit reached", "Delete objects that are no longer needed, then retry.";
    NeedsRollout = "needs-rollout", 409, "Revision was never stable there", "Return to a revision that was stable: GET …/releases lists them. Release others with PUT …/stable or POST …/promote.";
    NotPromotable = "not-promotable", 409, "Not promotable", "Wait until every agent is healthy with the revision, as the detail says.";
    QuotaExceeded = "quota-exceeded", 409, "Quota exceeded", "Delete what is no longer needed, or ask the operator for a higher quota; `limit` names the quota.";
    ReferenceInvalid = "reference-invalid", 409, "Reference does not hold", "Refer to existing objects, without circular dependencies.";
    StackDeleting = "stack-deleting", 409, "Stack is being deleted", "Wait until every agent has confirmed the removal; GET …/status lists the agents that have not.";
    WrongCluster = "wrong-cluster", 409, "Agent belongs to another cluster", "Create a separate agent for this cluster.";
    PositionExpired = "position-expired", 410, "Position expired", "Read the current state from the list operations, then continue from the end of the feed.";
    PreconditionFailed = "precondition-failed", 412, "Version does not match", "Read the object again and repeat the change with its current ETag.";
    BodyTooLarge = "body-too-large", 413, "Body too large", "Reduce the body to the limit in the detail.";
    UriTooLong = "uri-too-long", 414, "URI too long", "Shorten the path and the query to at most 16 KiB.";
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported media type", "Send a Content-Type that the detail lists.";
    AnnotationInvalid = "annotation-invalid", 422, "Invalid annotation", "Use valid Kubernetes annotation keys, and at most 262,144 bytes in total.";
    FieldInvalid = "field-invalid", 422, "Invalid field", "Correct the value at `pointer` as the detail says.";
    GeneratorRefused = "generator-refused", 422, "Generator refused the parameters", "Correct the parameters as the detail says.";
    GeneratorUnknown = "generator-unknown", 422, "Unknown generator", "Use the name of a generator that is registered in this broker.";
    IdempotencyKeyReused = "idempotency-key-reused", 422, "Idempotency key reused", "Use a new key for a new request, or repeat the earlier request unchanged.";
    LabelInvalid = "label-invalid", 422, "Invalid label", "Use valid Kubernetes label keys and values.";
    ManifestDuplicateObject = "manifest-duplicate-object", 422, "Duplicate object in manifests", "Remove the duplicate object.";
    ManifestEmpty = "manifest-empty", 422, "No object in manifests", "Publish at least one object. To remove all objects, delete the stack.";
    ManifestInvalid = "manifest-invalid", 422, "Invalid manifest", "Send Kubernetes objects with apiVersion, kind and metadata.name.";
    NameInvalid = "name-invalid", 422, "Invalid name", "Use 1 to 63 lower-case letters, digits and hyphens; start and end with a letter or digit.";
    NotGranted = "not-granted", 422, "Not granted to the generator", "Publish only what the grants of the generator allow, or ask an admin for another grant.";
    NumberOutOfRange = "number-out-of-range", 422, "Number out of range", "Send a number within range; quote numbers that must keep every digit.";
    ObjectTooLarge = "object-too-large", 422, "Object too large", "Reduce the object to at most 1 MiB of compact JSON.";
    OutsideEnvironments = "outside-environments", 422, "Limited to other environments", "Name agents and environments within the limit, or ask an admin to change it.";
    ParamsInvalid = "params-invalid", 422, "Parameters do not fit the generator", "Send parameters that match the generator's schema.";
    PolicyInvalid = "policy-invalid", 422, "Invalid policy", "Send a value that the policy allows.";
    SelectorInvalid = "selector-invalid", 422, "Invalid selector", "Use kubectl selector syntax; set values for In and NotIn only.";
    SetTooLarge = "set-too-large", 422, "Too many manifests", "Publish at most 5,000 objects and 8 MiB per stack; split larger sets into several stacks.";
    TextContainsNul = "text-contains-nul", 422, "Text contains NUL", "Remove the character U+0000.";
    TextTooLong = "text-too-long", 422, "Text too long", "Shorten the text to the limit in the detail.";
    TooManyLabels = "too-many-labels", 422, "Too many labels", "Use at most 64 labels and at most 64 annotations.";
    UnknownField = "unknown-field", 422, "Unknown field", "Remove the field, or correct its name.";
    YamlBudgetExceeded = "yaml-budget-exceeded", 422, "YAML expands too far", "Publish fewer objects, or use fewer aliases.";
    YamlDuplicateKey = "yaml-duplicate-key", 422, "Duplicate key in YAML", "Remove the duplicate key.";
    YamlFeatureNotAllowed = "yaml-feature-not-allowed", 422, "YAML feature not allowed", "Remove custom tags.";
    YamlRecursiveAlias = "yaml-recursive-alias", 422, "Recursive YAML alias", "Remove aliases that contain themselves.";
    YamlSyntax = "yaml-syntax", 422, "Invalid YAML", "Correct the YAML at the line in the detail.";
    YamlTooDeep = "yaml-too-deep", 422, "YAML nests too deeply", "Reduce the nesting to at most 64 levels.";
    PreconditionRequired = "precondition-required", 428, "If-Match required", "Send If-Match with the object's ETag, or * to match any version.";
    RateLimited = "rate-limited", 429, "Too many requests per second", "Retry after the delay in the Retry-After header, and send fewer requests per second.";
    HeadTooLarge = "head-too-large", 431, "Request head too large", "Send at most 100 header fields, each of at most 32 KiB, and at most 64 KiB in all.";
    Internal = "internal", 500, "Internal error", "Report the request id to the operator: the broker's log contains the cause.";
    TransferCodingUnsupported = "transfer-coding-unsupported", 501, "Unsupported transfer coding", "Send the body with no transfer coding besides chunked.";
    GeneratorUnavailable = "generator-unavailable", 503, "Generator unavailable", "Retry after the delay in the Retry-After header.";
    Overloaded = "overloaded", 503, "Too many requests at once", "Retry after the delay in the Retry-After header, or send the request to another replica.";
    StoreUnavailable = "store-unavailable", 503, "Store unavailable", "Retry after the delay in the Retry-After header.";
    ViewStale = "view-stale", 503, "Replica is behind", "Retry after the delay in the Retry-After header, or send the request to another replica.";
}

impl ProblemType {
    /// Finds a type by its slug; `None` if this version does not know it.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.slug() == slug)
    }

    /// The URI of the type, as problem documents contain it: `/problems/<slug>`.
    pub fn uri(self) -> String {
        format!("{PREFIX}{}", self.slug())
    }
}

/// Client generators read the names of the enum's values from `x-enum-varnames`. A second extension would make the document
/// differ between processes, because utoipa stores extensions in a hash map.
impl PartialSchema for ProblemType {
    fn schema() -> RefOr<Schema> {
        let mut description = "Problem types, each with its HTTP status, title and remedy:\n".to_owned();
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

    /// Problems that the HTTP layer answers without calling the broker.
    const OF_HTTP: [ProblemType; 14] = [
        ProblemType::BodyIncomplete,
        ProblemType::BodyTooLarge,
        ProblemType::CredentialInUrl,
        ProblemType::HeaderInvalid,
        ProblemType::MethodNotAllowed,
        ProblemType::NotAcceptable,
        ProblemType::PreconditionRequired,
        ProblemType::UnsupportedMediaType,
        ProblemType::NotFound,
        ProblemType::RequestMalformed,
        ProblemType::UriTooLong,
        ProblemType::HeadTooLarge,
        ProblemType::RateLimited,
        ProblemType::TransferCodingUnsupported,
    ];

    #[test]
    fn problem_types_cover_every_error() {
        let invalid = InvalidCode::ALL.iter().map(|code| code.slug());
        let broker = BrokerErrorKind::ALL.iter().map(|kind| kind.slug());
        let answered: BTreeSet<&str> = invalid.chain(broker).chain(OF_HTTP.map(ProblemType::slug)).collect();
        let documented: BTreeSet<&str> = ProblemType::ALL.iter().map(|it| it.slug()).collect();
        assert_eq!(answered, documented);
        assert_eq!(documented.len(), ProblemType::ALL.len());
    }

    #[test]
    fn problem_types_have_unique_titles_and_a_remedy() {
        let titles: BTreeSet<&str> = ProblemType::ALL.iter().map(|it| it.title()).collect();
        assert_eq!(titles.len(), ProblemType::ALL.len(), "titles are unique");
        assert!(ProblemType::ALL.iter().all(|it| it.remedy().ends_with('.') && (400..=503).contains(&it.status())));
        let ordered = |it: &[ProblemType; 2]| (it[0].status(), it[0].slug()) < (it[1].status(), it[1].slug());
        let pairs: Vec<[ProblemType; 2]> = ProblemType::ALL.array_windows().copied().collect();
        assert!(pairs.iter().all(ordered), "{pairs:?}");
    }
}
