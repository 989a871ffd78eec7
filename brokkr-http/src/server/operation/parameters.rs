//! Parameters that operations share.

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
    query("limit", "Entries of a page at the most.", schema)
}

fn page(default: usize) -> Vec<Parameter> {
    let cursor = pattern("^[A-Za-z0-9_-]{44,1024}$");
    let description =
        "Where the page begins: the `next` of the page before, of the same list and read with the same key.";
    vec![limit(default), query("cursor", description, cursor)]
}

fn times() -> [Parameter; 2] {
    [
        query("since", "Only from this time on.", Timestamp::schema()),
        query("until", "Only before this time.", Timestamp::schema()),
    ]
}

/// Parameters under one name for operations to take.
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
    /// A list.
    PageParameters = page(limits::PAGE_DEFAULT);
    /// The agents of a stack's status.
    StatusParameters = page(limits::PAGE_MAX);
    /// A list of what has labels.
    LabelsParameter = vec![query("labels", "Only what these labels fit.", LabelSelectorText::schema())];
    /// The list of stacks.
    StackParameters = vec![
        query("name", "Only stacks of this name.", Name::schema()),
        query("generator", "Only stacks of this generator.", GeneratorId::schema()),
    ];
    /// A list of events, for all filters but those that the path holds.
    EventParameters = [query("outcome", "Only attempts that ended so.", EventOutcome::schema())]
        .into_iter()
        .chain(times())
        .collect();
    /// Events of one agent.
    AgentParameter = vec![query("agent", "Only events of this agent.", AgentId::schema())];
    /// Events of one stack.
    StackParameter = vec![query("stack", "Only events of this stack.", StackId::schema())];
    /// The audit.
    AuditParameters = [
        query("actor", "Only acts of this actor: `system`, `anonymous`, or its kind and id as in `agent:<id>`.", Text::schema()),
        query("action", "Only acts of this name, such as `stack.create`.", Text::schema()),
        query("object", "Only acts on the object of this id.", Text::schema()),
        query("outcome", "Only acts that ended so.", AuditOutcome::schema()),
        query("request_id", "Only acts in the course of this request.", RequestId::schema()),
    ]
    .into_iter()
    .chain(times())
    .collect();
    /// The feed.
    FeedParameters = {
        let position = pattern("^[0-9]{1,19}-[0-9]{1,19}-[0-9]{1,19}$").examples(["0-0-0"]);
        let after = "Only changes after this position: the `next` of the page before. Without it from the beginning.";
        vec![query("after", after, position), limit(limits::PAGE_DEFAULT)]
    };
    /// A poll.
    PollParameters = {
        let known = "The ETag of the target state that the agent has: 304 while it is current.";
        vec![
            query("wait", "Seconds to wait for something new.", number(0, limits::POLL_WAIT_SECONDS, Some(0))),
            query("min_generation", "The highest generation that the agent has seen in `epoch`, without which it does not count: no older state is answered.", number(0, i64::MAX as u64, None)),
            query("epoch", "The history in which it saw that.", Epoch::schema()),
            parameter("If-None-Match", ParameterIn::Header, known, tags()).build(),
        ]
    };
    /// A read of stored bytes.
    KnownParameter = {
        let known = "ETags of bytes that the caller has: 304 if they are these.";
        vec![parameter("If-None-Match", ParameterIn::Header, known, tags()).build()]
    };
    /// Changes of what must not have changed since.
    IfMatchParameter = {
        let description = "The ETag that was read, or `*` for any version.";
        vec![parameter("If-Match", ParameterIn::Header, description, version()).required(Required::True).build()]
    };
    /// Removal of what may not have changed since.
    OptionalIfMatchParameter = {
        let description = "The ETag that was read: the removal is refused if the version is another one.";
        vec![parameter("If-Match", ParameterIn::Header, description, version()).build()]
    };
    /// Repeatable requests.
    IdempotencyParameter = {
        let description = "A key of the caller's own. A repeated request of the same key and content is carried out once, and answered \
                           alike for 24 hours, without the secrets of keys.";
        let key = pattern("^[!-~]{1,255}$").examples(["3f0b5a52-7c5e-4f8e-9a49-0d6c9d3f6f55"]);
        vec![parameter("Idempotency-Key", ParameterIn::Header, description, key).build()]
    };
    /// Why YAML is published.
    MessageParameter = {
        let description = "Why, for people. For JSON bodies it wins over the field of that name.";
        vec![query("message", description, brokkr_core::model::schema::Message::schema())]
    };
}

/// One ETag or several. What is none matches nothing (RFC 9110, section 13.1.2).
fn tags() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples(["\"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""])
        .build()
}

fn version() -> Object {
    pattern(r#"^(\*|"[1-9][0-9]{0,18}")$"#).examples(["\"3\""]).build()
}
