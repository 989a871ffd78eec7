//! The origin of a request.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use brokkr_control::Origin;
use brokkr_core::model::RequestId;

use super::problem::Problem;

/// The origin of a request: the request id, which the API's [layer](super::ApiLayer) assigns, and the peer's network
/// address. Forwarding headers are ignored.
///
/// For hosts with their own authentication: `broker.system_actor().in_request(origin)` acts as the system and records the
/// request id in the audit.
///
/// ```
/// use axum::extract::State;
/// use brokkr_control::Broker;
/// use brokkr_http::server::{Problem, RequestOrigin};
///
/// async fn ready(State(broker): State<Broker>, RequestOrigin(origin): RequestOrigin) -> Result<String, Problem> {
///     broker.ready().await?;
///     Ok(broker.system_actor().in_request(origin).request_id().to_string())
/// }
///
/// # fn routes(broker: Broker) -> axum::Router {
/// axum::Router::new().route("/ready", axum::routing::get(ready)).with_state(broker)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestOrigin(pub Origin);

impl<S: Send + Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get().copied().unwrap_or_else(RequestId::generate);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(Origin { request_id, address: peer.map(|peer| peer.0.ip()) }))
    }
}
