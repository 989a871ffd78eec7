//! Where a request came from.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use brokkr_control::Origin;
use brokkr_core::model::RequestId;

use super::problem::Problem;

/// Where a request came from: its id, which the API's [layer](super::ApiLayer) sets, and the peer's address. Headers that claim another
/// address are ignored.
///
/// For hosts with their own authentication: `broker.system_actor().in_request(origin)` acts with the request's id in the audit.
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
