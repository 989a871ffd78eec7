//! The manifests of a stack.

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

/// The manifests of a stack: at least one object, each of them once.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestSet {
    objects: Vec<Manifest>,
    warnings: Vec<String>,
}

/// Takes documents one by one.
#[derive(Default)]
struct Collector {
    objects: Vec<Manifest>,
    /// The index of each object.
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
                    let message = format!("duplicate object {object_ref}: two different ones; remove one");
                    return Err(Invalid::new(InvalidCode::ManifestDuplicateObject, message).within(&at));
                }
                warnings.add(|| format!("duplicate object {object_ref}: both are equal; one is kept"));
                continue;
            }
            if self.objects.len() == limits::OBJECTS {
                return Err(Invalid::new(InvalidCode::SetTooLarge, format!("more than {} objects", limits::OBJECTS)));
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
                "no object in the manifests; to remove everything delete the stack",
            ));
        }
        Ok(ManifestSet { objects: self.objects, warnings: warnings.into_texts() })
    }
}

impl ManifestSet {
    /// Reads manifests from YAML, several documents or lists of them, or from a stream of JSON values. They mean what they mean to
    /// kubectl; what a person may not expect of its reading is said in [`warnings`](Self::warnings).
    ///
    /// This is also how stored content is read, whatever it was received as.
    pub fn parse_yaml(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > limits::BODY_BYTES {
            return Err(Invalid::new(
                InvalidCode::SetTooLarge,
                format!("{} bytes, at most {} are allowed", bytes.len(), limits::BODY_BYTES),
            ));
        }
        let (mut collector, mut warnings) = (Collector::default(), Warnings::default());
        yaml::read(bytes, &mut warnings, |document, warnings| collector.add(document, warnings))?;
        collector.finish(warnings)
    }

    /// Checks manifests that were given as values.
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

    /// Checks manifests that were given as values and writes them as they are stored: compact documents, one a line.
    pub fn encode(documents: Vec<Value>) -> Result<(Self, Bytes), Invalid> {
        let documents = as_sent(documents)?;
        let mut stored = String::new();
        for document in &documents {
            stored.push_str("---\n");
            push_escaped(&mut stored, &document.to_string());
            stored.push('\n');
        }
        let given = Self::from_sent(documents)?;
        // JSON is YAML but for corners; what does not come back the same must not be stored.
        if Self::parse_yaml(stored.as_bytes())?.objects != given.objects {
            return Err(Invalid::new(
                InvalidCode::ManifestInvalid,
                "the manifests contain characters that cannot be kept; send them as YAML",
            ));
        }
        Ok((given, stored.into()))
    }

    /// The objects in the order in which they were given.
    pub fn objects(&self) -> &[Manifest] {
        &self.objects
    }

    /// What is not as written: fields that were dropped, and values that are read in a way that a person may not expect.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Refuses objects that are twins once those without a namespace have gone to the default one.
    pub fn refuse_twins(&self, default_namespace: &str) -> Result<(), Invalid> {
        let mut seen = HashSet::new();
        for (n, object) in self.objects.iter().enumerate() {
            let resolved = object.object_ref(Some(object.namespace().unwrap_or(default_namespace)));
            if !seen.insert(resolved.clone()) {
                let message = format!("duplicate object {resolved}: once without the namespace; remove one");
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

/// JSON for readers that take it for YAML, as API servers do with what is applied: see the characters below.
pub fn json_for_yaml(json: String) -> String {
    if json.bytes().all(|byte| byte < 0x7f) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    push_escaped(&mut out, &json);
    out
}

/// Appends JSON with those characters escaped that JSON allows in texts and YAML does not (YAML 1.2, section 5.1), or
/// that YAML versions take for line ends. In JSON they can only stand in texts, where an escape means the same.
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
    fn what_makes_no_object_is_refused_with_its_place() {
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
    fn empty_is_never_an_order() {
        for text in ["", "# nothing\n", "---\n---\n", "null", "{kind: List, apiVersion: v1, items: []}"] {
            let error = ManifestSet::parse_yaml(text.as_bytes()).expect_err(text);
            assert_eq!(error.code, InvalidCode::ManifestEmpty, "{text}");
        }
    }

    #[test]
    fn what_clusters_write_is_dropped_with_a_warning() {
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
    fn nulls_in_metadata_are_stored_as_api_servers_store_them() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace:\n  annotations: {x: , b: z}\n  labels: ~\n";
        let set = ManifestSet::parse_yaml(text.as_bytes()).expect("fine");
        let metadata = json!({"name": "a", "annotations": {"x": "", "b": "z"}});
        assert_eq!(set.objects()[0].body()["metadata"], metadata);
        assert_eq!(set.warnings(), ["ConfigMap a: annotations x has no value; the empty text is stored"]);
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
    fn lists_are_unfolded_and_twins_refused() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [config_map("a"), config_map("b")]});
        assert_eq!(ManifestSet::from_documents(vec![list]).expect("fine").objects().len(), 2);
        let mut other = config_map("a");
        other["data"]["a"] = json!("yes");
        let error = ManifestSet::from_documents(vec![config_map("a"), other]).expect_err("twins");
        assert_eq!((error.code, error.pointer.as_str()), (InvalidCode::ManifestDuplicateObject, "/1"));
        let set = ManifestSet::from_documents(vec![config_map("a"), config_map("a")]).expect("the same twice");
        assert_eq!(set.objects().len(), 1);
        assert_eq!(set.warnings(), ["duplicate object ConfigMap a: both are equal; one is kept"]);
        let mut named = config_map("a");
        named["metadata"]["namespace"] = json!("here");
        let set = ManifestSet::from_documents(vec![config_map("a"), named]).expect("two places, as far as it is known");
        assert!(set.refuse_twins("there").is_ok());
        assert_eq!(set.refuse_twins("here").map_err(|it| it.code), Err(InvalidCode::ManifestDuplicateObject));
    }

    #[test]
    fn sizes_are_bounded() {
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
    fn json_comes_back_the_same_from_what_is_stored() {
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
