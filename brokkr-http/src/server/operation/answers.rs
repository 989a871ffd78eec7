//! The problem responses of operations, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder};

use crate::api::PROBLEM_JSON;

fn describe(status: u16) -> &'static str {
    match status {
        400 => "The query, a header or the body is malformed.",
        401 => "The request has no valid key.",
        403 => "The key's kind does not permit the operation, or the agent is retired.",
        404 => "The object does not exist, or the key has no access to it.",
        406 => "The operation supports none of the accepted media types.",
        409 => {
            "The request conflicts with the current state: a name is taken, a reference is invalid, a limit or a quota is reached, an object is \
                in use or being deleted, or too many changes ran concurrently."
        }
        410 => "The changes after the position are no longer retained.",
        412 => "The object's version differs from the one in If-Match.",
        413 => "The body exceeds the size limit.",
        414 => "The path and the query exceed the size limit.",
        415 => "The operation does not support the body's media type.",
        422 => "The request is well-formed but invalid: `pointer` or `parameter` names the place, `detail` the reason.",
        428 => "The request has no If-Match header.",
        429 => "The caller has sent too many requests: `limit` names the rate.",
        431 => "The request head exceeds the size limit.",
        500 => "An internal error. The broker's log contains the cause under the request id.",
        _ => {
            "The service is temporarily unavailable, or serves too many requests of this kind. Retry after the delay in the \
                Retry-After header."
        }
    }
}

fn problem(status: u16) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(describe(status)).content(PROBLEM_JSON, content).build()
}

fn responses(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let one = |builder: ResponsesBuilder, status: &u16| builder.response(status.to_string(), problem(*status));
    statuses.iter().fold(ResponsesBuilder::new(), one).build().into()
}

/// Defines named sets of problem responses.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident = $statuses:expr;)*) => {$(
        $(#[$doc])*
        pub(in crate::server) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&$statuses)
            }
        }
    )*};
}

answers! {
    /// Responses of every operation that requires a key.
    Keyed = [400, 401, 403, 414, 429, 431, 500, 503];
    /// Operations on an object that may not exist.
    Found = [404];
    /// Operations with query parameters that are validated.
    Filtered = [422];
    /// Operations that change something.
    Changing = [409];
    /// The document, which needs no key.
    Open = [429];
    /// Operations with a request body.
    Bodied = [413, 415, 422];
    /// Operations that require `If-Match`.
    Versioned = [412, 428];
    /// Operations with an optional `If-Match`.
    MaybeVersioned = [412];
    /// Operations that negotiate the response's media type.
    Negotiated = [406];
    /// Operations that read the feed from a position.
    Positioned = [410];
    /// The readiness probe.
    Ready = [503];
}
