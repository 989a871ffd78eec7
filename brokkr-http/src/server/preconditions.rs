//! `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use brokkr_core::model::{Digest, Version};

use super::problem::Problem;

/// The tags in `If-None-Match`. Weak tags match too: a proxy that compresses makes tags weak (RFC 9110, section 13.1.2).
pub(crate) fn known_tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|tag| tag.trim().trim_start_matches("W/"))
}

/// The digest in `If-None-Match`. `None` if the header is absent or its tag is not a digest: it then matches nothing.
pub(crate) struct Known(pub(crate) Option<Digest>);

impl<S: Send + Sync> FromRequestParts<S> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let digest = |tag: &str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Ok(Self(known_tags(&parts.headers).find_map(digest)))
    }
}

/// The version that the required header `If-Match` names. `None` for `*`, which matches any version.
pub(crate) struct IfMatch(pub(crate) Option<Version>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if !parts.headers.contains_key(header::IF_MATCH) {
            return Err(Problem::precondition_required());
        }
        if_match(&parts.headers).map(Self)
    }
}

/// Parses `If-Match`. `None` means any existing version: the header is absent or is `*` (RFC 9110, section 13.1.1).
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let text = value.to_str().ok().map(str::trim).filter(|_| more.is_none());
    if text == Some("*") {
        return Ok(None);
    }
    let tag = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    // A version has one notation, so that one version is one ETag.
    let is_number = |tag: &&str| tag.bytes().all(|byte| byte.is_ascii_digit()) && !tag.starts_with('0');
    let version = tag.filter(is_number).and_then(|tag| tag.parse().ok());
    version.map(|version| Some(Version::new(version))).ok_or_else(|| {
        Problem::header_invalid(header::IF_MATCH, "expected one ETag from an earlier response, such as \"3\", or *")
    })
}
