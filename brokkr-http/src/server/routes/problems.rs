//! The problems that operations share, for the document.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder};

use crate::api::PROBLEM_JSON;

/// What every authenticated operation can answer.
pub(super) struct Reading;

/// What operations that take a body can answer in addition.
pub(super) struct Writing;

fn responses(statuses: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let one = |builder: ResponsesBuilder, (status, description): &(&str, &str)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        builder
            .response(*status, ResponseBuilder::new().description(*description).content(PROBLEM_JSON, content).build())
    };
    statuses.iter().fold(ResponsesBuilder::new(), one).build().into()
}

const READING: [(&str, &str); 6] = [
    ("400", "Malformed: query, cursor, header or body cannot be read"),
    ("401", "No valid key"),
    ("403", "Keys of this kind may not do this"),
    ("404", "No such thing, or none that the caller may see"),
    ("500", "A defect; the log knows the request id"),
    ("503", "Not now; see Retry-After"),
];

const WRITING: [(&str, &str); 6] = [
    ("409", "Conflict: the name is taken, something is being deleted or in use, or too many changes at once"),
    ("412", "The entity has another version than If-Match says"),
    ("413", "The body is too large"),
    ("415", "The body is not of a type that is taken"),
    ("422", "Understood and refused; pointer says where"),
    ("428", "If-Match is required"),
];

impl utoipa::IntoResponses for Reading {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&READING)
    }
}

impl utoipa::IntoResponses for Writing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[READING, WRITING].concat())
    }
}
