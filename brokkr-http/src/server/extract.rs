//! Extractors that authenticate, bound and strictly validate requests.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use brokkr_control::{Actor, BrokerError};
use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use brokkr_core::manifest::parse_json;
use brokkr_core::model::limits;
use brokkr_core::store::{Listing, Page};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cursor::CursorKey;
use super::problem::Problem;
use super::typed::typed;
use crate::api::List;

/// More parameters than any operation has.
const PARAMS_MAX: usize = 32;
/// Time limit for receiving a request body.
const BODY_TIME: Duration = Duration::from_secs(limits::REQUEST_BODY_SECONDS);

/// The expected value of a parameter that takes an id.
pub(crate) const ID: &str = "an id: a UUID in lower case with hyphens";

/// Typed path parameters, like [`axum::extract::Path`]. A value that does not parse answers 404, like an id that does not
/// exist.
#[derive(Debug, Clone)]
pub struct ApiPath<T>(pub T);

impl<S, T> FromRequestParts<S> for ApiPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(value)| Self(value)).map_err(|_| Problem::not_found())
    }
}

/// The query parameters. Each may occur once; unknown ones are refused.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (key, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let shown = excerpt(&key);
            if params.len() == PARAMS_MAX {
                return Err(Problem::query_invalid(&shown, format!("send at most {PARAMS_MAX} parameters")));
            }
            if value.contains('\0') {
                return Err(Problem::query_invalid(&shown, "the value contains NUL; remove it"));
            }
            if params.iter().any(|(known, _)| *known == key) {
                return Err(Problem::query_invalid(&shown, "duplicate parameter; send it once"));
            }
            params.push((key.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }
}

impl Params {
    fn text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes a parameter; `None` if it is absent. `expected` describes valid values in the problem.
    pub(crate) fn take<T: std::str::FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| text.parse().map_err(|_| unexpected(name, &text, expected))).transpose()
    }

    /// Takes a whole number, written in decimal digits only.
    pub(crate) fn take_number(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let digits = Some(text.as_str()).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                Err(unexpected(name, &text, &expected))
            }
        }
    }

    /// Takes a parameter in its JSON notation, such as an enum value or a time. `expected` describes valid values in the
    /// problem.
    pub(crate) fn take_word<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let read = serde_json::from_value(Value::String(text.clone()));
        read.map(Some).map_err(|_| unexpected(name, &text, expected))
    }

    /// Takes a parameter whose parser explains what is wrong.
    pub(crate) fn take_checked<T: std::str::FromStr<Err = Invalid>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| text.parse()).transpose().map_err(|invalid| Problem::in_query(name, invalid))
    }

    /// Refuses parameters that no call has taken.
    pub(crate) fn done(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => {
                Err(Problem::query_invalid(&excerpt(key), "unknown parameter; remove it or correct its name"))
            }
        }
    }

    /// Takes `limit` and `cursor`. Out-of-range values are refused, not clamped.
    pub(crate) fn page<K: DeserializeOwned>(
        &mut self,
        cursors: &CursorKey,
        list: &str,
        actor: &Actor,
    ) -> Result<Page<K>, Problem> {
        self.page_of(limits::PAGE_DEFAULT, cursors, list, actor)
    }

    /// Like [`page`](Self::page), with another default page size.
    pub(crate) fn page_of<K: DeserializeOwned>(
        &mut self,
        default: usize,
        cursors: &CursorKey,
        list: &str,
        actor: &Actor,
    ) -> Result<Page<K>, Problem> {
        let limit = self.limit(default)?;
        let cursor = self.text("cursor");
        let after = cursor.map(|cursor| cursors.read(list, actor, &cursor)).transpose();
        Ok(Page { limit, after: after.map_err(|invalid| Problem::in_query("cursor", invalid))? })
    }

    /// Takes `limit`, the page size.
    pub(crate) fn limit(&mut self, default: usize) -> Result<usize, Problem> {
        let limit = self.take_number("limit", 1..=limits::PAGE_MAX as u64)?;
        // The number is in range, so the conversion cannot fail.
        Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default))
    }
}

fn unexpected(name: &str, text: &str, expected: &str) -> Problem {
    Problem::query_invalid(name, format!("invalid value \"{}\"; expected {expected}", excerpt(text)))
}

/// Converts a page to its document, with the cursor of the next page.
pub(crate) fn listed<T, U: From<T>, K: Serialize>(
    cursors: &CursorKey,
    list: &str,
    actor: &Actor,
    page: Listing<T, K>,
) -> axum::Json<List<U>> {
    let next = page.next.and_then(|key| cursors.issue(list, actor, &key));
    axum::Json(List { items: page.items.into_iter().map(U::from).collect(), next })
}

/// Reads a whole body of any media type, within a size limit and a time limit.
pub(crate) async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    if request.body().size_hint().lower() > limit as u64 {
        return Err(Problem::body_too_large(limit));
    }
    match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(request.into_body(), limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(Problem::body_too_large(limit)),
        _ => Err(Problem::body_incomplete()),
    }
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|it| it.is::<http_body_util::LengthLimitError>())
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

/// A JSON body of at most 1 MiB, validated strictly. A wrong media type, a duplicate key or a value that does not match the
/// type answers with a [`Problem`] that names the place. Types with `deny_unknown_fields` also refuse unknown fields.
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
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_json(request, limits::SMALL_BODY_BYTES, &["application/json"]).await.and_then(typed).map(Self)
    }
}

/// A JSON body of at most 8 MiB, as an untyped value.
pub(crate) struct LargeJson(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for LargeJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_json(request, limits::BODY_BYTES, &["application/json"]).await.map(Self)
    }
}

/// A JSON Merge Patch (RFC 7396), which must be an object.
pub(crate) struct MergePatch(pub(crate) serde_json::Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let types = ["application/merge-patch+json", "application/json"];
        match read_json(request, limits::SMALL_BODY_BYTES, &types).await? {
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

impl<S, T> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.headers().get(header::CONTENT_TYPE).is_none() && request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        let ApiJson(value) = ApiJson::<Option<T>>::from_request(request, state).await?;
        Ok(Self(value.unwrap_or_default()))
    }
}

async fn read_json(request: Request, limit: usize, types: &[&str]) -> Result<Value, Problem> {
    if !media_type(request.headers()).is_some_and(|it| types.iter().any(|taken| taken.eq_ignore_ascii_case(it))) {
        return Err(Problem::unsupported_media_type(&types.join(" or ")));
    }
    parse_body(read_body(request, limit).await?).await
}

/// Parses a body. A large one is parsed on a blocking thread, so that it does not delay other requests.
pub(crate) async fn parse_body(body: Bytes) -> Result<Value, Problem> {
    if body.len() <= limits::SMALL_BODY_BYTES {
        return Ok(parse_json(&body)?);
    }
    let parsed = tokio::task::spawn_blocking(move || parse_json(&body)).await;
    Ok(parsed.map_err(|error| BrokerError::Internal(Box::new(error)))??)
}
