//! Fields that a stack leaves to others after creation.
//!
//! If the agent stopped applying such a field, the API server would remove it unless another manager owns it. So an
//! update sends the current value, and the comparison of owned fields skips these fields.

use brokkr_core::model::{IgnoreRule, ObjectRef};
use serde_json::{Map, Value};

use crate::cluster::{FieldSet, meta};

/// A segment of a pointer, resolved in the manifest.
#[derive(Debug, Clone, PartialEq)]
enum Segment {
    /// A member of an object.
    Member(String),
    /// An element of a list: its position, and its value in the manifest.
    Element(usize, Value),
}

/// The fields of one object that the agent leaves to others.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ignored(Vec<Vec<Segment>>);

impl Ignored {
    /// Returns the fields that a stack's rules name in one of its objects.
    pub(crate) fn of(rules: &[IgnoreRule], object: &ObjectRef, body: &Value) -> Self {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let concerns = |rule: &&IgnoreRule| {
            is(&rule.group, &object.group)
                && is(&rule.kind, &object.kind)
                && is(&rule.name, &object.name)
                && is(&rule.namespace, object.namespace.as_deref().unwrap_or_default())
        };
        let pointers = rules.iter().filter(concerns).flat_map(|rule| &rule.pointers);
        Self(pointers.map(|pointer| segments(pointer, body)).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set contains a field or one of its parents.
    pub(crate) fn covers(&self, field: &[&str]) -> bool {
        let is_on_the_way = |segments: &Vec<Segment>| {
            let is = |(segment, name): (&Segment, &&str)| matches!(segment, Segment::Member(member) if member == name);
            segments.len() <= field.len() && segments.iter().zip(field).all(is)
        };
        self.0.iter().any(is_on_the_way)
    }

    /// Returns the fields that a manager applied and still owns, without the ignored ones.
    pub(crate) fn applied_fields(&self, object: &Value, manager: &str) -> FieldSet {
        if self.is_empty() {
            return meta::applied_fields(object, manager);
        }
        let Some(mut tree) = meta::applied_tree(object, manager).cloned() else {
            return FieldSet::default();
        };
        self.0.iter().for_each(|segments| prune(&mut tree, segments));
        FieldSet::from_fields_v1(&tree)
    }

    /// Replaces the ignored fields in `body` by their current values, and removes those that do not exist.
    pub(crate) fn leave(&self, body: &mut Value, live: &Value) {
        for segments in &self.0 {
            let there = segments.iter().try_fold(live, |live, segment| match segment {
                Segment::Member(name) => live.get(name),
                Segment::Element(position, like) => element(live.as_array()?, *position, like),
            });
            put(body, segments, there.cloned());
        }
    }
}

/// Resolves a pointer's segments in the manifest. Segments beyond it count as members.
fn segments(pointer: &str, body: &Value) -> Vec<Segment> {
    let mut at = Some(body);
    let tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
    let segment = |token: String| match at {
        Some(Value::Array(list)) => {
            let position = token.parse().unwrap_or(usize::MAX);
            at = list.get(position);
            Segment::Element(position, at.cloned().unwrap_or_default())
        }
        _ => {
            at = at.and_then(|at| at.get(&token));
            Segment::Member(token)
        }
    };
    tokens.map(segment).collect()
}

/// Returns the list element that corresponds to the manifest's: by name if it has one, otherwise by position.
fn element<'a>(list: &'a [Value], position: usize, like: &Value) -> Option<&'a Value> {
    match like.get("name") {
        Some(name) => list.iter().find(|it| it.get("name") == Some(name)),
        None => list.get(position),
    }
}

/// Removes the fields below the segments from a tree of managed fields.
fn prune(tree: &mut Value, segments: &[Segment]) {
    let (Some(map), Some((segment, rest))) = (tree.as_object_mut(), segments.split_first()) else { return };
    let keys: Vec<String> = map.keys().filter(|key| leads(key, segment)).cloned().collect();
    for key in keys {
        if rest.is_empty() {
            map.remove(&key);
        } else if let Some(below) = map.get_mut(&key) {
            prune(below, rest);
        }
    }
}

/// Whether a key of managed fields matches a segment.
fn leads(key: &str, segment: &Segment) -> bool {
    let Some((kind, text)) = key.split_once(':') else { return false };
    match (kind, segment) {
        ("f", Segment::Member(name)) => text == name,
        ("i", Segment::Element(position, _)) => text.parse() == Ok(*position),
        ("v", Segment::Element(_, like)) => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *like),
        // A field of the key may be a server-side default, and missing in the manifest. The others must match.
        ("k", Segment::Element(_, like)) => serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|keys| {
            keys.keys().any(|name| like.get(name).is_some())
                && keys.iter().all(|(name, value)| like.get(name).is_none_or(|it| it == value))
        }),
        _ => false,
    }
}

/// Sets or removes the value at the segments, if its parents exist.
fn put(body: &mut Value, segments: &[Segment], value: Option<Value>) {
    let Some((last, way)) = segments.split_last() else { return };
    let parent = way.iter().try_fold(body, |at, segment| match segment {
        Segment::Member(name) => at.get_mut(name),
        Segment::Element(position, _) => at.get_mut(*position),
    });
    match (parent, last, value) {
        (Some(Value::Object(map)), Segment::Member(name), Some(value)) => drop(map.insert(name.clone(), value)),
        (Some(Value::Object(map)), Segment::Member(name), None) => drop(map.remove(name)),
        (Some(Value::Array(list)), Segment::Element(position, _), Some(value)) => {
            list.get_mut(*position).into_iter().for_each(|it| *it = value.clone());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ignored(pointers: &[&str], body: &Value) -> Ignored {
        let pointers = pointers.iter().map(|it| (*it).to_owned()).collect();
        let rule = IgnoreRule { kind: Some("Deployment".to_owned()), pointers, ..IgnoreRule::default() };
        let object = |kind: &str| ObjectRef {
            group: "apps".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("a".to_owned()),
            name: "web".to_owned(),
        };
        assert!(Ignored::of(std::slice::from_ref(&rule), &object("StatefulSet"), body).is_empty());
        Ignored::of(&[rule], &object("Deployment"), body)
    }

    #[test]
    fn ignored_fields_keep_live_values() {
        let manifest = json!({"spec": {"replicas": 2, "paused": true, "containers": [{"name": "web", "image": "a"}]}});
        let live = json!({
            "metadata": {"managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {
                "f:spec": {"f:replicas": {}, "f:selector": {}, "f:containers": {
                    "k:{\"name\":\"side\"}": {"f:image": {}},
                    "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}},
                }},
            }}]},
            "spec": {"replicas": 7, "containers": [{"name": "side", "image": "s"}, {"name": "web", "image": "b"}]},
        });
        let ignored =
            ignored(&["/spec/replicas", "/spec/paused", "/spec/containers/0/image", "/spec/no/where"], &manifest);
        let fields = ignored.applied_fields(&live, "m");
        let paths: Vec<&str> = fields.paths().collect();
        let expected = [
            ".spec.containers[name=\"side\"].image",
            ".spec.containers[name=\"web\"]",
            ".spec.containers[name=\"web\"].name",
            ".spec.selector",
        ];
        assert_eq!(paths, expected);
        let mut body = manifest.clone();
        ignored.leave(&mut body, &live);
        assert_eq!(body, json!({"spec": {"replicas": 7, "containers": [{"name": "web", "image": "b"}]}}));
    }
}
