//! The origin of a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use brokkr_control::{Actor, Idempotency, Origin};
use brokkr_core::model::RequestId;

use super::identified::Identified;
use super::in_flight::InFlight;
use super::problem::Problem;
use super::proxies::ClientAddress;

/// The origin of a request, for hosts with their own authentication. [`Caller`](super::Caller) does the same for Brokkr's
/// keys.
///
/// Contains the request id, which the API's [layer](super::ApiLayer) assigns, the client's network address (forwarding headers
/// count only from [trusted proxies](super::ServerBuilder::trusted_proxies)), and the `Idempotency-Key`.
///
/// ```
/// use axum::extract::FromRequestParts;
/// use axum::http::request::Parts;
/// use brokkr_control::{Actor, Broker};
/// use brokkr_core::model::GeneratorId;
/// use brokkr_http::api::ProblemType;
/// use brokkr_http::server::{Problem, RequestOrigin};
///
/// #[derive(Clone)]
/// struct Host {
///     broker: Broker,
///     platform: GeneratorId,
/// }
///
/// /// A caller with the company's token.
/// struct Employee(Actor);
///
/// impl FromRequestParts<Host> for Employee {
///     type Rejection = Problem;
///
///     async fn from_request_parts(parts: &mut Parts, host: &Host) -> Result<Self, Problem> {
///         if parts.headers.get("x-company-token").is_none_or(|token| token != "secret") {
///             return Err(Problem::new(ProblemType::Unauthenticated).detail("send your token as `X-Company-Token`"));
///         }
///         let origin = RequestOrigin::from_request_parts(parts, host).await?;
///         Ok(Self(origin.identify(host.broker.generator_actor(host.platform)?)?))
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RequestOrigin {
    origin: Origin,
    idempotency: Option<Arc<Idempotency>>,
    identified: Option<Arc<Identified>>,
    in_flight: Option<Arc<InFlight>>,
}

impl RequestOrigin {
    /// The request id and the client's address.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The request's `Idempotency-Key`, as [`Actor::repeating`] needs it. `None` without the header, for methods other than
    /// POST and PUT, and outside of the API's [layer](super::ApiLayer).
    pub fn idempotency(&self) -> Option<&Arc<Idempotency>> {
        self.idempotency.as_ref()
    }

    /// Makes `actor` the caller of this request and returns it: its audit records contain the request's id and address, the
    /// audit records refusals of the request under its name, and its creating operation honours the `Idempotency-Key`.
    ///
    /// Use the returned actor for one creating operation per request, because they would share the key. For others use
    /// `actor.in_request(origin.origin().clone())`.
    ///
    /// # Errors
    ///
    /// [`ProblemType::RateLimited`](crate::api::ProblemType::RateLimited) if the actor has sent too many requests in a
    /// short time.
    pub fn identify(&self, actor: Actor) -> Result<Actor, Problem> {
        let actor = actor.in_request(self.origin.clone());
        if let Some(identified) = &self.identified {
            identified.is(&actor)?;
        }
        let actor = match &self.in_flight {
            Some(in_flight) => actor.in_turn(in_flight.turn()),
            None => actor,
        };
        Ok(match &self.idempotency {
            Some(idempotency) => actor.repeating(idempotency.clone()),
            None => actor,
        })
    }
}

impl RequestOrigin {
    /// Counts a request without a usable key.
    pub(super) fn is_nobody(&self) -> Result<(), Problem> {
        self.identified.as_ref().map_or(Ok(()), |it| it.is_nobody(self.origin.address))
    }

    /// Takes the request's place in its class of work.
    pub(super) async fn enter(&self) -> Result<(), Problem> {
        match &self.identified {
            Some(identified) => identified.enter().await,
            None => Ok(()),
        }
    }

    /// Gives the place up, before the request waits.
    pub(super) fn leave(&self) {
        if let Some(identified) = &self.identified {
            identified.leave();
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get().copied().unwrap_or_else(RequestId::generate);
        Ok(Self {
            origin: Origin { request_id, address: address(parts) },
            idempotency: parts.extensions.get().cloned(),
            identified: parts.extensions.get().cloned(),
            in_flight: parts.extensions.get().cloned(),
        })
    }
}

/// The client's address: as the API's layer found it, or that of the connection.
fn address(parts: &Parts) -> Option<IpAddr> {
    let client = parts.extensions.get::<ClientAddress>().map(|client| client.0);
    client.or_else(|| Some(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical()))
}
