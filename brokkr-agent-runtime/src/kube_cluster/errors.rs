//! From the API server's answers to errors by meaning.

use std::error::Error;
use std::time::Duration;

use brokkr_core::cluster::{ClusterError, FieldConflict};
use http::StatusCode;
use serde::Deserialize;

/// A `Status` (Kubernetes API conventions, "Response Status Kind").
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

pub(super) fn from_answer(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> ClusterError {
    let said: Status = serde_json::from_slice(body).unwrap_or_default();
    let has_cause = |reason: &str| said.details.causes.iter().any(|cause| cause.reason == reason);
    let message = if said.message.is_empty() { status.to_string() } else { said.message.clone() };
    match status {
        StatusCode::NOT_FOUND => ClusterError::NotFound(message),
        StatusCode::CONFLICT if has_cause("FieldManagerConflict") => {
            let conflicts = said.details.causes.iter().filter(|cause| cause.reason == "FieldManagerConflict");
            ClusterError::Conflict(
                conflicts
                    .map(|cause| FieldConflict { field: cause.field.clone(), manager: manager(&cause.message) })
                    .collect(),
            )
        }
        StatusCode::CONFLICT => ClusterError::Precondition(message),
        StatusCode::FORBIDDEN if has_cause("NamespaceTerminating") => ClusterError::Terminating(message),
        // Admission (quota, webhooks) refuses with 403 as well; the caller's rights are another matter.
        StatusCode::FORBIDDEN if !said.message.contains(" cannot ") => ClusterError::Denied(message),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ClusterError::Forbidden(message),
        StatusCode::PAYLOAD_TOO_LARGE => ClusterError::TooLarge(message),
        StatusCode::GONE => ClusterError::Expired(message),
        // How an API server says that an applied UID is another object's.
        StatusCode::UNPROCESSABLE_ENTITY if said.details.causes.iter().any(|cause| cause.field == "metadata.uid") => {
            ClusterError::Precondition(message)
        }
        // A webhook with side effects was in the way of a dry run. That says nothing about the object.
        StatusCode::BAD_REQUEST if message.ends_with("does not support dry run") => {
            ClusterError::Other { status: status.as_u16(), message }
        }
        status if status.is_client_error() && is_denied(&message) => ClusterError::Denied(message),
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => ClusterError::Invalid(message),
        StatusCode::TOO_MANY_REQUESTS => ClusterError::Unavailable { message, retry_after },
        StatusCode::INTERNAL_SERVER_ERROR if said.reason != "InternalError" && message.contains("too large") => {
            ClusterError::TooLarge(message)
        }
        status if status.is_server_error() => ClusterError::Unavailable { message, retry_after },
        status => ClusterError::Other { status: status.as_u16(), message },
    }
}

/// Whether a webhook or a policy says no: with whatever status, so that only the text tells.
fn is_denied(message: &str) -> bool {
    let by_webhook = message.contains("admission webhook ") && message.contains(" denied the request");
    by_webhook || message.contains("ValidatingAdmissionPolicy ") && message.contains(" denied request")
}

/// The manager in a cause's text: `conflict with "kubectl-edit" using v1`.
fn manager(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

pub(super) fn from_transport(error: &kube::Error) -> ClusterError {
    // The outer texts say little; the innermost says what happened.
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ClusterError::unavailable(innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_name_field_and_manager() {
        let body = br#"{"kind":"Status","status":"Failure","message":"Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl-edit\" using apps/v1","field":".spec.replicas"}]},"code":409}"#;
        let expected = FieldConflict { field: ".spec.replicas".to_owned(), manager: "kubectl-edit".to_owned() };
        assert_eq!(from_answer(StatusCode::CONFLICT, None, body), ClusterError::Conflict(vec![expected]));
    }

    #[test]
    fn what_cannot_be_tried_is_not_refused() {
        let say =
            |message: &str| format!(r#"{{"kind":"Status","message":"{message}","reason":"BadRequest","code":400}}"#);
        let of = |message: &str| from_answer(StatusCode::BAD_REQUEST, None, say(message).as_bytes());
        let untried = of(r#"admission webhook \"a.example\" does not support dry run"#);
        assert!(matches!(untried, ClusterError::Other { status: 400, .. }), "{untried:?}");
        assert!(matches!(of("strict decoding error: unknown field"), ClusterError::Invalid(_)));
    }

    #[test]
    fn what_admission_denies_is_told_from_what_is_wrong() {
        let say = |message: &str| format!(r#"{{"kind":"Status","message":"{message}","reason":"Invalid","code":422}}"#);
        let of = |message: &str| from_answer(StatusCode::UNPROCESSABLE_ENTITY, None, say(message).as_bytes());
        for denied in [
            r#"admission webhook \"a.example\" denied the request: no"#,
            "configmaps x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
        ] {
            assert!(matches!(of(denied), ClusterError::Denied(_)), "{denied}");
        }
        assert!(matches!(of("ConfigMap x is invalid: data: Forbidden: field is immutable"), ClusterError::Invalid(_)));
    }

    #[test]
    fn what_is_not_a_status_is_still_an_error() {
        assert!(matches!(from_answer(StatusCode::BAD_GATEWAY, None, b"<html>"), ClusterError::Unavailable { .. }));
        assert!(matches!(from_answer(StatusCode::IM_A_TEAPOT, None, b""), ClusterError::Other { status: 418, .. }));
    }
}
