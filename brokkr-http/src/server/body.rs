//! Reads request bodies: bounded in size, in time and in the memory of all bodies together, and strictly validated.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request};
use axum::http::{HeaderMap, header};
use brokkr_control::{Actor, Broker, BrokerError, Right};
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::manifest::{parse_json, parsing_weight};
use brokkr_core::model::{ActorRef, limits};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::AppState;
use super::caller::Caller;
use super::identified::Identified;
use super::in_flight::InFlight;
use super::problem::Problem;
use super::typed::typed;

/// Time limit for receiving a request body.
const BODY_TIME: Duration = Duration::from_secs(limits::REQUEST_BODY_SECONDS);
/// Time limit for each pause in a body.
const BODY_PAUSE: Duration = Duration::from_secs(limits::REQUEST_BODY_PAUSE_SECONDS);
/// Time after the first bytes in which a body may be slow.
const BODY_START: Duration = Duration::from_secs(limits::REQUEST_BODY_START_SECONDS);

/// The body of a request to an operation, read only from callers that have the right `R`.
///
/// The routes of the API have no other way to a body: the types of bodies implement [`FromBody`], not [`FromRequest`].
/// Without the right the response is 401 or 403, and the body is not read.
pub(crate) struct Sent<R, B>(pub(crate) B, pub(crate) PhantomData<R>);

impl<R: Right, B: FromBody> FromRequest<AppState> for Sent<R, B> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let admission = parts.extensions.get::<Arc<Identified>>().cloned();
        let known = admission.as_ref().and_then(|it| it.actor().cloned());
        let actor = match known {
            Some(actor) => actor,
            None => Caller::from_request_parts(&mut parts, state).await?.0,
        };
        let in_flight = parts.extensions.get::<Arc<InFlight>>().cloned();
        let ids = RawPathParams::from_request_parts(&mut parts, state).await.ok();
        let ids: Vec<&str> = ids.iter().flat_map(|ids| ids.iter()).map(|(_, id)| id).collect();
        state.broker.permit_early::<R>(&actor, &ids)?;
        let actor = match &in_flight {
            Some(it) => actor.in_turn(it.turn()),
            None => actor,
        };
        let reader = Reader { operation: Some((state.broker.clone(), actor)), in_flight, admission };
        B::from_body(Request::from_parts(parts, body), reader).await.map(|body| Self(body, PhantomData))
    }
}

/// A type of body that [`Sent`] reads.
pub(crate) trait FromBody: Sized + Send {
    fn from_body(request: Request, reader: Reader) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// Reads and parses bodies within the bounds of the server.
pub(crate) struct Reader {
    /// The broker and the caller; `None` for routes of a host, which may have neither.
    operation: Option<(Broker, Actor)>,
    in_flight: Option<Arc<InFlight>>,
    /// Absent for routes of a host, which have no class of work.
    admission: Option<Arc<Identified>>,
}

impl Reader {
    /// The reader of a host's route.
    fn of_host(request: &Request) -> Self {
        Self { operation: None, in_flight: request.extensions().get::<Arc<InFlight>>().cloned(), admission: None }
    }

    /// Reads a whole body of any media type.
    async fn read(&self, request: Request, limit: usize) -> Result<Bytes, Problem> {
        refuse_encoding(request.headers())?;
        let hint = request.body().size_hint();
        if hint.lower() > limit as u64 {
            return Err(Problem::body_too_large(limit));
        }
        let expected = hint.exact().and_then(|bytes| usize::try_from(bytes).ok());
        let receive = self.receive(request.into_body(), limit, expected);
        let body =
            tokio::time::timeout(BODY_TIME, receive).await.unwrap_or_else(|_| Err(Problem::body_incomplete()))?;
        self.enter().await?;
        Ok(body)
    }

    /// Takes the request's place in its class of work.
    async fn enter(&self) -> Result<(), Problem> {
        match &self.admission {
            Some(admission) => admission.enter_now().await,
            None => Ok(()),
        }
    }

    async fn receive(
        &self,
        mut body: axum::body::Body,
        limit: usize,
        expected: Option<usize>,
    ) -> Result<Bytes, Problem> {
        let actor = self.operation.as_ref().map_or(ActorRef::Anonymous, |(_, actor)| actor.principal());
        let mut bytes = Vec::new();
        // From when the body holds memory.
        let mut began = None;
        loop {
            let pause = Instant::now() + BODY_PAUSE;
            let until = began.map_or(pause, |began| pause.min(began + time_for(bytes.len(), expected)));
            let Ok(frame) = tokio::time::timeout_at(until, body.frame()).await else {
                return Err(Problem::body_incomplete());
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| Problem::body_incomplete())?;
            let Some(data) = frame.data_ref() else { continue };
            let size = bytes.len() + data.len();
            if size > limit {
                return Err(Problem::body_too_large(limit));
            }
            if bytes.is_empty() {
                // Not before the first bytes, so that a client that sends nothing holds nothing.
                if let Some(in_flight) = &self.in_flight {
                    in_flight.hold(actor, expected.unwrap_or(limit)).await?;
                }
                began = Some(Instant::now());
                // Memory that is not written to costs nothing.
                bytes.reserve_exact(expected.unwrap_or(data.len()));
            }
            bytes.extend_from_slice(data);
        }
        Ok(bytes.into())
    }

    /// Parses JSON. A large body waits for its turn and is parsed on a blocking thread, so that it does not delay others.
    async fn parse(&self, body: Bytes) -> Result<Value, Problem> {
        if body.len() <= limits::QUICK_BODY_BYTES {
            return Ok(parse_json(&body)?);
        }
        match &self.operation {
            Some((broker, actor)) => {
                let weight = parsing_weight(&body);
                Ok(broker.run_blocking(actor, weight, move || parse_json(&body)).await?)
            }
            None => {
                let parsed = tokio::task::spawn_blocking(move || parse_json(&body)).await;
                Ok(parsed.map_err(|error| BrokerError::Internal(Box::new(error)))??)
            }
        }
    }

    async fn json(&self, request: Request, limit: usize, types: &[&str]) -> Result<Value, Problem> {
        if !media_type(request.headers()).is_some_and(|it| types.iter().any(|taken| taken.eq_ignore_ascii_case(it))) {
            return Err(Problem::unsupported_media_type(&types.join(" or ")));
        }
        self.parse(self.read(request, limit).await?).await
    }
}

/// The time after which a body must have grown beyond `received` bytes.
fn time_for(received: usize, expected: Option<usize>) -> Duration {
    let to_be_complete = expected.unwrap_or_default() as u64 / limits::REQUEST_BODY_SECONDS;
    let rate = to_be_complete.max(limits::REQUEST_BODY_RATE);
    BODY_START + Duration::from_millis(received as u64 * 1000 / rate)
}

/// Refuses an encoded body: none is ever decoded, so that its size is what arrives.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_identity = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) {
        Ok(())
    } else {
        Err(Problem::content_encoding())
    }
}

/// The media type of the body; `None` if its charset is not UTF-8.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else {
        return None;
    };
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next()?;
    parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8")).then_some(media_type)
}

/// A body that the handler reads, by its media type.
pub(crate) struct Unread {
    request: Request,
    reader: Reader,
}

impl FromBody for Unread {
    async fn from_body(request: Request, reader: Reader) -> Result<Self, Problem> {
        Ok(Self { request, reader })
    }
}

impl Unread {
    /// The media type in lower case.
    pub(crate) fn media_type(&self) -> Option<String> {
        media_type(self.request.headers()).map(str::to_ascii_lowercase)
    }

    /// Reads the bytes.
    pub(crate) async fn read(self, limit: usize) -> Result<Bytes, Problem> {
        self.reader.read(self.request, limit).await
    }

    /// Reads and parses JSON.
    pub(crate) async fn json(self, limit: usize) -> Result<Value, Problem> {
        self.reader.json(self.request, limit, &["application/json"]).await
    }
}

/// A JSON body of at most 1 MiB, validated strictly, for routes of a host. A wrong media type, a duplicate key or a value
/// that does not match the type answers with a [`Problem`] that names the place. Types with `deny_unknown_fields` also refuse
/// unknown fields.
///
/// Take [`Caller`] as an earlier argument if the route needs a key: the body is then read only from callers that have one.
///
/// ```
/// use brokkr_http::server::{ApiJson, Problem};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Preview {
///     image: String,
/// }
///
/// async fn open(ApiJson(preview): ApiJson<Preview>) -> Result<String, Problem> {
///     Ok(format!("deploying {}", preview.image))
/// }
///
/// # fn routes() -> axum::Router {
/// axum::Router::new().route("/previews", axum::routing::post(open))
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ApiJson<T>(pub T);

impl<S, T> FromRequest<S> for ApiJson<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let reader = Reader::of_host(&request);
        let Json(value) = Json::from_body(request, reader).await?;
        Ok(Self(value))
    }
}

/// A JSON body of at most 1 MiB, validated strictly.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromBody for Json<T> {
    async fn from_body(request: Request, reader: Reader) -> Result<Self, Problem> {
        reader.json(request, limits::SMALL_BODY_BYTES, &["application/json"]).await.and_then(typed).map(Self)
    }
}

/// A JSON body of at most 8 MiB, as an untyped value.
pub(crate) struct LargeJson(pub(crate) Value);

impl FromBody for LargeJson {
    async fn from_body(request: Request, reader: Reader) -> Result<Self, Problem> {
        reader.json(request, limits::BODY_BYTES, &["application/json"]).await.map(Self)
    }
}

/// A JSON Merge Patch (RFC 7396), which must be an object.
pub(crate) struct MergePatch(pub(crate) serde_json::Map<String, Value>);

impl FromBody for MergePatch {
    async fn from_body(request: Request, reader: Reader) -> Result<Self, Problem> {
        let types = ["application/merge-patch+json", "application/json"];
        match reader.json(request, limits::SMALL_BODY_BYTES, &types).await? {
            Value::Object(patch) => Ok(Self(patch)),
            _ => {
                Err(Invalid::new(InvalidCode::FieldInvalid, "expected an object, as a JSON Merge Patch (RFC 7396)")
                    .into())
            }
        }
    }
}

/// A JSON body that may be absent or null; both mean an empty object.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + Send> FromBody for OptionalJson<T> {
    async fn from_body(request: Request, reader: Reader) -> Result<Self, Problem> {
        if request.headers().get(header::CONTENT_TYPE).is_none() && request.body().is_end_stream() {
            reader.enter().await?;
            return Ok(Self(T::default()));
        }
        let Json(value) = Json::<Option<T>>::from_body(request, reader).await?;
        Ok(Self(value.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::StreamExt as _;

    use super::*;

    /// A body of `chunks` chunks, one in each `interval`.
    fn slow(chunks: usize, bytes: usize, interval: Duration) -> Body {
        let chunk = move |n| async move {
            if n > 0 {
                tokio::time::sleep(interval).await;
            }
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))
        };
        Body::from_stream(futures::stream::iter(0..chunks).then(chunk))
    }

    #[tokio::test(start_paused = true)]
    async fn body_must_arrive_at_a_rate() {
        const KIB: usize = 1024;
        let second = Duration::from_secs(1);
        for (what, chunks, bytes, interval, is_declared, arrives, seconds) in [
            ("one pause", 2, KIB, second * 5, true, true, 5),
            ("a longer pause", 2, KIB, second * 6, true, false, 5),
            ("slow, but soon complete", 5, 1, second, true, true, 4),
            ("slow and long", 100, KIB, second, true, false, 5),
            ("at the rate", 28, 16 * KIB, second, false, true, 27),
            ("below the rate", 28, 8 * KIB, second, false, false, 10),
            ("as fast as its size needs", 28, 256 * KIB, second, true, true, 27),
            ("too slow for its size", 200, 40 * KIB, second, true, false, 5),
            ("longer than any body", 40, 32 * KIB, second, false, false, 30),
        ] {
            let reader = Reader { operation: None, in_flight: None, admission: None };
            let expected = is_declared.then_some(chunks * bytes);
            let receive = reader.receive(slow(chunks, bytes, interval), limits::BODY_BYTES, expected);
            let began = Instant::now();
            let received = tokio::time::timeout(BODY_TIME, receive).await;
            assert_eq!((received.is_ok_and(|it| it.is_ok()), began.elapsed().as_secs()), (arrives, seconds), "{what}");
        }
    }
}
