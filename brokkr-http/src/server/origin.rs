//! Where a request came from.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use brokkr_control::Origin;
use brokkr_core::model::RequestId;

use super::error::ApiError;

/// The request's id, set by [`Finish`](super::respond::Finish), and the peer's address. Headers that claim another address are ignored.
pub(crate) struct RequestOrigin(pub(crate) Origin);

impl<S: Send + Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let request_id = parts.extensions.get().copied().unwrap_or_else(RequestId::generate);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(Origin { request_id, address: peer.map(|peer| peer.0.ip()) }))
    }
}
