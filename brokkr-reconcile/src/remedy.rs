//! One sentence that says how to fix an error of the API server.
//!
//! The server's messages only select the wording here; no decision depends on them.

use brokkr_core::model::ObjectRef;

use crate::cluster::{ClusterError, generator_user};
use crate::wording::{quoted_after, terminating_namespace};

/// Returns how to fix an error of the API server, in one sentence; `None` if it resolves by itself.
pub(crate) fn remedy(object: &ObjectRef, error: &ClusterError) -> Option<String> {
    match error {
        ClusterError::NotFound(message) if message.contains("namespaces ") => {
            Some("add the Namespace to the stack, or correct metadata.namespace".to_owned())
        }
        ClusterError::NotFound(_) => Some(format!(
            "install the API or the CustomResourceDefinition that serves {}; the agent then tries again",
            object.kind
        )),
        ClusterError::Denied(message) => denied(object, message),
        ClusterError::Invalid(message) if message.contains("nodePort") && message.contains("already allocated") => {
            Some("choose another nodePort, or leave it out".to_owned())
        }
        ClusterError::Invalid(_) => Some("correct the manifest and publish it again".to_owned()),
        ClusterError::Forbidden(message) => Some(forbidden(message)),
        ClusterError::Terminating(message) => Some(match terminating_namespace(message) {
            Some(name) => {
                format!("see what holds it: `kubectl get namespace {name} -o jsonpath='{{.status.conditions}}'`")
            }
            None => "wait until the deletion completes; `kubectl describe` shows what blocks it".to_owned(),
        }),
        ClusterError::TooLarge(_) => Some("make the object smaller, or split it into several objects".to_owned()),
        ClusterError::Webhook(message) if message.contains("conversion webhook for ") => {
            Some("restore the service behind it, which the CustomResourceDefinition names in spec.conversion".to_owned())
        }
        ClusterError::Webhook(_) => Some(
            "restore the service behind it; find it with `kubectl get \
             validatingwebhookconfigurations,mutatingwebhookconfigurations`; in an emergency set its failurePolicy: Ignore"
                .to_owned(),
        ),
        _ => None,
    }
}

fn forbidden(message: &str) -> String {
    let user_prefix = generator_user("");
    if let Some(name) = quoted_after(message, "User ").and_then(|user| user.strip_prefix(&user_prefix)) {
        return format!(
            "give the user {user_prefix}{name} this right; `brokkr-agent rbac --generator {name}` prints a role to start from"
        );
    }
    match message.contains(" cannot impersonate ") {
        true => {
            "let the agent's account impersonate the generator; `brokkr-agent rbac --generator NAME` prints the rules"
        }
        false => "grant the agent's account this right; `brokkr-agent rbac` prints the rules",
    }
    .to_owned()
}

fn denied(object: &ObjectRef, message: &str) -> Option<String> {
    let general = || "change the object, or the rule that rejects it; the agent then tries again".to_owned();
    Some(of_denial(message, object.namespace.as_deref()).unwrap_or_else(general))
}

/// Returns how to fix an admission denial that a message quotes; `None` for an unknown denial. `namespace` is the
/// object's.
pub(crate) fn of_denial(message: &str, namespace: Option<&str>) -> Option<String> {
    let place = namespace.unwrap_or("its namespace");
    if let Some((_, rest)) = message.split_once("exceeded quota: ") {
        let name = rest.split(',').next().unwrap_or_default();
        let limits = rest.split_once("limited: ").map(|(_, limits)| limits).unwrap_or_default();
        // Where nothing is allowed, no deletion helps.
        let other = if limits.split(',').all(|it| it.ends_with("=0")) {
            "which allows none, or remove the object from the stack"
        } else {
            "or lower the number of objects, replicas or requests"
        };
        return Some(format!("raise the ResourceQuota \"{name}\" in {place}, {other}"));
    }
    if let Some(name) = message.split_once("failed quota: ").and_then(|(_, rest)| rest.split(':').next()) {
        return Some(format!("set these requests and limits, which the ResourceQuota \"{name}\" in {place} demands"));
    }
    if message.contains("attempting to grant RBAC permissions not currently held") {
        return Some("remove the rights that the generator does not have itself, or give them to it first".to_owned());
    }
    if message.contains(" usage per ") || message.contains(" to request ratio per ") {
        let look = namespace.map(|it| format!(" (`kubectl get limitrange -n {it}`)")).unwrap_or_default();
        return Some(format!("change the object's requests and limits, or the LimitRange in {place}{look}"));
    }
    if let Some(name) = quoted_after(message, "no PriorityClass with name ") {
        return Some(format!("create the PriorityClass \"{name}\", or name one that exists"));
    }
    if let Some(name) = quoted_after(message, "RuntimeClass ") {
        return Some(format!("create the RuntimeClass \"{name}\", or name one that exists"));
    }
    if message.contains("violates PodSecurity") {
        return Some(
            "meet the Namespace's Pod Security level, or change its label pod-security.kubernetes.io/enforce"
                .to_owned(),
        );
    }
    if let Some(name) = quoted_after(message, "admission webhook ") {
        return Some(format!(
            "change the object as the webhook \"{name}\" asks, or ask the owner of the webhook what it expects"
        ));
    }
    if let Some(name) = quoted_after(message, "ValidatingAdmissionPolicy ") {
        return Some(format!(
            "change the object as the ValidatingAdmissionPolicy \"{name}\" asks, or change the policy"
        ));
    }
    None
}

/// Returns the remedy as a sentence to append to a message.
pub(crate) fn fix(message: &str, remedy: &str) -> String {
    let end = if message.is_empty() || message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{end} Fix: {remedy}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_error_has_a_remedy() {
        let object = ObjectRef {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "a".to_owned(),
        };
        let denied = |text: &str| ClusterError::Denied(text.to_owned());
        for (error, expected) in [
            (ClusterError::NotFound("namespaces \"shop\" not found".into()), "add the Namespace to the stack"),
            (ClusterError::NotFound("the server could not find the requested resource".into()), "that serves Pod"),
            (
                denied("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
                "raise the ResourceQuota \"q\" in shop, or lower the number",
            ),
            (
                denied("exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"),
                "raise the ResourceQuota \"none\" in shop, which allows none",
            ),
            (denied("failed quota: q: must specify limits.cpu for: main"), "which the ResourceQuota \"q\" in shop"),
            (denied("maximum cpu usage per Container is 2, but limit is 8"), "or the LimitRange in shop"),
            (
                denied("pods \"a\" is forbidden: no PriorityClass with name urgent was found"),
                "create the PriorityClass \"urgent\",",
            ),
            (
                denied("pods \"a\" is forbidden: pod rejected: RuntimeClass \"gvisor\" not found"),
                "create the RuntimeClass \"gvisor\",",
            ),
            (denied("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\""), "meet the Namespace's"),
            (denied("admission webhook \"w.example\" denied the request: no"), "the webhook \"w.example\" asks"),
            (denied("x: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"), "Policy \"p\" asks"),
            (denied("no"), "change the object, or the rule"),
            (ClusterError::Invalid("spec.x".into()), "correct the manifest"),
            (ClusterError::Forbidden("cannot patch".into()), "brokkr-agent rbac"),
            (
                ClusterError::Forbidden(
                    "pods \"a\" is forbidden: User \"brokkr:generator:shop\" cannot patch resource".into(),
                ),
                "give the user brokkr:generator:shop this right; `brokkr-agent rbac --generator shop`",
            ),
            (
                ClusterError::Forbidden(
                    "users \"brokkr:generator:shop\" is forbidden: User \"agent\" cannot impersonate resource".into(),
                ),
                "let the agent's account impersonate",
            ),
            (
                denied("user \"brokkr:generator:shop\" is attempting to grant RBAC permissions not currently held:"),
                "remove the rights that the generator does not have itself",
            ),
            (ClusterError::TooLarge("x".into()), "smaller"),
            (
                ClusterError::Webhook("failed calling webhook \"w.example\": refused".into()),
                "find it with `kubectl get validatingwebhookconfigurations,mutating",
            ),
            (
                ClusterError::Webhook("conversion webhook for w.example/v1, Kind=Widget failed: Post".into()),
                "in spec.conversion",
            ),
            (
                ClusterError::Invalid(
                    "spec.ports[0].nodePort: Invalid value: 31234: provided port is already allocated".into(),
                ),
                "choose another nodePort",
            ),
            (ClusterError::Terminating("x".into()), "wait until the deletion completes"),
            (
                ClusterError::Terminating(
                    "unable to create new content in namespace n because it is being terminated".into(),
                ),
                "kubectl get namespace n -o jsonpath='{.status.conditions}'",
            ),
        ] {
            let text = remedy(&object, &error).unwrap_or_default();
            assert!(text.contains(expected), "{error}: {text}");
        }
        assert_eq!(remedy(&object, &ClusterError::unavailable("away")), None);
    }
}
