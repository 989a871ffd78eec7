//! Describes an update that the API server rejects because of an immutable field: which field, from what, to what.

use brokkr_core::model::{ObjectRef, shorten};
use serde_json::Value;

use crate::cluster::meta;
use crate::order::is_namespace_or_crd;
use crate::wording::tidy;

/// Maximum number of fields in a message.
const FIELDS: usize = 3;
/// Maximum bytes of a value in a message.
const VALUE_BYTES: usize = 40;

/// Whether a rejection looks like one of an immutable field. Only selects the wording; no decision depends on it.
pub(crate) fn looks_immutable(message: &str) -> bool {
    ["immutable", "may not change", "updates to", "cannot be changed", "cannot change"]
        .iter()
        .any(|it| message.contains(it))
}

/// Returns the text for a rejected update: the changed fields if they are known, or the server's message.
pub(crate) fn describe(object: &ObjectRef, desired: &Value, live: Option<&Value>, refusal: &str) -> String {
    let is_secret = object.kind == "Secret";
    let fields = match live {
        Some(live) if looks_immutable(refusal) => changed(desired, live, refusal, is_secret),
        _ => Vec::new(),
    };
    match fields.len() {
        // The server's message may quote the Secret.
        0 if is_secret => "the API server rejected the change: Invalid".to_owned(),
        0 => format!("the API server rejected the change: {}", tidy(refusal)),
        1 => format!("this field cannot be changed: {}", fields.join("; ")),
        _ => format!("these fields cannot be changed: {}", fields.join("; ")),
    }
}

/// Returns how to fix the change of an immutable field if the policy does not allow the agent to replace the object.
pub(crate) fn remedy(object: &ObjectRef, live: Option<&Value>) -> String {
    if let Some(live) = live {
        if is_unbound_claim(object, live) {
            return DELETE_CLAIM.to_owned();
        }
        if obstacle(object, live).is_some() {
            return "publish the previous value, or rename the object".to_owned();
        }
    }
    let how = match (object.group.as_str(), object.kind.as_str()) {
        ("batch", "Job") => "deletes the object, creates it again and runs it",
        ("apps", _) | ("", "Pod") => "deletes the object and creates it again; its pods stop meanwhile",
        _ => "deletes the object and creates it again",
    };
    format!(
        "publish the previous value, rename the object, or set the policy replace_immutable: true in the stack's \
         policies, which {how}"
    )
}

/// Returns why an object must not be replaced under any policy: data would be lost, or objects of others affected.
pub(crate) fn obstacle(object: &ObjectRef, live: &Value) -> Option<&'static str> {
    if is_namespace_or_crd(object) {
        return Some("the deletion would also delete every object in it");
    }
    match (object.group.as_str(), object.kind.as_str()) {
        ("", "PersistentVolumeClaim") if is_unbound_claim(object, live) => {
            return Some("it never deletes a volume claim by itself");
        }
        ("", "PersistentVolumeClaim" | "PersistentVolume") => return Some("its data would be lost"),
        ("apps", "StatefulSet")
            if live
                .pointer("/spec/volumeClaimTemplates")
                .and_then(Value::as_array)
                .is_some_and(|it| !it.is_empty()) =>
        {
            return Some("it has volume claims, whose data would be lost");
        }
        _ => {}
    }
    meta::finalizers(live).next().is_some().then_some("it has finalizers")
}

/// How to change a claim without a volume.
pub(crate) const DELETE_CLAIM: &str =
    "delete the claim in the cluster, which loses nothing, because it has no volume; the agent creates it again";

/// Whether an object is a volume claim without a volume.
pub(crate) fn is_unbound_claim(object: &ObjectRef, live: &Value) -> bool {
    let volume = live.pointer("/spec/volumeName").and_then(Value::as_str).unwrap_or_default();
    object.group.is_empty() && object.kind == "PersistentVolumeClaim" && volume.is_empty()
}

/// A field that the manifest sets to another value than the object has.
struct Change<'v> {
    path: String,
    old: Option<&'v Value>,
    new: &'v Value,
}

impl Change<'_> {
    fn describe(&self, is_secret: bool) -> String {
        // Environment variables often contain passwords.
        let is_env = self.path.contains(".env[") || self.path.ends_with(".env");
        if is_secret || is_env || !self.old.is_none_or(is_plain) || !is_plain(self.new) {
            return self.path.clone();
        }
        let brief = |value: &Value| {
            let mut text = value.to_string();
            shorten(&mut text, VALUE_BYTES);
            text
        };
        format!("{}: {} -> {}", self.path, self.old.map_or_else(|| "none".to_owned(), brief), brief(self.new))
    }
}

/// Whether a value is short enough to show: a scalar, or a list of scalars.
fn is_plain(value: &Value) -> bool {
    let is_scalar = |it: &Value| !it.is_object() && !it.is_array();
    value.as_array().map_or_else(|| is_scalar(value), |list| list.iter().all(is_scalar))
}

/// Returns the changed fields that the server's message refuses.
fn changed(desired: &Value, live: &Value, refusal: &str, is_secret: bool) -> Vec<String> {
    let mut changes = Vec::new();
    for (key, new) in desired.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            compare(key.clone(), live.get(key), new, &mut changes);
        }
    }
    let (refused, allowed) = (refused_paths(refusal), allowed_paths(refusal));
    let is_refused = |change: &&Change<'_>| {
        let path = without_indexes(&change.path);
        refused.iter().any(|it| is_within(&path, it)) && !allowed.iter().any(|it| is_within(&path, it))
    };
    changes.iter().filter(is_refused).take(FIELDS).map(|it| it.describe(is_secret)).collect()
}

/// Collects the differences of what the manifest sets. JSON parsing bounds the depth.
fn compare<'v>(path: String, old: Option<&'v Value>, new: &'v Value, into: &mut Vec<Change<'v>>) {
    match (old, new) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, new) in new {
                compare(format!("{path}.{key}"), old.get(key), new, into);
            }
        }
        (Some(Value::Array(olds)), Value::Array(news)) if olds.len() == news.len() => {
            for (at, (old, new)) in olds.iter().zip(news).enumerate() {
                let name = new.get("name").and_then(Value::as_str);
                let (old, index) = match name {
                    Some(name) => (olds.iter().find(|it| it.get("name") == new.get("name")), name.to_owned()),
                    None => (Some(old), at.to_string()),
                };
                compare(format!("{path}[{index}]"), old, new, into);
            }
        }
        (old, new) if old == Some(new) || (old.is_none() && new.is_null()) => {}
        (old, new) => into.push(Change { path, old, new }),
    }
}

/// Returns the fields that a rejection names, without indexes: those before `: Invalid value` and `: Forbidden`.
fn refused_paths(refusal: &str) -> Vec<String> {
    let before = |mark: &str| -> Vec<String> {
        let words = refusal.match_indices(mark).filter_map(|(at, _)| refusal[..at].rsplit(' ').next());
        words.map(|word| without_indexes(word.trim_start_matches('['))).filter(|it| !it.is_empty()).collect()
    };
    [before(": Invalid value"), before(": Forbidden")].concat()
}

/// Returns the fields that a rejection excepts, as in `fields other than 'replicas' and 'template' are forbidden`.
fn allowed_paths(refusal: &str) -> Vec<String> {
    let list = refusal.split_once(" other than ").or_else(|| refusal.split_once(" except "));
    let Some((_, list)) = list else { return Vec::new() };
    let list = [" are forbidden", " for ", "\n"].iter().fold(list, |list, end| list.split(end).next().unwrap_or(list));
    let words =
        list.split([' ', ',']).map(|it| it.trim_matches(['\'', '`', '"'])).filter(|it| !matches!(*it, "" | "and"));
    words.map(|it| if it.starts_with("spec.") { without_indexes(it) } else { format!("spec.{it}") }).collect()
}

/// Returns a path without the parts in brackets.
fn without_indexes(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// Whether a path is a field or within it.
fn is_within(path: &str, field: &str) -> bool {
    let rest = path.strip_prefix(field);
    // The server reports a changed `clusterIP` as `clusterIPs`.
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) || field.strip_suffix('s') == Some(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(group: &str, kind: &str) -> ObjectRef {
        ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace: None, name: "a".to_owned() }
    }

    fn job(image: &str, replicas: i64) -> Value {
        let main = json!({"name": "main", "image": image, "env": [{"name": "KEY", "value": image}]});
        json!({"spec": {"parallelism": replicas, "template": {"spec": {"containers": [main]}}}})
    }

    #[test]
    fn only_refused_fields_are_named() {
        let template = "Job.batch \"a\" is invalid: spec.template: Invalid value: {\"Spec\":{}}: field is immutable";
        let message = describe(&object("batch", "Job"), &job("b", 2), Some(&job("a", 1)), template);
        let path = "spec.template.spec.containers[main]";
        assert_eq!(
            message,
            format!("these fields cannot be changed: {path}.env[KEY].value; {path}.image: \"a\" -> \"b\"")
        );
        let set = |name: &str, replicas: i64| json!({"spec": {"serviceName": name, "replicas": replicas}});
        let refusal = "StatefulSet.apps \"a\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals' and 'minReadySeconds' are forbidden";
        let message = describe(&object("apps", "StatefulSet"), &set("b", 3), Some(&set("a", 1)), refusal);
        assert_eq!(message, "this field cannot be changed: spec.serviceName: \"a\" -> \"b\"");
        let claim = |class: &str, size: &str| json!({"spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}});
        let refusal = "PersistentVolumeClaim \"a\" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n@@ -1 +1 @@";
        let message =
            describe(&object("", "PersistentVolumeClaim"), &claim("b", "2Gi"), Some(&claim("a", "1Gi")), refusal);
        assert_eq!(message, "this field cannot be changed: spec.storageClassName: \"a\" -> \"b\"");
        let service = |ip: &str| json!({"spec": {"clusterIP": ip}});
        let refusal =
            "Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set";
        let message = describe(&object("", "Service"), &service("None"), Some(&service("10.0.0.1")), refusal);
        assert_eq!(message, "this field cannot be changed: spec.clusterIP: \"10.0.0.1\" -> \"None\"");
        // What the manifest no longer sets is not compared: the server's message remains.
        let refusal = "Deployment.apps \"a\" is invalid: spec.selector: Invalid value: {}: field is immutable";
        let message = describe(&object("apps", "Deployment"), &json!({"spec": {}}), Some(&job("a", 1)), refusal);
        assert_eq!(message, "the API server rejected the change: spec.selector: Invalid value: {}: field is immutable");
    }

    #[test]
    fn values_are_short_and_never_of_secrets() {
        let (old, new) =
            (json!({"data": {"key": "x".repeat(500)}}), json!({"data": {"key": "b2xk", "more": "c2VjcmV0"}}));
        let refusal = "Secret \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
        let message = describe(&object("", "Secret"), &new, Some(&old), refusal);
        assert_eq!(message, "these fields cannot be changed: data.key; data.more");
        assert_eq!(describe(&object("", "Secret"), &new, None, refusal), "the API server rejected the change: Invalid");
        let message = describe(&object("", "ConfigMap"), &new, Some(&old), refusal);
        assert!(message.contains("… -> \"b2xk\"; data.more: none -> \"c2VjcmV0\""), "{message}");
        assert!(message.len() < 150, "{message}");
        let list = |names: &[&str]| json!({"spec": {"list": names.iter().map(|it| json!({"password": it})).collect::<Vec<_>>()}});
        let refusal = "spec.list: Forbidden: field is immutable";
        let message = describe(&object("", "Thing"), &list(&["a", "b"]), Some(&list(&["a"])), refusal);
        assert_eq!(message, "this field cannot be changed: spec.list");
    }

    #[test]
    fn remedy_fits_the_object() {
        let bare = json!({"spec": {}});
        for (group, kind, live, expected) in [
            ("batch", "Job", &bare, "creates it again and runs it"),
            ("apps", "Deployment", &bare, "creates it again; its pods stop meanwhile"),
            ("", "Service", &bare, "creates it again"),
            ("", "PersistentVolumeClaim", &bare, "the agent creates it again"),
            ("", "PersistentVolumeClaim", &json!({"spec": {"volumeName": "v"}}), "or rename the object"),
            ("apps", "StatefulSet", &json!({"spec": {"volumeClaimTemplates": [{}]}}), "or rename the object"),
        ] {
            let message = remedy(&object(group, kind), Some(live));
            assert!(message.ends_with(expected), "{kind}: {message}");
        }
        assert!(remedy(&object("", "PersistentVolumeClaim"), Some(&bare)).starts_with("delete the claim"));
    }
}
