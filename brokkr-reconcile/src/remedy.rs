//! One sentence that says how to fix an error of the API server.
//!
//! The server's messages only select the wording here; no decision depends on them.

use brokkr_core::model::ObjectRef;

use crate::cluster::ClusterError;

/// Returns how to fix an error of the API server, in one sentence; `None` if it resolves by itself.
pub(crate) fn remedy(object: &ObjectRef, error: &ClusterError) -> Option<String> {
    let said = |text: String| Some(text);
    match error {
        ClusterError::NotFound(message) => match quoted_after(message, "namespaces ") {
            Some(name) => said(format!("create the Namespace \"{name}\", or add its manifest to the stack")),
            None => said(format!(
                "install the API or the CustomResourceDefinition that serves {}; the agent then tries again",
                object.kind
            )),
        },
        ClusterError::Denied(message) => denied(message),
        ClusterError::Invalid(_) => said("correct the manifest and publish it again".to_owned()),
        ClusterError::Forbidden(_) => {
            said("grant the agent's account this right; `brokkr-agent rbac` prints the rules".to_owned())
        }
        ClusterError::Terminating(_) => {
            said("wait until the deletion completes; `kubectl describe` shows what blocks it".to_owned())
        }
        ClusterError::TooLarge(_) => said("make the object smaller, or split it into several objects".to_owned()),
        ClusterError::Webhook(message) => {
            let name = quoted_after(message, "webhook ").unwrap_or_default();
            let which = if name.is_empty() { "the webhook".to_owned() } else { format!("the webhook \"{name}\"") };
            said(format!(
                "restore the service behind {which}, or delete its webhook configuration, which disables its checks"
            ))
        }
        _ => None,
    }
}

fn denied(message: &str) -> Option<String> {
    let general = || "change the object, or the rule that rejects it; the agent then tries again".to_owned();
    Some(of_denial(message).unwrap_or_else(general))
}

/// Returns how to fix an admission denial that a message quotes; `None` for an unknown denial.
pub(crate) fn of_denial(message: &str) -> Option<String> {
    if message.contains("exceeded quota") {
        return Some("raise the ResourceQuota, or delete objects that count against it".to_owned());
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
        return Some(format!("change the object as the webhook \"{name}\" asks, or change the webhook's rules"));
    }
    if let Some(name) = quoted_after(message, "ValidatingAdmissionPolicy ") {
        return Some(format!(
            "change the object as the ValidatingAdmissionPolicy \"{name}\" asks, or change the policy"
        ));
    }
    None
}

/// Returns the first quoted word after a phrase: `a` for `namespaces "a" not found`.
fn quoted_after<'m>(message: &'m str, phrase: &str) -> Option<&'m str> {
    let rest = message.split_once(phrase)?.1;
    let quote = rest.chars().next().filter(|it| matches!(it, '"' | '\'' | '`'));
    match quote {
        Some(quote) => rest[1..].split(quote).next(),
        // Some messages have no quotes.
        None => rest.split([' ', ',', ':']).next().filter(|word| !word.is_empty()),
    }
}

/// Returns the remedy as a sentence to append to a message.
pub(crate) fn fix(said: &str, remedy: &str) -> String {
    let end = if said.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{end} Fix: {remedy}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_error_has_a_remedy() {
        let object = ObjectRef { group: String::new(), kind: "Pod".to_owned(), namespace: None, name: "a".to_owned() };
        let denied = |text: &str| ClusterError::Denied(text.to_owned());
        for (error, expected) in [
            (ClusterError::NotFound("namespaces \"shop\" not found".into()), "create the Namespace \"shop\","),
            (ClusterError::NotFound("the server could not find the requested resource".into()), "that serves Pod"),
            (denied("pods \"a\" is forbidden: exceeded quota: q, requested: pods=1"), "raise the ResourceQuota"),
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
            (ClusterError::TooLarge("x".into()), "smaller"),
            (
                ClusterError::Webhook("failed calling webhook \"w.example\": refused".into()),
                "behind the webhook \"w.example\",",
            ),
            (ClusterError::Webhook("failed".into()), "behind the webhook,"),
            (ClusterError::Terminating("x".into()), "wait until the deletion completes"),
        ] {
            let said = remedy(&object, &error).unwrap_or_default();
            assert!(said.contains(expected), "{error}: {said}");
        }
        assert_eq!(remedy(&object, &ClusterError::unavailable("away")), None);
    }
}
