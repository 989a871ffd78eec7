//! What a request must fulfil whatever its route is.

use std::collections::{HashMap, HashSet};

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, Version, header};
use brokkr_core::error::excerpt;
use brokkr_core::model::{KeyKind, limits};
use brokkr_core::pak::Pak;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use super::classes::WorkClass;
use super::identified::Wanted;
use super::problem::Problem;
use super::wire::Refusal;
use crate::api::{API_V1, ProblemType};

/// The operations of the API: path and method.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// The methods of each path.
    paths: HashMap<String, Vec<(Method, Wanted)>>,
    without_query: HashSet<(String, Method)>,
}

impl Operations {
    /// Reads them from the OpenAPI document.
    pub(super) fn of(document: &OpenApi) -> Self {
        let mut operations = Self::default();
        for (path, item) in &document.paths.paths {
            if !path.starts_with(API_V1) {
                // Probes: what asks for them may add parameters.
                continue;
            }
            let mut wanted = Vec::new();
            for (method, operation) in methods(item) {
                let has_pages = operation.parameters.iter().flatten().any(|it| is_named(it, "limit"));
                let class = Some(WorkClass::of(path, &method, has_pages));
                let has_body = operation.request_body.is_some();
                let of_method = Wanted { class, has_body, is_write: !method.is_safe() };
                if method == Method::GET {
                    wanted.push((Method::HEAD, of_method));
                }
                wanted.push((method.clone(), of_method));
                let is_query =
                    |it: &RefOr<Parameter>| matches!(it, RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query));
                if !operation.parameters.iter().flatten().any(is_query) {
                    if method == Method::GET {
                        operations.without_query.insert((path.clone(), Method::HEAD));
                    }
                    operations.without_query.insert((path.clone(), method));
                }
            }
            operations.paths.insert(path.clone(), wanted);
        }
        operations
    }

    /// Whether a path of the API does not have a method.
    fn lacks(&self, route: &str, method: &Method) -> bool {
        self.paths.get(route).is_some_and(|methods| methods.iter().all(|(it, _)| it != method))
    }

    /// What the admission of a request needs to know about its operation.
    pub(super) fn wanted(&self, route: Option<&str>, method: &Method) -> Wanted {
        let methods = route.and_then(|route| self.paths.get(route));
        let found = methods.and_then(|methods| methods.iter().find(|(it, _)| it == method));
        let other = Wanted { class: None, has_body: false, is_write: !method.is_safe() };
        found.map_or(other, |(_, wanted)| *wanted)
    }
}

fn is_named(parameter: &RefOr<Parameter>, name: &str) -> bool {
    matches!(parameter, RefOr::T(it) if it.name == name)
}

fn methods(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Refuses a request that no route may answer.
pub(super) fn admit(request: &Request, operations: &Operations) -> Result<(), Problem> {
    if let Some(refusal) = request.extensions().get::<Refusal>() {
        return Err(Problem::from(*refusal));
    }
    check_size(request)?;
    let route = request.extensions().get::<MatchedPath>();
    let method = request.method();
    // Routes answer other methods themselves, with the methods that they have.
    if *method == Method::CONNECT || (*method == Method::TRACE || !is_known(method)) && route.is_none() {
        return Err(Problem::method_not_allowed());
    }
    if let Some(query) = request.uri().query() {
        refuse_key(query)?;
        let has_none =
            route.is_some_and(|it| operations.without_query.contains(&(it.as_str().to_owned(), method.clone())));
        if has_none && let Some((name, _)) = form_urlencoded::parse(query.as_bytes()).next() {
            return Err(Problem::query_invalid(&excerpt(&name), "the operation has no query parameters; remove it"));
        }
    }
    // The route refuses a method that it does not have.
    let is_lacking = route.is_some_and(|it| operations.lacks(it.as_str(), method));
    if matches!(*method, Method::GET | Method::HEAD | Method::DELETE) && has_body(request) && !is_lacking {
        return Err(Problem::new(ProblemType::RequestMalformed).detail(format!("send {method} without a body")));
    }
    Ok(())
}

fn has_body(request: &Request) -> bool {
    if request.version() < Version::HTTP_2 {
        return !request.body().is_end_stream();
    }
    // In HTTP/2 an empty body may end after the head.
    request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS
    )
}

/// Checks what the gate of HTTP/1 checks too, for requests that came another way.
fn check_size(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > limits::REQUEST_URI_BYTES {
        return Err(Refusal::UriTooLong.into());
    }
    if is_too_large(request.headers()) { Err(Refusal::HeadTooLarge.into()) } else { Ok(()) }
}

fn is_too_large(headers: &HeaderMap) -> bool {
    let mut sum = 0;
    for (name, value) in headers {
        let bytes = name.as_str().len() + value.len();
        if bytes > limits::REQUEST_HEADER_BYTES {
            return true;
        }
        sum += bytes;
    }
    sum > limits::REQUEST_HEAD_BYTES
}

/// Refuses a key in the query, also percent-encoded, because proxies and servers log URLs.
fn refuse_key(query: &str) -> Result<(), Problem> {
    let is_of_a_kind = |rest: &str| {
        KeyKind::ALL.iter().any(|kind| rest.strip_prefix(kind.tag()).is_some_and(|rest| rest.starts_with('_')))
    };
    let has_key = |text: &str| text.split(Pak::PREFIX).skip(1).any(is_of_a_kind);
    let mut text = query.to_owned();
    // Encoded twice, it would be decoded by whoever reads the first decoding.
    for _ in 0..3 {
        if has_key(&text) {
            return Err(Problem::credential_in_url());
        }
        if !text.contains('%') {
            break;
        }
        // A name and a value each are one text.
        let mut decoded = String::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            decoded.push_str(&name);
            decoded.push('=');
            decoded.push_str(&value);
            decoded.push('&');
        }
        text = decoded;
    }
    Ok(())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(detail) => Self::new(ProblemType::RequestMalformed).detail(detail),
            Refusal::HeadTooLarge => Self::new(ProblemType::HeadTooLarge),
            Refusal::UriTooLong => Self::new(ProblemType::UriTooLong),
            Refusal::TransferCoding => Self::new(ProblemType::TransferCodingUnsupported),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_in_a_query_is_found_in_every_encoding() {
        for (query, is_key) in [
            ("message=brokkr_admin_abc", true),
            ("a=b&brokkr_agent_abc", true),
            ("message=x+brokkr_generator_abc", true),
            ("message=brokkr%5Fadmin%5Fabc", true),
            ("message=%62rokkr_reader_abc", true),
            ("message=%62%72%6f%6b%6b%72%5f%61%64%6d%69%6e%5fabc", true),
            ("message=brokkr%255Fadmin%255Fabc", true),
            ("%62rokkr_admin_=x", true),
            ("message=brokkr_other_abc", false),
            ("message=100%", false),
            ("message=brokkr%5Fadmin", false),
            ("", false),
        ] {
            assert_eq!(refuse_key(query).is_err(), is_key, "{query}");
        }
    }
}
