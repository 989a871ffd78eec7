//! The routes and the OpenAPI document that is derived from them.

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

use super::{AppState, routes};
use crate::api::{API_V1, Problem};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Brokkr",
        version = "1",
        description = "The control plane's API: what should run where, and what does.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    components(schemas(Problem)),
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
        .nest(API_V1, routes::v1())
        .merge(routes::agent_protocol::routes())
}

/// The OpenAPI 3.1 document of the API, derived from the routes.
pub fn document() -> OpenApi {
    routes().into_openapi()
}
