//! Differences between an object in the cluster and the object after a write.

use std::fmt;

use brokkr_core::model::ObjectRef;
use serde::Serialize;
use serde_json::{Map, Value};

/// Maximum number of changes per object. If there are more, the list also contains the path `(more)`.
const CHANGES: usize = 100;
/// Metadata that the server maintains and that no reader needs.
const NOISE: [&str; 6] = ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"];

/// A field that a write would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// JSON pointer (RFC 6901) to the field.
    pub path: String,
    /// Current value; absent if the write adds the field.
    pub from: Option<Value>,
    /// Value after the write; absent if the write removes the field.
    pub to: Option<Value>,
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "(nothing)".to_owned(), Value::to_string);
        write!(f, "{}: {} -> {}", self.path, text(&self.from), text(&self.to))
    }
}

/// Returns the differences, without server-maintained metadata. For a Secret, only their paths.
pub(crate) fn changes(object: &ObjectRef, live: &Value, then: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), Some(live), Some(then))];
    while let Some((path, from, to)) = open.pop() {
        if from == to || path == "/status" {
            continue;
        }
        if found.len() == CHANGES {
            found.push(FieldChange { path: "(more)".to_owned(), from: None, to: None });
            break;
        }
        if let (Some(Value::Object(from)), Some(Value::Object(to))) = (from, to) {
            open.extend(members(&path, from, to));
        } else {
            found.push(FieldChange { path, from: from.cloned(), to: to.cloned() });
        }
    }
    if object.group.is_empty() && object.kind == "Secret" {
        found.iter_mut().for_each(redact);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

type Pair<'a> = (String, Option<&'a Value>, Option<&'a Value>);

fn members<'a>(path: &str, from: &'a Map<String, Value>, to: &'a Map<String, Value>) -> Vec<Pair<'a>> {
    let names: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let matters = |name: &&&String| path != "/metadata" || !NOISE.contains(&name.as_str());
    let pair = |name: &String| {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        (format!("{path}/{escaped}"), from.get(name), to.get(name))
    };
    names.iter().filter(matters).map(|name| pair(name)).collect()
}

fn redact(change: &mut FieldChange) {
    // Including annotations: kubectl stores a copy of the whole object in one.
    let may_hold_secrets = !change.path.starts_with("/metadata/labels");
    if may_hold_secrets {
        for value in [&mut change.from, &mut change.to].into_iter().flatten() {
            *value = Value::String("(redacted)".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str) -> ObjectRef {
        ObjectRef { group: String::new(), kind: kind.to_owned(), namespace: None, name: "a".to_owned() }
    }

    #[test]
    fn changes_are_named_by_json_pointer() {
        let live = json!({"metadata": {"resourceVersion": "1", "labels": {"a/b": "1"}}, "data": {"x": "1", "y": "2"}});
        let then = json!({"metadata": {"resourceVersion": "2", "labels": {"a/b": "2"}}, "data": {"x": "1", "z": "3"}});
        let texts: Vec<String> = changes(&object("ConfigMap"), &live, &then).iter().map(ToString::to_string).collect();
        let expected =
            ["/data/y: \"2\" -> (nothing)", "/data/z: (nothing) -> \"3\"", "/metadata/labels/a~1b: \"1\" -> \"2\""];
        assert_eq!(texts, expected);
    }

    #[test]
    fn secret_values_are_redacted() {
        let with = |value: &str| json!({"data": {"key": value}, "metadata": {"annotations": {"last": value}}, "stringData": {"key": value}});
        let changes = changes(&object("Secret"), &with("hunter2"), &with("hunter3"));
        assert_eq!(changes.len(), 3);
        let text = format!("{changes:?} {}", serde_json::to_string(&changes).expect("JSON"));
        assert!(!text.contains("hunter"), "{text}");
        let whole = super::changes(&object("Secret"), &json!({}), &json!({"data": {"key": "hunter2"}}));
        assert!(!format!("{whole:?}").contains("hunter"), "{whole:?}");
    }

    #[test]
    fn changes_beyond_the_limit_are_truncated() {
        let many: Map<String, Value> = (0..1000).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(changes(&object("ConfigMap"), &json!({"data": {}}), &json!({"data": many})).len(), CHANGES + 1);
    }
}
