//! Classifies the API server's responses by meaning.

use std::error::Error;
use std::io;
use std::time::Duration;

use brokkr_reconcile::cluster::{ClusterError, FieldConflict};
use http::StatusCode;
use serde::Deserialize;

/// A `Status` object (Kubernetes API conventions, "Response Status Kind").
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    reason: String,
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

pub(super) fn from_response(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> ClusterError {
    let response: Status = serde_json::from_slice(body).unwrap_or_default();
    let has_cause = |reason: &str| response.details.causes.iter().any(|cause| cause.reason == reason);
    let message = if response.message.is_empty() { status.to_string() } else { response.message.clone() };
    match status {
        StatusCode::NOT_FOUND => ClusterError::NotFound(message),
        StatusCode::CONFLICT if has_cause("FieldManagerConflict") => {
            let conflicts = response.details.causes.iter().filter(|cause| cause.reason == "FieldManagerConflict");
            ClusterError::Conflict(
                conflicts
                    .map(|cause| FieldConflict { field: cause.field.clone(), manager: manager(&cause.message) })
                    .collect(),
            )
        }
        StatusCode::CONFLICT => ClusterError::Precondition(message),
        StatusCode::FORBIDDEN
            if has_cause("NamespaceTerminating")
                || message.contains("while custom resource definition is terminating") =>
        {
            ClusterError::Terminating(message)
        }
        // Admission (quotas, webhooks) also denies with 403. Only missing rights have "cannot" in the message.
        StatusCode::FORBIDDEN if !response.message.contains(" cannot ") => ClusterError::Denied(message),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ClusterError::Forbidden(message),
        StatusCode::PAYLOAD_TOO_LARGE => ClusterError::TooLarge(message),
        StatusCode::GONE => ClusterError::Expired(message),
        // The response to an apply whose UID belongs to another object.
        StatusCode::UNPROCESSABLE_ENTITY
            if response.details.causes.iter().any(|cause| cause.field == "metadata.uid") =>
        {
            ClusterError::Precondition(message)
        }
        // A webhook with side effects does not support dry runs, which says nothing about the object.
        StatusCode::BAD_REQUEST if message.ends_with("does not support dry run") => {
            ClusterError::Other { status: status.as_u16(), message }
        }
        _ if is_denied(&message) => ClusterError::Denied(message),
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => ClusterError::Invalid(message),
        StatusCode::TOO_MANY_REQUESTS => ClusterError::Unavailable { message, retry_after },
        StatusCode::INTERNAL_SERVER_ERROR => from_500(response.reason == "InternalError", message, retry_after),
        status if status.is_server_error() => ClusterError::Unavailable { message, retry_after },
        status => ClusterError::Other { status: status.as_u16(), message },
    }
}

/// Classifies a 500, which the API server returns for any untyped internal error: of the object, of a webhook, or of the
/// server itself. Only the last means that the server is unavailable.
fn from_500(internal: bool, message: String, retry_after: Option<Duration>) -> ClusterError {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["failed calling webhook", "failed calling admission webhook", "conversion webhook for"]) {
        return ClusterError::Webhook(message);
    }
    if !internal && has(&["too large", "larger than max"]) {
        return ClusterError::TooLarge(message);
    }
    if has(&STORAGE) {
        return ClusterError::Unavailable { message, retry_after };
    }
    if has(&MALFORMED) {
        return ClusterError::Invalid(message);
    }
    ClusterError::Other { status: 500, message }
}

/// Messages of server-side apply about an object that does not match its schema.
const MALFORMED: [&str; 5] = [
    "failed to create typed patch object",
    "failed to convert new",
    "failed to convert to unversioned",
    "unable to convert unstructured",
    "json: cannot unmarshal",
];
/// Messages of an API server that cannot reach its storage or its own components.
const STORAGE: [&str; 8] = [
    "etcdserver: leader",
    "etcdserver: no leader",
    "etcdserver: request timed out",
    "etcdserver: server stopped",
    "context deadline exceeded",
    "connection refused",
    "rpc error",
    "client connection lost",
];

/// Whether a webhook or a policy denied the request. They choose the status code, so only the message tells.
fn is_denied(message: &str) -> bool {
    let by_webhook = message.contains("admission webhook ") && message.contains(" denied the request");
    by_webhook || message.contains("ValidatingAdmissionPolicy ") && message.contains(" denied request")
}

/// Returns the manager in a cause's message: `conflict with "kubectl-edit" using v1`.
fn manager(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

pub(super) fn from_transport(error: &kube::Error) -> ClusterError {
    // The innermost error has the most specific message.
    let mut innermost: &(dyn Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // The fence (see `fence`) rejected the write: nothing was sent, and the server is not at fault.
    let is_refused = |it: &io::Error| it.kind() == io::ErrorKind::PermissionDenied;
    if innermost.downcast_ref::<io::Error>().is_some_and(is_refused) {
        return ClusterError::Fenced;
    }
    ClusterError::unavailable(innermost.to_string())
}

#[cfg(test)]
mod tests {
    use brokkr_reconcile::Reason;

    use super::*;

    #[test]
    fn conflict_names_field_and_manager() {
        let body = br#"{"kind":"Status","status":"Failure","message":"Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl-edit\" using apps/v1","field":".spec.replicas"}]},"code":409}"#;
        let expected = FieldConflict { field: ".spec.replicas".to_owned(), manager: "kubectl-edit".to_owned() };
        assert_eq!(from_response(StatusCode::CONFLICT, None, body), ClusterError::Conflict(vec![expected]));
    }

    #[test]
    fn unsupported_dry_run_is_not_a_rejection() {
        let say =
            |message: &str| format!(r#"{{"kind":"Status","message":"{message}","reason":"BadRequest","code":400}}"#);
        let of = |message: &str| from_response(StatusCode::BAD_REQUEST, None, say(message).as_bytes());
        let untried = of(r#"admission webhook \"a.example\" does not support dry run"#);
        assert!(matches!(untried, ClusterError::Other { status: 400, .. }), "{untried:?}");
        assert!(matches!(of("strict decoding error: unknown field"), ClusterError::Invalid(_)));
    }

    #[test]
    fn admission_denial_is_not_invalid() {
        let say = |message: &str| format!(r#"{{"kind":"Status","message":"{message}","reason":"Invalid","code":422}}"#);
        let of = |message: &str| from_response(StatusCode::UNPROCESSABLE_ENTITY, None, say(message).as_bytes());
        for denied in [
            r#"admission webhook \"a.example\" denied the request: no"#,
            "configmaps x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
        ] {
            assert!(matches!(of(denied), ClusterError::Denied(_)), "{denied}");
        }
        assert!(matches!(of("ConfigMap x is invalid: data: Forbidden: field is immutable"), ClusterError::Invalid(_)));
    }

    #[test]
    fn terminating_definition_is_terminating() {
        let message =
            "things.example.com a is forbidden: create not allowed while custom resource definition is terminating";
        let body = format!(r#"{{"kind":"Status","message":"{message}","reason":"Forbidden","code":403}}"#);
        let error = from_response(StatusCode::FORBIDDEN, None, body.as_bytes());
        assert!(matches!(error, ClusterError::Terminating(_)), "{error:?}");
    }

    #[test]
    fn internal_error_is_classified_by_message() {
        let say = |reason: &str, message: &str| {
            let body = serde_json::json!({"kind": "Status", "message": message, "reason": reason, "code": 500});
            Reason::from(&from_response(StatusCode::INTERNAL_SERVER_ERROR, None, body.to_string().as_bytes()))
        };
        for (reason, message, expected) in [
            (
                "",
                "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): duplicate entries for key [name=\"A\"]",
                Reason::Refused,
            ),
            (
                "",
                "failed to create typed patch object (a/b; v1, Kind=ConfigMap): .data.a: expected string, got 1.5",
                Reason::Refused,
            ),
            (
                "InternalError",
                "failed calling webhook \"w.example\": connect: connection refused",
                Reason::WebhookFailed,
            ),
            (
                "",
                "conversion webhook for example.com/v1, Kind=Widget failed: Post: x509: certificate",
                Reason::WebhookFailed,
            ),
            ("", "etcdserver: request is too large", Reason::TooLarge),
            ("", "rpc error: code = ResourceExhausted desc = trying to send message larger than max", Reason::TooLarge),
            ("", "etcdserver: request timed out", Reason::ApiUnavailable),
            ("InternalError", "Internal error occurred: context deadline exceeded", Reason::ApiUnavailable),
            ("InternalError", "Internal error occurred: something else", Reason::ApiError),
            ("", "admission webhook \"w.example\" denied the request: no", Reason::Refused),
        ] {
            assert_eq!(say(reason, message), expected, "{message}");
        }
        let unavailable = from_response(StatusCode::SERVICE_UNAVAILABLE, None, b"");
        assert_eq!(Reason::from(&unavailable), Reason::ApiUnavailable);
    }

    #[test]
    fn body_without_status_is_an_error() {
        assert!(matches!(from_response(StatusCode::BAD_GATEWAY, None, b"<html>"), ClusterError::Unavailable { .. }));
        assert!(matches!(from_response(StatusCode::IM_A_TEAPOT, None, b""), ClusterError::Other { status: 418, .. }));
    }
}
