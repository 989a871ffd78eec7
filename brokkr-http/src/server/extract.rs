//! Extractors of paths and queries, which bound and strictly validate them.

use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use brokkr_control::Actor;
use brokkr_core::error::{Invalid, excerpt};
use brokkr_core::model::limits;
use brokkr_core::store::{Listing, Page};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cursor::CursorKey;
use super::problem::Problem;
use crate::api::List;

/// More parameters than any operation has.
const PARAMS_MAX: usize = 32;

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
