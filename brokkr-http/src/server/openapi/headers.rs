//! Response headers.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, OpenApi, RefOr, Response};

use crate::api::{EPOCH_HEADER, GENERATION_HEADER};

/// Operations whose successful response carries the ETag of its body.
const TAGGED: [&str; 17] = [
    "getAgent",
    "createAgent",
    "patchAgent",
    "confirmEpoch",
    "getJoinToken",
    "createJoinToken",
    "join",
    "getGenerator",
    "createGenerator",
    "patchGenerator",
    "getStack",
    "createStack",
    "patchStack",
    "applyStack",
    "deleteStack",
    "getTargetState",
    "getDeploymentObject",
];

fn text(description: &str, pattern: Option<&str>) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(pattern).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

fn uuid(description: &str) -> Header {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    let schema = ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

fn number(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

/// Adds the headers of each response.
pub(super) fn add(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let id = operation.operation_id.clone().unwrap_or_default();
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    describe(response, &id, status);
                }
            }
        }
    }
}

/// All operations of a path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn describe(response: &mut Response, operation: &str, status: &str) {
    let mut add = |name: &str, header: Header| drop(response.headers.insert(name.to_owned(), RefOr::T(header)));
    add("X-Request-Id", uuid("The request id, as in the broker's log and audit records."));
    let is_success = matches!(status, "200" | "201" | "202" | "304");
    if is_success && TAGGED.contains(&operation) {
        add(
            "ETag",
            text(
                "The version or the digest of the response's object, for If-Match and If-None-Match.",
                Some("^\".*\"$"),
            ),
        );
    }
    if is_success && operation == "getTargetState" {
        add(EPOCH_HEADER, uuid("The epoch of the target state."));
        add(GENERATION_HEADER, number("The generation of the target state."));
    }
    match status {
        "201" => add("Location", text("The path of the created object.", Some("^/api/v1/"))),
        "401" => add("WWW-Authenticate", text("The authentication scheme.", Some("^Bearer$"))),
        "409" | "429" | "503" => {
            add("Retry-After", number("Seconds to wait before a retry. Absent if a retry cannot succeed."))
        }
        _ => {}
    }
}
