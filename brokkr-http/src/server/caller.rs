//! The authenticated caller of a route.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use brokkr_control::{Actor, Broker, BrokerError, Origin};
use brokkr_core::pak::Pak;

use super::AppState;
use super::origin::RequestOrigin;
use super::problem::Problem;

/// The authenticated caller: the [`Actor`] of the key in the `Authorization: Bearer` header.
///
/// Also works in a host's own routes if the router's state is a [`Broker`] or implements [`FromRef`] for `Broker`. Without a
/// valid key the route answers 401 and the audit records the attempt. If the request has an `Idempotency-Key` and the API's
/// [layer](super::ApiLayer) wraps the route, the actor's first operation runs only once per key.
///
/// ```
/// use axum::Json;
/// use axum::extract::State;
/// use brokkr_control::Broker;
/// use brokkr_core::store::Page;
/// use brokkr_http::server::{Caller, Problem};
///
/// /// The names of the stacks that the caller may see.
/// async fn stacks(State(broker): State<Broker>, Caller(actor): Caller) -> Result<Json<Vec<String>>, Problem> {
///     let page = broker.stack_list(&actor, &Default::default(), &Page::first(100)).await?;
///     Ok(Json(page.items.into_iter().map(|stack| stack.name.into()).collect()))
/// }
///
/// # fn routes(broker: Broker) -> axum::Router {
/// axum::Router::new().route("/mine", axum::routing::get(stacks)).with_state(broker)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Caller(pub Actor);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Broker: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let origin = RequestOrigin::from_request_parts(parts, state).await?;
        let actor = authenticated(&origin, bearer(&parts.headers), |presented, origin| {
            Broker::from_ref(state).authenticate(presented, origin)
        })?;
        let actor = origin.identify(actor)?;
        origin.enter().await?;
        Ok(Self(actor))
    }
}

/// The holder of the join token in the `Authorization: Bearer` header.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer(pub(crate) Actor);

impl FromRequestParts<AppState> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let origin = RequestOrigin::from_request_parts(parts, state).await?;
        let actor = authenticated(&origin, bearer(&parts.headers), |presented, origin| {
            state.broker.authenticate_join_token(presented, origin)
        })?;
        Ok(Self(origin.identify(actor)?))
    }
}

/// Authenticates what was presented, and counts what is no key. Whatever an address has sent, it can still present a valid key:
/// many agents may share it.
fn authenticated(
    origin: &RequestOrigin,
    presented: Option<&str>,
    authenticate: impl FnOnce(Option<&str>, Origin) -> Result<Actor, BrokerError>,
) -> Result<Actor, Problem> {
    let has_key = presented.is_some_and(|it| it.starts_with(Pak::PREFIX));
    if !has_key {
        origin.is_nobody()?;
    }
    let found = authenticate(presented, origin.origin().clone());
    if has_key && matches!(found, Err(BrokerError::Unauthenticated)) {
        origin.is_nobody()?;
    }
    Ok(found?)
}

/// The single bearer token; `None` if the header is absent or occurs more than once.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
