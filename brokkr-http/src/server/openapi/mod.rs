//! The OpenAPI document, which utoipa derives from the routes.

mod headers;
mod links;
mod served;

use serde_json::json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

use super::{AppState, routes};
use crate::api::{API_V1, ProblemDocument};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Brokkr",
        version = "1",
        description = "The API of the control plane: stacks, agents, targeting and status.\n\n\
            Every error response is a problem document (RFC 9457). Clients decide by its `type`, one of `ProblemType`. A request that \
            matches this document is refused only because of the current state or the content: an unknown id (404), a taken name or a \
            reached limit (409), a different version (412), a cursor of another list (400), a time in the past, a duplicate object, or \
            content that Kubernetes or a generator does not accept (422). Unknown fields are refused.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "auth", description = "The identity behind a key, and this document."),
        (name = "agents", description = "Agents: processes that serve a cluster, and the generators that they serve."),
        (name = "environments", description = "Environments: stages of delivery, from development to production. Agents and stacks do not refer to them yet; use a label such as environment=staging."),
        (name = "grants", description = "Grants: what generators may deploy to the agents that are registered with them."),
        (name = "generators", description = "Generators: principals that create and own stacks."),
        (name = "join tokens", description = "Join tokens: credentials that new agents exchange for keys of their own."),
        (name = "controllers", description = "Controllers: what the broker does later than a request, such as deleting expired stacks."),
        (name = "keys", description = "Prefixed API keys (PAKs) of admins, agents and generators."),
        (name = "stacks", description = "Stacks: named groups of Kubernetes objects that are managed as a unit."),
        (name = "deployment objects", description = "Deployment objects: immutable revisions of the manifests of a stack."),
        (name = "targets", description = "Direct targets, and the targeting decision for each stack and agent."),
        (name = "records", description = "Agent events, audit records and the feed of all changes."),
        (name = "releases", description = "What gated agents hold, pins of single agents, and suspensions."),
        (name = "agent protocol", description = "The requests of agents: target states and reports."),
        (name = "health", description = "Liveness and readiness probes."),
    ),
    security(("pak" = [])),
    modifiers(&Pak),
)]
struct Document;

struct Pak;

impl Modify for Pak {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        for (name, description) in [
            ("pak", "A prefixed API key of an admin, an agent or a generator"),
            ("join_token", "A join token, which has the form of a key"),
        ] {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("PAK");
            let scheme = scheme.description(Some(description)).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The routes with their documentation, and the route that serves the document.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let document = OpenApiRouter::with_openapi(Document::openapi());
    document.merge(routes::routes()).nest(API_V1, served::routes())
}

/// The OpenAPI 3.1 document of the API, derived from the routes.
pub fn document() -> OpenApi {
    let mut document = router().into_openapi();
    headers::add(&mut document);
    links::add(&mut document);
    add_apply_stack_rules(&mut document);
    document
}

/// Adds the rules of `ApplyStack` that its fields cannot express: `manifests` and `generate` exclude each other, and
/// `message` requires `manifests`.
fn add_apply_stack_rules(document: &mut OpenApi) {
    let schemas = document.components.as_mut().map(|it| &mut it.schemas);
    if let Some(RefOr::T(Schema::Object(schema))) = schemas.and_then(|it| it.get_mut("ApplyStack")) {
        let manifests = json!({"required": ["manifests"], "properties": {"manifests": {"type": "array"}}});
        let generate = json!({"required": ["generate"], "properties": {"generate": {"type": "object"}}});
        let message = json!({"required": ["message"], "properties": {"message": {"type": "string"}}});
        let not = json!({"anyOf": [{"allOf": [manifests, generate]}, {"allOf": [message, {"not": manifests}]}]});
        schema.extensions = Some([("not", not)].into_iter().collect());
    }
}
