//! The routes and the OpenAPI document that is derived from them.

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
        description = "The control plane's API: what should run where, and what does.\n\n\
            Every error is a problem (RFC 9457): decide by its `type`, which is one of `ProblemType`. A request that this document \
            allows is refused only for what is there: an id that is not (404), a name that is taken or a limit that is reached (409), \
            another version (412), a cursor of another list (400), a time that has passed, an object that stands twice, or content \
            that only a reader of Kubernetes or a generator can judge (422). Fields that it does not name are refused.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "auth", description = "Whose key this is, and this document."),
        (name = "agents", description = "Agents: processes that serve a cluster, and the generators that they serve."),
        (name = "environments", description = "Environments: stages of delivery, from development to production."),
        (name = "generators", description = "Generators: principals that own stacks."),
        (name = "keys", description = "Prefixed API keys (PAKs) of admins, agents and generators."),
        (name = "stacks", description = "Stacks: named groups of Kubernetes objects that are managed as a unit."),
        (name = "deployment objects", description = "Deployment objects: immutable revisions of the manifests of a stack."),
        (name = "targets", description = "Which agents serve which stacks, and why."),
        (name = "records", description = "What happened: events of agents, the audit, and the feed of all changes."),
        (name = "agent protocol", description = "What agents ask and tell."),
        (name = "health", description = "Whether the process lives and can serve."),
    ),
    security(("pak" = [])),
    modifiers(&Pak),
)]
struct Document;

struct Pak;

impl Modify for Pak {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("PAK")
            .description(Some("A prefixed API key of an admin, an agent or a generator"))
            .build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("pak", SecurityScheme::Http(scheme));
    }
}

/// Every route, with its documentation.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(routes::health::routes())
        .nest(API_V1, routes::v1().merge(served::routes()))
        .merge(routes::agent_protocol::routes())
}

/// The OpenAPI 3.1 document of the API, derived from the routes.
pub fn document() -> OpenApi {
    let mut document = routes().into_openapi();
    headers::add(&mut document);
    links::add(&mut document);
    exclude_double_content(&mut document);
    document
}

/// Says of a stack that is applied by name what its fields alone cannot: it gets content in one way, and a message with manifests.
fn exclude_double_content(document: &mut OpenApi) {
    let schemas = document.components.as_mut().map(|it| &mut it.schemas);
    if let Some(RefOr::T(Schema::Object(schema))) = schemas.and_then(|it| it.get_mut("ApplyStack")) {
        let manifests = json!({"required": ["manifests"], "properties": {"manifests": {"type": "array"}}});
        let generate = json!({"required": ["generate"], "properties": {"generate": {"type": "object"}}});
        let message = json!({"required": ["message"], "properties": {"message": {"type": "string"}}});
        let not = json!({"anyOf": [{"allOf": [manifests, generate]}, {"allOf": [message, {"not": manifests}]}]});
        schema.extensions = Some([("not", not)].into_iter().collect());
    }
}
