//! The problems that operations answer, for the document.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder};

use crate::api::PROBLEM_JSON;

fn describe(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read: its query, a header or its body is malformed.",
        401 => "There is no valid key.",
        403 => "Keys of this kind may not do this, or the agent is retired.",
        404 => "There is no such object, or none that this key may see.",
        406 => "None of the accepted media types is served.",
        409 => {
            "The request does not go with the present state: a name is taken, a reference does not hold, a limit is reached, something \
                is in use or being deleted, or too much changed at once."
        }
        410 => "What follows the position is no longer kept.",
        412 => "The object has another version than If-Match names.",
        413 => "The body is too large.",
        415 => "The body is of no media type that is taken.",
        422 => "The request was read and is refused: `pointer` or `parameter` says where, `detail` why.",
        428 => "If-Match is required.",
        500 => "A defect. The broker's log knows the request id.",
        _ => "Not now: try again after the time that Retry-After names.",
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

/// Problems under one name for operations to answer.
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
    /// Every operation that needs a key.
    Keyed = [400, 401, 403, 500, 503];
    /// An operation on what may not be there.
    Found = [404];
    /// A query with texts that are read and may be refused.
    Filtered = [422];
    /// An operation that changes something.
    Changing = [409];
    /// A body that is read.
    Bodied = [413, 415, 422];
    /// A change of a version that is known.
    Versioned = [412, 428];
    /// A removal of a version that may be known.
    MaybeVersioned = [412];
    /// A media type of choice.
    Negotiated = [406];
    /// A position that may be too old.
    Positioned = [410];
    /// A service that may not be ready.
    Ready = [503];
}
