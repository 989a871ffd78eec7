//! Parameters that several operations share.

use brokkr_core::model::schema::{LabelSelectorText, Text};
use brokkr_core::model::{
    AgentId, AuditOutcome, Epoch, EventOutcome, GeneratorId, Name, RequestId, StackId, Timestamp, limits,
};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{IntoParams, PartialSchema as _};

fn parameter(name: &str, place: ParameterIn, description: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(description))
        .required(required)
        .schema(Some(schema))
}

fn query(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    parameter(name, ParameterIn::Query, description, schema).build()
}

fn number(least: u64, most: u64, default: Option<u64>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least))
        .maximum(Some(most))
        .default(default.map(Into::into))
}

fn pattern(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn limit(default: usize) -> Parameter {
    let schema = number(1, limits::PAGE_MAX as u64, Some(default as u64));
    query("limit", "Maximum number of entries in the page.", schema)
}

fn page(default: usize) -> Vec<Parameter> {
    let cursor = pattern("^[A-Za-z0-9_-]{44,1024}$");
    let description = "Start of the page: `next` of the previous page of the same list, read with the same key.";
    vec![limit(default), query("cursor", description, cursor)]
}

fn times() -> [Parameter; 2] {
    [
        query("since", "Only entries at or after this time.", Timestamp::schema()),
        query("until", "Only entries before this time.", Timestamp::schema()),
    ]
}

/// Defines named sets of parameters.
macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident = $parameters:expr;)*) => {$(
        $(#[$doc])*
        pub(in crate::server) struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                $parameters
            }
        }
    )*};
}

parameters! {
    /// A paginated list.
    PageParameters = page(limits::PAGE_DEFAULT);
    /// The paginated agents in a stack's status.
    StatusParameters = page(limits::PAGE_MAX);
    /// A list of entities with labels.
    LabelsParameter = vec![query("labels", "Only entities whose labels match this selector.", LabelSelectorText::schema())];
    /// A list whose entries belong to agents.
    EnvironmentParameter = vec![query("environment", "Only entries of agents that are in this environment.", Name::schema())];
    /// The list of stacks.
    StackParameters = vec![
        query("name", "Only stacks with this name.", Name::schema()),
        query("generator", "Only stacks that this generator owns.", GeneratorId::schema()),
    ];
    /// A list of events; filters that the path contains are added separately.
    EventParameters = [query("outcome", "Only attempts with this outcome.", EventOutcome::schema())]
        .into_iter()
        .chain(times())
        .collect();
    /// Events of one agent.
    AgentParameter = vec![query("agent", "Only events of this agent.", AgentId::schema())];
    /// Events of one stack.
    StackParameter = vec![query("stack", "Only events of this stack.", StackId::schema())];
    /// The list of audit records.
    AuditParameters = [
        query("actor", "Only records of this actor: `system`, `anonymous`, or kind and id, such as `agent:<id>`.", Text::schema()),
        query("action", "Only records of this operation, such as `stack.create`.", Text::schema()),
        query("object", "Only records about the object with this id.", Text::schema()),
        query("outcome", "Only records with this outcome.", AuditOutcome::schema()),
        query("request_id", "Only records of this request.", RequestId::schema()),
    ]
    .into_iter()
    .chain(times())
    .collect();
    /// The feed.
    FeedParameters = {
        let position = pattern("^[0-9]{1,19}-[0-9]{1,19}-[0-9]{1,19}$").examples(["0-0-0"]);
        let after = "Only changes after this position: `next` of the previous page. Default: the beginning of the feed.";
        vec![query("after", after, position), limit(limits::PAGE_DEFAULT)]
    };
    /// A poll of the target state.
    PollParameters = {
        let known = "The ETag of the agent's current target state. The response is 304 if it is unchanged.";
        vec![
            query("wait", "Seconds to wait for a change before the response. Default: respond immediately.", number(0, limits::POLL_WAIT_SECONDS, Some(0))),
            query("min_generation", "The highest generation that the agent has seen in `epoch`. The response is never older. Ignored without `epoch`.", number(0, i64::MAX as u64, None)),
            query("epoch", "The epoch of `min_generation`.", Epoch::schema()),
            query("hold", "Whether the agent knows the action `hold`. If not, a target state with this action is the problem `agent-outdated`. Default: false.", bool::schema()),
            parameter("If-None-Match", ParameterIn::Header, known, tags()).build(),
        ]
    };
    /// A read of stored bytes.
    KnownParameter = {
        let known = "ETags of bytes that the caller has. The response is 304 if one matches.";
        vec![parameter("If-None-Match", ParameterIn::Header, known, tags()).build()]
    };
    /// Changes that require the current version.
    IfMatchParameter = {
        let description = "The object's ETag from an earlier response, or `*` for any version.";
        vec![parameter("If-Match", ParameterIn::Header, description, version()).required(Required::True).build()]
    };
    /// Deletions that may name the expected version.
    OptionalIfMatchParameter = {
        let description = "The object's ETag from an earlier response. The deletion is refused if the version differs.";
        vec![parameter("If-Match", ParameterIn::Header, description, version()).build()]
    };
    /// Requests that create something and can be repeated.
    IdempotencyParameter = {
        let description = "A key that the caller chooses for this request. For 24 hours a repeated request with the same key and content \
                           is not carried out again and gets the same response, without the secrets of keys.";
        let key = pattern("^[!-~]{1,255}$").examples(["3f0b5a52-7c5e-4f8e-9a49-0d6c9d3f6f55"]);
        vec![parameter("Idempotency-Key", ParameterIn::Header, description, key).build()]
    };
    /// The description of a published revision.
    MessageParameter = {
        let description = "Describes the revision to readers. Overrides the field `message` of a JSON body.";
        vec![query("message", description, brokkr_core::model::schema::Message::schema())]
    };
}

/// One or several ETags. A value that is not an ETag matches nothing (RFC 9110, section 13.1.2).
fn tags() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples(["\"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""])
        .build()
}

fn version() -> Object {
    pattern(r#"^(\*|"[1-9][0-9]{0,18}")$"#).examples(["\"3\""]).build()
}
