//! Secrets in manifests: hides their values, and refuses hidden values that are sent back.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::error::{Invalid, InvalidCode};
use crate::manifest::{Manifest, ManifestSet, json_for_yaml};

/// The text in place of a hidden value. It is not valid Base64, so an API server refuses it as `data`.
pub const REDACTED: &str = "(redacted)";

/// The fields of a Secret that hold no secret values. The values of every other field are hidden.
const PUBLIC: [&str; 5] = ["apiVersion", "kind", "metadata", "type", "immutable"];
/// kubectl stores a copy of the whole object in this annotation.
const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn is_secret_manifest(manifest: &Manifest) -> bool {
    manifest.group().is_empty() && manifest.kind() == "Secret"
}

/// Whether an object is a Secret of the Kubernetes API, of whatever version.
pub fn is_secret(object: &Map<String, Value>) -> bool {
    let version = object.get("apiVersion").and_then(Value::as_str);
    object.get("kind").is_some_and(|kind| kind == "Secret") && version.is_some_and(|it| !it.contains('/'))
}

/// Calls `visit` with each value of a Secret that is secret: those in its maps, other fields, and kubectl's copy of the object.
pub fn for_each_secret_value(secret: &mut Map<String, Value>, mut visit: impl FnMut(&mut Value)) {
    for (_, field) in secret.iter_mut().filter(|(field, _)| !PUBLIC.contains(&field.as_str())) {
        match field {
            Value::Null => {}
            Value::Object(members) => members.values_mut().for_each(&mut visit),
            other => visit(other),
        }
    }
    if let Some(copy) = secret.get_mut("metadata").and_then(|it| it.get_mut("annotations")?.get_mut(COPY)) {
        visit(copy);
    }
}

fn hide_in(secret: &mut Map<String, Value>) -> bool {
    let mut found = false;
    for_each_secret_value(secret, |value| {
        found = true;
        *value = Value::String(REDACTED.to_owned());
    });
    found
}

impl ManifestSet {
    /// The number of Secrets in the set.
    pub fn secrets(&self) -> usize {
        self.objects().iter().filter(|it| is_secret_manifest(it)).count()
    }

    /// The set as YAML with [`REDACTED`] in place of every value of a Secret, without comments. `None` if no Secret has a
    /// value.
    ///
    /// ```
    /// use brokkr_core::manifest::ManifestSet;
    ///
    /// let yaml = b"{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {password: hunter2}}";
    /// let shown = ManifestSet::parse_yaml(yaml)?.without_secret_values().unwrap();
    /// assert!(String::from_utf8_lossy(&shown).contains(r#""stringData":{"password":"(redacted)"}"#));
    /// # Ok::<(), brokkr_core::error::Invalid>(())
    /// ```
    pub fn without_secret_values(&self) -> Option<Bytes> {
        let (mut found, mut shown) = (false, String::new());
        for object in self.objects() {
            let mut body = object.body();
            if is_secret_manifest(object) {
                found |= hide_in(&mut body);
            }
            shown.push_str("---\n");
            shown.push_str(&json_for_yaml(Value::Object(body).to_string()));
            shown.push('\n');
        }
        found.then(|| shown.into())
    }

    /// Refuses Secrets whose values are [`REDACTED`]: they were read without the scope `secrets:read`, and publishing them
    /// would overwrite the real values.
    pub fn refuse_redacted(&self) -> Result<(), Invalid> {
        for (n, object) in self.objects().iter().enumerate().filter(|(_, it)| is_secret_manifest(it)) {
            let body = object.body();
            for field in ["data", "stringData"] {
                let values = body.get(field).and_then(Value::as_object);
                if let Some((key, _)) = values.into_iter().flatten().find(|(_, value)| *value == REDACTED) {
                    let message = format!(
                        "the Secret {} has the text {REDACTED} as value of {key}, which stands for a value that was not shown; \
                         send the real value, or read the manifests with a key that has the scope secrets:read",
                        object.name()
                    );
                    let invalid = Invalid::new(InvalidCode::ManifestInvalid, message);
                    return Err(invalid.within(key).within(field).within(&n.to_string()));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "hunter2";

    fn set(yaml: &str) -> ManifestSet {
        ManifestSet::parse_yaml(yaml.as_bytes()).expect("valid")
    }

    #[test]
    fn every_value_of_a_secret_is_hidden_and_nothing_else() {
        let copy = r#"{"stringData":{"a":"hunter2"}}"#;
        let yaml = format!(
            "# the password is hunter2\nkind: Secret\napiVersion: v1\ntype: Opaque\nimmutable: true\nmetadata:\n  name: db\n  \
             annotations: {{{COPY}: '{copy}', team: shop}}\ndata: {{a: aHVudGVyMg==, b: ''}}\nstringData: {{c: hunter2}}\nextra: {{d: hunter2}}\n\
             ---\nkind: List\napiVersion: v1\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: other}}, stringData: {{e: hunter2}}}}\n\
             ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{mode: fast}}\n"
        );
        let set = set(&yaml);
        assert_eq!(set.secrets(), 2);
        let shown = set.without_secret_values().expect("there are values");
        let text = String::from_utf8(shown.to_vec()).expect("UTF-8");
        assert!(!text.contains(CANARY) && !text.contains("aHVudGVyMg"), "{text}");
        let read = ManifestSet::parse_yaml(&shown).expect("valid");
        let secret = read.objects()[0].body();
        assert_eq!(secret["data"], serde_json::json!({"a": REDACTED, "b": REDACTED}));
        assert_eq!((&secret["type"], &secret["immutable"]), (&"Opaque".into(), &true.into()));
        assert_eq!(secret["metadata"]["annotations"]["team"], "shop");
        assert_eq!(read.objects()[2], set.objects()[2], "other objects stay as they are");
    }

    #[test]
    fn sets_without_values_need_no_redaction() {
        for yaml in [
            "{apiVersion: v1, kind: Secret, metadata: {name: empty}, type: Opaque, data: {}, stringData: }",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: b}}",
            "{apiVersion: example.com/v1, kind: Secret, metadata: {name: a}, data: {a: b}}",
        ] {
            assert_eq!(set(yaml).without_secret_values(), None, "{yaml}");
        }
    }

    #[test]
    fn hidden_values_cannot_be_published() {
        for field in ["data", "stringData"] {
            let yaml =
                format!("{{apiVersion: v1, kind: Secret, metadata: {{name: a}}, {field}: {{b: \"{REDACTED}\"}}}}");
            let error = set(&yaml).refuse_redacted().expect_err(field);
            assert_eq!(error.pointer, format!("/0/{field}/b"));
        }
        let other = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{b: \"{REDACTED}\"}}}}");
        assert_eq!(set(&other).refuse_redacted(), Ok(()));
    }
}
