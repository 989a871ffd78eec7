//! What an update changed, for its audit record.

use brokkr_core::manifest::{for_each_secret_value, is_secret};
use brokkr_core::model::{AuditChanges, Entity, EntityKey, limits};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

/// An object before and after an update, as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub(crate) object: EntityKey,
    before: Value,
    after: Value,
    /// Whether the values stand for others.
    is_unread: bool,
}

impl Update {
    pub(crate) fn of<E: Entity>(before: &E, after: &E) -> Self {
        Self { object: E::key_of(after.id()), before: before.shown(), after: after.shown(), is_unread: false }
    }

    /// The manifests of a stack before and after a publication, as far as they differ.
    pub(crate) fn of_manifests(object: EntityKey, before: Map<String, Value>, after: Map<String, Value>) -> Self {
        let (before, after) = (json!({"manifests": before}), json!({"manifests": after}));
        Self { object, before, after, is_unread: false }
    }

    /// Manifests that differ, and are not compared.
    pub(crate) fn of_unread_manifests(object: EntityKey) -> Self {
        let (before, after) = (json!({"manifests": false}), json!({"manifests": true}));
        Self { object, before, after, is_unread: true }
    }

    /// Adds what another update changes in the same object.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (own, others) in [(&mut self.before, other.before), (&mut self.after, other.after)] {
            if let (Value::Object(own), Value::Object(others)) = (own, others) {
                own.extend(others);
            }
        }
        self.is_unread |= other.is_unread;
        self
    }

    /// The names of the fields that differ, except those that differ in every version.
    pub(crate) fn changed_fields(&self) -> Vec<String> {
        let (Value::Object(before), Value::Object(after)) = (&self.before, &self.after) else {
            return Vec::new();
        };
        let always = ["version", "updated_at"];
        let differs = |key: &&String| !always.contains(&key.as_str()) && before.get(*key) != after.get(*key);
        after.keys().filter(differs).cloned().collect()
    }

    /// The patch, with hashes under `key` in place of secret values.
    pub(crate) fn changes(mut self, key: &[u8; 32]) -> AuditChanges {
        let pointers = pointer_bytes(&self.before, 0).saturating_add(pointer_bytes(&self.after, 0));
        if pointers > limits::AUDIT_POINTER_BYTES {
            let fields = self.changed_fields().into_iter();
            let patch = fields.map(|field| json!({"op": "replace", "path": format!("/{field}")})).collect();
            return bounded(patch, true);
        }
        hide_secrets(&mut self.before, key);
        hide_secrets(&mut self.after, key);
        let operations = json_patch::diff(&self.before, &self.after);
        let patch = operations.0.iter().filter_map(|it| serde_json::to_value(it).ok()).collect();
        bounded(patch, self.is_unread)
    }
}

/// The bytes of the pointers to all values, each below a pointer of `parent` bytes: no patch has longer paths.
fn pointer_bytes(value: &Value, parent: usize) -> usize {
    // An index has at most ten digits, and a character of a name at most two bytes more than in the name.
    match value {
        Value::Array(items) => {
            let pointer = parent + 11;
            items.iter().fold(pointer, |sum, item| sum.saturating_add(pointer_bytes(item, pointer)))
        }
        Value::Object(fields) => fields
            .iter()
            .fold(parent, |sum, (name, field)| sum.saturating_add(pointer_bytes(field, parent + 1 + 2 * name.len()))),
        _ => parent,
    }
}

/// Reduces a patch to the paths of its operations, if it is too large or if its values stand for others.
fn bounded(mut patch: Vec<Value>, is_unread: bool) -> AuditChanges {
    let size = |operation: &Value| operation.to_string().len() + 1;
    if !is_unread && patch.iter().map(size).sum::<usize>() <= limits::AUDIT_CHANGES_BYTES {
        return AuditChanges { patch, truncated: false };
    }
    let mut left = limits::AUDIT_CHANGES_BYTES;
    let mut kept = 0;
    for operation in &mut patch {
        if let Some(fields) = operation.as_object_mut() {
            fields.remove("value");
        }
        match left.checked_sub(size(operation)) {
            Some(less) => left = less,
            None => break,
        }
        kept += 1;
    }
    patch.truncate(kept);
    AuditChanges { patch, truncated: true }
}

/// Hides the values of every Secret, wherever it is.
fn hide_secrets(value: &mut Value, key: &[u8; 32]) {
    // The depth is that of stored manifests, which is limited.
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hide_secrets(item, key)),
        Value::Object(fields) if is_secret(fields) => {
            for_each_secret_value(fields, |value| *value = hashed(value, key));
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| hide_secrets(field, key)),
        _ => {}
    }
}

fn hashed(value: &Value, key: &[u8; 32]) -> Value {
    // HMAC accepts keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Value::Null;
    };
    mac.update(value.to_string().as_bytes());
    let hash: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("(hmac-sha256:{hash})").into()
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::GeneratorId;

    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";

    fn changes(before: Value, after: Value) -> AuditChanges {
        let object = EntityKey::Generator(GeneratorId::SYSTEM);
        Update { object, before, after, is_unread: false }.changes(&KEY)
    }

    #[test]
    fn patch_leads_from_before_to_after() {
        let before = json!({"labels": {"env": "test", "legacy": "1"}, "description": "a"});
        let after = json!({"labels": {"env": "prod"}, "description": "a", "targeting": null});
        let found = changes(before.clone(), after.clone());
        let mut patched = before;
        let patch: json_patch::Patch = serde_json::from_value(found.patch.into()).expect("a JSON Patch");
        json_patch::patch(&mut patched, &patch).expect("it applies");
        assert_eq!((patched, found.truncated), (after, false));
    }

    #[test]
    fn values_of_secrets_are_keyed_hashes() {
        let secret = |password: &str, text: &str| {
            json!({"objects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": {COPY: password}},
                "data": {"password": password, "other": "same"}, "stringData": {"text": text}}]})
        };
        let found = changes(secret("hunter2", "hunter2"), secret("hunter3", "hunter3"));
        let text = json!(found.patch).to_string();
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("/objects/0/data/password") && !text.contains("/other"), "{text}");
        let hashes: Vec<_> = found.patch.iter().map(|it| it["value"].clone()).collect();
        assert_eq!(hashes.len(), 3);
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "equal values have equal hashes: {text}");
        let other = Update {
            object: EntityKey::Generator(GeneratorId::SYSTEM),
            before: secret("hunter2", "hunter2"),
            after: secret("hunter3", "hunter3"),
            is_unread: false,
        };
        assert_ne!(other.changes(&[8; 32]).patch, found.patch, "another installation has other hashes");
    }

    #[test]
    fn secrets_of_every_version_are_hidden() {
        for version in ["v1", "v2", "v1beta1"] {
            let secret =
                |text: &str| json!({"a": {"apiVersion": version, "kind": "Secret", "data": {"password": text}}});
            let text = json!(changes(secret("hunter2"), secret("hunter3")).patch).to_string();
            assert!(text.contains("/a/data/password") && !text.contains("hunter"), "{text}");
        }
        let other = |text: &str| json!({"apiVersion": "example.com/v1", "kind": "Secret", "data": {"password": text}});
        assert_eq!(changes(other("a"), other("b")).patch[0]["value"], "b");
    }

    #[test]
    fn long_names_above_many_values_are_not_compared() {
        let name = "n".repeat(64 * 1024);
        let values = |value: u8| json!({"data": {&*name: vec![value; 32 * 1024]}, "version": value});
        let found = changes(values(1), values(2));
        assert_eq!((found.patch, found.truncated), (vec![json!({"op": "replace", "path": "/data"})], true));
        for (value, bytes) in [
            (json!(null), 0),
            (
                json!({"a": 1, "bc": {"d": 2}}),
                "/aa".len() + "/bbcc".len() + "/bbcc".len() + "/bbcc/dd".len() - "/bbcc".len(),
            ),
            (json!([1, 2]), 3 * 11),
        ] {
            assert_eq!(pointer_bytes(&value, 0), bytes, "{value}");
        }
    }

    #[test]
    fn large_patch_is_cut_to_its_paths() {
        let map = |value: &str, count: usize| {
            Value::Object((0..count).map(|n| (format!("key-{n:05}"), value.into())).collect::<Map<_, _>>())
        };
        let size = limits::AUDIT_CHANGES_BYTES;
        // One operation: {"op":"replace","path":"/a","value":"…"} and a separator.
        let frame = r#"{"op":"replace","path":"/a","value":""},"#.len();
        for (length, truncated) in [(size - frame, false), (size - frame + 1, true)] {
            let found = changes(json!({"a": ""}), json!({"a": "x".repeat(length)}));
            assert_eq!((found.truncated, found.patch.len()), (truncated, 1), "{length}");
            assert_eq!(found.patch[0].get("value").is_none(), truncated);
            assert_eq!(found.patch[0]["path"], "/a");
        }
        let found = changes(map("a", 5_000), map("b", 5_000));
        assert!(found.truncated && json!(found.patch).to_string().len() <= size, "{}", found.patch.len());
        assert!(found.patch.len() > 300 && found.patch.iter().all(|it| it.get("value").is_none()));
    }
}
