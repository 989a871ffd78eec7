//! Sets of manifests.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::Value;

use crate::error::{Invalid, InvalidCode};
use crate::manifest::json::with_numbers_as_sent;
use crate::manifest::lists::unfold;
use crate::manifest::normalise::manifest;
use crate::manifest::warnings::Warnings;
use crate::manifest::{Manifest, yaml};
use crate::model::{ObjectRef, limits};

/// The manifests of a stack: at least one object, without duplicates.
///
/// ```
/// use brokkr_core::manifest::ManifestSet;
///
/// let yaml = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: 0640}}";
/// let set = ManifestSet::parse_yaml(yaml)?;
/// assert_eq!(set.objects()[0].name(), "settings");
/// // 0640 is octal in YAML 1.1.
/// assert_eq!(set.warnings().len(), 1);
/// # Ok::<(), brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestSet {
    objects: Vec<Manifest>,
    warnings: Vec<String>,
}

/// Collects the objects of a set, one document at a time.
#[derive(Default)]
struct Collector {
    objects: Vec<Manifest>,
    /// The index of each object in the set.
    seen: HashMap<ObjectRef, usize>,
    documents: usize,
}

impl Collector {
    fn add(&mut self, document: Value, warnings: &mut Warnings) -> Result<(), Invalid> {
        let at = self.documents.to_string();
        self.documents += 1;
        if document.is_null() {
            return Ok(());
        }
        for document in unfold(document).map_err(|error| error.within(&at))? {
            let object = manifest(document, warnings).map_err(|error| error.within(&at))?;
            let object_ref = object.object_ref(object.namespace());
            if let Some(twin) = self.seen.get(&object_ref).and_then(|twin| self.objects.get(*twin)) {
                if *twin != object {
                    let message = format!("duplicate object {object_ref} with different contents; remove one");
                    return Err(Invalid::new(InvalidCode::ManifestDuplicateObject, message).within(&at));
                }
                warnings.add(|| format!("duplicate object {object_ref} with equal contents; one is kept"));
                continue;
            }
            if self.objects.len() == limits::OBJECTS {
                return Err(Invalid::new(
                    InvalidCode::SetTooLarge,
                    format!("more than {} objects; split the stack", limits::OBJECTS),
                ));
            }
            self.seen.insert(object_ref, self.objects.len());
            self.objects.push(object);
        }
        Ok(())
    }

    fn finish(self, warnings: Warnings) -> Result<ManifestSet, Invalid> {
        if self.objects.is_empty() {
            return Err(Invalid::new(
                InvalidCode::ManifestEmpty,
                "the manifests contain no object; to remove all objects, delete the stack",
            ));
        }
        Ok(ManifestSet { objects: self.objects, warnings: warnings.into_texts() })
    }
}

impl ManifestSet {
    /// Parses manifests from YAML with one or more documents or lists, or from a stream of JSON values. Values are read
    /// as kubectl reads them; [`warnings`](Self::warnings) lists readings that may surprise.
    ///
    /// Stored content is parsed with this function too, whatever format it was received in.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with the line or the JSON pointer of the first problem. An empty set is an error: delete the stack
    /// to remove its objects.
    pub fn parse_yaml(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > limits::BODY_BYTES {
            return Err(Invalid::new(
                InvalidCode::SetTooLarge,
                format!("the manifests have {} bytes; at most {} are allowed", bytes.len(), limits::BODY_BYTES),
            ));
        }
        let (mut collector, mut warnings) = (Collector::default(), Warnings::default());
        yaml::read(bytes, &mut warnings, |document, warnings| collector.add(document, warnings))?;
        collector.finish(warnings)
    }

    /// Checks manifests that are already parsed.
    pub fn from_documents(documents: Vec<Value>) -> Result<Self, Invalid> {
        Self::from_sent(as_sent(documents)?)
    }

    fn from_sent(documents: Vec<Value>) -> Result<Self, Invalid> {
        let (mut collector, mut warnings) = (Collector::default(), Warnings::default());
        for document in documents {
            collector.add(document, &mut warnings)?;
        }
        collector.finish(warnings)
    }

    /// Checks parsed manifests and encodes them for storage, as one compact document per line.
    pub fn encode(documents: Vec<Value>) -> Result<(Self, Bytes), Invalid> {
        let documents = as_sent(documents)?;
        let mut stored = String::new();
        for document in &documents {
            stored.push_str("---\n");
            push_escaped(&mut stored, &document.to_string());
            stored.push('\n');
        }
        let given = Self::from_sent(documents)?;
        // JSON is almost a subset of YAML. Refuse manifests that would read back differently.
        if Self::parse_yaml(stored.as_bytes())?.objects != given.objects {
            return Err(Invalid::new(
                InvalidCode::ManifestInvalid,
                "the manifests contain characters that cannot be stored as JSON; send YAML",
            ));
        }
        Ok((given, stored.into()))
    }

    /// The objects, in the order of the input.
    pub fn objects(&self) -> &[Manifest] {
        &self.objects
    }

    /// Differences from the input that may surprise: dropped fields, and values that YAML 1.1 reads differently than
    /// they look.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Refuses two objects that are the same once `default_namespace` is applied to those without a namespace.
    pub fn refuse_twins(&self, default_namespace: &str) -> Result<(), Invalid> {
        let mut seen = HashSet::new();
        for (n, object) in self.objects.iter().enumerate() {
            let resolved = object.object_ref(Some(object.namespace().unwrap_or(default_namespace)));
            if !seen.insert(resolved.clone()) {
                let message = format!("duplicate object {resolved}, once without the namespace; remove one");
                return Err(Invalid::new(InvalidCode::ManifestDuplicateObject, message).within(&n.to_string()));
            }
        }
        Ok(())
    }
}

fn as_sent(documents: Vec<Value>) -> Result<Vec<Value>, Invalid> {
    let as_sent = |(n, document)| with_numbers_as_sent(document).map_err(|error| error.within(&usize::to_string(&n)));
    documents.into_iter().enumerate().map(as_sent).collect()
}

/// Escapes JSON for readers that parse it as YAML, as API servers do with applied objects.
pub fn json_for_yaml(json: String) -> String {
    if json.bytes().all(|byte| byte < 0x7f) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    push_escaped(&mut out, &json);
    out
}

/// Appends JSON and escapes the characters that JSON allows in strings but YAML does not (YAML 1.2, section 5.1), or
/// that some YAML versions treat as line breaks. Outside of strings they cannot occur in JSON.
fn push_escaped(out: &mut String, json: &str) {
    for c in json.chars() {
        if matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "no", "b": "012"}})
    }

    fn refused(document: Value) -> Invalid {
        ManifestSet::from_documents(vec![document]).expect_err("must be refused")
    }

    #[test]
    fn invalid_object_is_refused_with_its_pointer() {
        let with = |pointer: &str, value: Value| {
            let mut object = config_map("a");
            if let Some(place) = object.pointer_mut(pointer) {
                *place = value;
            }
            object
        };
        for (document, pointer) in [
            (json!([1]), "/0"),
            (json!("x"), "/0"),
            (with("/apiVersion", json!(1)), "/0/apiVersion"),
            (with("/apiVersion", json!("/v1")), "/0/apiVersion"),
            (with("/kind", json!("")), "/0/kind"),
            (with("/metadata", json!([])), "/0/metadata"),
            (with("/metadata/name", json!("a/b")), "/0/metadata/name"),
            (with("/metadata/name", json!("..")), "/0/metadata/name"),
            (with("/metadata", json!({"generateName": "a-"})), "/0/metadata/generateName"),
            (with("/metadata", json!({"name": "a", "ownerReferences": [{}]})), "/0/metadata/ownerReferences"),
            (with("/metadata", json!({"name": "a", "labels": {"x": 1}})), "/0/metadata/labels/x"),
            (with("/metadata", json!({"name": "a", "namespace": "A"})), "/0/metadata/namespace"),
        ] {
            let error = refused(document);
            assert_eq!((error.code, error.pointer.as_str()), (InvalidCode::ManifestInvalid, pointer));
        }
    }

    #[test]
    fn empty_set_is_refused() {
        for text in ["", "# nothing\n", "---\n---\n", "null", "{kind: List, apiVersion: v1, items: []}"] {
            let error = ManifestSet::parse_yaml(text.as_bytes()).expect_err(text);
            assert_eq!(error.code, InvalidCode::ManifestEmpty, "{text}");
        }
    }

    #[test]
    fn fields_written_by_clusters_are_dropped_with_a_warning() {
        let set = ManifestSet::from_documents(vec![json!({
            "apiVersion": "v1", "kind": "ConfigMap", "status": {},
            "metadata": {"name": "a", "uid": "1", "creationTimestamp": null, "labels": null},
        })])
        .expect("fine");
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        assert_eq!(Value::Object(set.objects()[0].body()), expected);
        assert_eq!(set.warnings(), ["ConfigMap a: dropped metadata.creationTimestamp, metadata.uid, status"]);
    }

    #[test]
    fn null_label_or_annotation_becomes_the_empty_string() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace:\n  annotations: {x: , b: z}\n  labels: ~\n";
        let set = ManifestSet::parse_yaml(text.as_bytes()).expect("fine");
        let metadata = json!({"name": "a", "annotations": {"x": "", "b": "z"}});
        assert_eq!(set.objects()[0].body()["metadata"], metadata);
        assert_eq!(set.warnings(), ["ConfigMap a: annotations x has no value; the empty string is stored"]);
        let with = |field: &str, value: Value| {
            let mut object = config_map("a");
            object["metadata"][field] = value;
            ManifestSet::from_documents(vec![object]).map(|_| ()).map_err(|it| it.pointer)
        };
        for (field, value) in [
            ("namespace", json!("")),
            ("finalizers", json!(["a/b"])),
            ("finalizers", json!(null)),
            ("labels", json!({})),
        ] {
            assert_eq!(with(field, value.clone()), Ok(()), "{field} {value}");
        }
        for (field, value) in [
            ("namespace", json!([])),
            ("namespace", json!(1)),
            ("finalizers", json!("a")),
            ("finalizers", json!([1])),
            ("labels", json!([])),
        ] {
            assert_eq!(with(field, value.clone()), Err(format!("/0/metadata/{field}")), "{field} {value}");
        }
    }

    #[test]
    fn lists_are_unfolded_and_duplicates_refused() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [config_map("a"), config_map("b")]});
        assert_eq!(ManifestSet::from_documents(vec![list]).expect("fine").objects().len(), 2);
        let mut other = config_map("a");
        other["data"]["a"] = json!("yes");
        let error = ManifestSet::from_documents(vec![config_map("a"), other]).expect_err("twins");
        assert_eq!((error.code, error.pointer.as_str()), (InvalidCode::ManifestDuplicateObject, "/1"));
        let set =
            ManifestSet::from_documents(vec![config_map("a"), config_map("a")]).expect("equal duplicates are accepted");
        assert_eq!(set.objects().len(), 1);
        assert_eq!(set.warnings(), ["duplicate object ConfigMap a with equal contents; one is kept"]);
        let mut named = config_map("a");
        named["metadata"]["namespace"] = json!("here");
        let set = ManifestSet::from_documents(vec![config_map("a"), named]).expect("the namespaces may differ");
        assert!(set.refuse_twins("there").is_ok());
        assert_eq!(set.refuse_twins("here").map_err(|it| it.code), Err(InvalidCode::ManifestDuplicateObject));
    }

    #[test]
    fn too_large_object_or_set_is_refused() {
        let sized = |bytes: usize| {
            let mut object = config_map("a");
            let rest = serde_json::to_vec(&object).map(|it| it.len()).unwrap_or(0);
            object["data"]["a"] = json!("x".repeat(bytes - rest + 2));
            object
        };
        assert!(ManifestSet::from_documents(vec![sized(limits::OBJECT_BYTES)]).is_ok());
        assert_eq!(refused(sized(limits::OBJECT_BYTES + 1)).code, InvalidCode::ObjectTooLarge);
        let many = |n: usize| (0..n).map(|n| config_map(&format!("c{n}"))).collect::<Vec<_>>();
        assert!(ManifestSet::from_documents(many(limits::OBJECTS)).is_ok());
        let error = ManifestSet::from_documents(many(limits::OBJECTS + 1)).expect_err("too many");
        assert_eq!(error.code, InvalidCode::SetTooLarge);
    }

    #[test]
    fn json_round_trips_through_storage() {
        let mut object = config_map("a");
        object["data"]["text"] =
            json!("multi\nline \"quoted\" \\ 'x' \u{7f} \u{85} \u{2028} \u{feff} \u{ffff} ä 😀 \u{1} : # - ? {}");
        object["spec"] = json!({"n": [1, -2, 0.5, 1e3, true, null]});
        let (set, stored) = ManifestSet::encode(vec![object.clone()]).expect("fine");
        assert_eq!(ManifestSet::parse_yaml(&stored).expect("stored"), set);
        object["spec"]["n"][3] = json!(1000);
        assert_eq!(Value::Object(set.objects()[0].body()), object);
    }
}
