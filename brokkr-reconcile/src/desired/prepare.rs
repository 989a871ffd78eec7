//! Prepares manifests: resolves kind and namespace, and adds the agent's labels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_core::manifest::{Manifest, ManifestSet};
use brokkr_core::model::{AgentId, IgnoreRule, ObjectRef, StackId};
use brokkr_core::protocol::Tenant;
use serde_json::{Map, Value, json};

use crate::cluster::{ApiKind, Discovery};
use crate::desired::depends_on;
use crate::desired::depends_on::DEPENDS_ON_ANNOTATION;
use crate::desired::ignore::Ignored;
use crate::desired::tenancy::Tenancy;
use crate::limits::LocalLimits;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::inventory::ManifestHash;
use crate::ownership::labels::{AGENT_LABEL, APPLYSET_ID_LABEL, INVENTORY_LABEL, PART_OF_LABEL, STACK_LABEL};
use crate::ownership::objects::Objects;

/// A manifest that is ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) kind: Arc<ApiKind>,
    /// Compact JSON: the body is held for long and rarely used, and a tree takes several times the memory.
    text: Box<str>,
    pub(crate) hash: ManifestHash,
    /// Objects that must exist and be healthy first.
    pub(crate) depends_on: Vec<ObjectRef>,
    /// Fields that the agent leaves to others after creation.
    pub(crate) ignored: Arc<Ignored>,
    /// The number of replicas in the manifest.
    pub(crate) replicas: Option<i64>,
}

impl Prepared {
    /// Returns the same object with another body.
    #[cfg(test)]
    pub(crate) fn with_body(self, body: &Value) -> Self {
        Self { text: body.to_string().into(), ..self }
    }

    /// Returns the number of bytes of the body.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// Returns the body to send.
    pub(crate) fn body(&self) -> Value {
        // The text was serialized from a value, so parsing cannot fail.
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// An object whose kind is not served in the version of its manifest.
#[derive(Debug)]
pub(crate) struct Unserved {
    /// The object's identity, as far as it is known without the kind.
    pub(crate) object: Arc<ObjectRef>,
    /// Version and kind in the manifest.
    wanted: String,
    /// The served versions of the kind.
    served: Vec<String>,
    /// The served versions of kinds of the same name in other groups.
    elsewhere: Vec<String>,
    /// Whether the same set contains the definition of the kind.
    defined_here: bool,
    /// Whether discovery of the group failed.
    unknown: bool,
}

impl Unserved {
    /// Whether the problem lasts until a user changes something.
    pub(crate) fn is_lasting(&self) -> bool {
        !self.defined_here && !self.unknown
    }
}

/// A stack's manifests, resolved as far as possible.
#[derive(Debug, Default)]
pub(crate) struct PreparedSet {
    pub(crate) ready: Vec<Prepared>,
    /// Objects of kinds that are not served.
    pub(crate) unserved: Vec<Unserved>,
    /// Objects that are invalid, or that the limits forbid.
    pub(crate) refused: Vec<ObjectProblem>,
    /// All wanted objects, including those that cannot be applied now. None of them may be pruned.
    pub(crate) objects: Arc<Objects>,
}

/// Returns the problem of an object whose kind is not served.
pub(crate) fn unserved(unserved: &Unserved) -> ObjectProblem {
    let Unserved { object, wanted, served, elsewhere, defined_here, unknown } = unserved;
    if *unknown {
        let message = format!("the API server for {wanted} does not respond");
        return ObjectProblem::waiting(object.clone(), Reason::ApiUnavailable, message);
    }
    if *defined_here && served.is_empty() {
        let message = format!("the definition of {wanted} is in the stack, but the cluster does not serve it yet");
        return ObjectProblem::waiting(object.clone(), Reason::KindNotServed, message);
    }
    let (message, remedy) = if served.is_empty() && !elsewhere.is_empty() {
        let message =
            format!("the cluster does not serve {wanted}; it serves {} {}", elsewhere.join(", "), object.kind);
        (message, format!("set apiVersion: {}, and change the fields that differ", elsewhere.join(" or ")))
    } else if served.is_empty() {
        let remedy = "install its CustomResourceDefinition, or correct apiVersion and kind".to_owned();
        (format!("the cluster does not serve {wanted}"), remedy)
    } else {
        let message = format!("the cluster serves {} but not {wanted}", served.join(", "));
        (message, format!("set apiVersion: {}", served.join(" or ")))
    };
    ObjectProblem::failed(object.clone(), Reason::KindNotServed, message).with_remedy(remedy)
}

/// The identity that the stack's objects get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belonging<'a> {
    pub(crate) agent: AgentId,
    pub(crate) stack: StackId,
    pub(crate) applyset: &'a str,
    pub(crate) default_namespace: &'a str,
    pub(crate) limits: &'a LocalLimits,
    /// Whether the agent writes the stack's objects with the rights of its generator.
    pub(crate) impersonates: bool,
    pub(crate) tenant: &'a Tenant,
    pub(crate) ignore: &'a [IgnoreRule],
}

pub(crate) fn prepare(set: &ManifestSet, belonging: Belonging<'_>, discovery: &Discovery) -> PreparedSet {
    let scopes = scopes_of_own_crds(set);
    let tenancy = Tenancy::new(belonging.tenant, belonging.impersonates);
    let mut kinds: HashMap<(&str, &str, &str), Option<Arc<ApiKind>>> = HashMap::new();
    let mut prepared = PreparedSet::default();
    let mut seen = HashSet::new();
    for manifest in set.objects() {
        let wanted = (manifest.group(), manifest.version(), manifest.kind());
        let served = kinds.entry(wanted).or_insert_with(|| {
            let (group, version, kind) = wanted;
            discovery.exact(group, version, kind).cloned().map(Arc::new)
        });
        match served {
            Some(kind) => {
                let namespace = resolve(manifest, kind.namespaced, belonging.default_namespace);
                let object = Arc::new(manifest.object_ref(namespace));
                // Only now are the namespaces known: the stack sets the default, and cluster-scoped objects have none.
                if !seen.insert(object.clone()) {
                    let problem =
                        ObjectProblem::failed(object, Reason::Refused, "the stack has two manifests for the object");
                    prepared.refused.push(problem.with_remedy("delete one of them"));
                    continue;
                }
                if let Some(problem) = belonging.limits.refuse(&object) {
                    let remedy = belonging.limits.remedy(&object);
                    let problem = ObjectProblem::failed(object, Reason::NotAllowed, problem);
                    prepared.refused.push(problem.with_remedy(remedy));
                    continue;
                }
                let mut body = manifest.body();
                if let Some(problem) = tenancy.refuse(&object, &body) {
                    prepared.refused.push(problem);
                    continue;
                }
                tenancy.complete(&object, &mut body);
                match depends_on(&body) {
                    Ok(before) => prepared.ready.push(with_labels(body, kind, object, belonging, before)),
                    Err(problem) => {
                        let remedy = depends_on::remedy(object.namespace.as_deref());
                        let problem = ObjectProblem::failed(object, Reason::DependencyUnknown, problem);
                        prepared.refused.push(problem.with_remedy(remedy));
                    }
                }
            }
            None => {
                // A definition in the same set knows the scope. Otherwise assume a namespaced kind, as most are.
                let own = scopes.get(&(manifest.group().to_owned(), manifest.kind().to_owned())).copied();
                let known = discovery.preferred(manifest.group(), manifest.kind()).map(|kind| kind.namespaced);
                let namespaced = known.or(own).unwrap_or(true);
                let namespace = resolve(manifest, namespaced, belonging.default_namespace);
                let same = |it: &&ApiKind| it.group == manifest.group() && it.kind == manifest.kind();
                prepared.unserved.push(Unserved {
                    defined_here: own.is_some(),
                    unknown: discovery.failed.iter().any(|failed| failed == manifest.group()),
                    elsewhere: discovery
                        .kinds
                        .iter()
                        .filter(|it| it.group != manifest.group() && it.kind == manifest.kind())
                        .map(|it| api_version(&it.group, &it.version))
                        .collect(),
                    object: Arc::new(manifest.object_ref(namespace)),
                    wanted: format!("{} {}", api_version(manifest.group(), manifest.version()), manifest.kind()),
                    served: discovery.kinds.iter().filter(same).map(|it| api_version(&it.group, &it.version)).collect(),
                });
            }
        }
    }
    if let Some((object, mut body)) =
        tenancy.own_namespace(prepared.ready.iter().map(|it| &*it.object), belonging.limits)
        && let Some(kind) = discovery.exact("", "v1", "Namespace")
        && seen.insert(object.clone())
    {
        tenancy.complete(&object, &mut body);
        prepared.ready.push(with_labels(body, &Arc::new(kind.clone()), object, belonging, Vec::new()));
    }
    let ready = prepared.ready.iter().map(|it| &it.object);
    let unserved = prepared.unserved.iter().map(|it| &it.object);
    let all = ready.chain(unserved).chain(prepared.refused.iter().map(|it| &it.object));
    prepared.objects = Arc::new(all.cloned().collect());
    prepared
}

/// Returns the `apiVersion` of a group and a version.
fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn resolve<'a>(manifest: &'a Manifest, namespaced: bool, default: &'a str) -> Option<&'a str> {
    if namespaced { Some(manifest.namespace().unwrap_or(default)) } else { None }
}

/// Whether the kinds that the set itself defines are namespaced.
fn scopes_of_own_crds(set: &ManifestSet) -> HashMap<(String, String), bool> {
    let crds = set.objects().iter().filter(|it| it.is_crd()).filter_map(|it| it.body().remove("spec"));
    let text = |spec: &Value, pointer: &str| spec.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    crds.filter_map(|spec| {
        Some(((text(&spec, "/group")?, text(&spec, "/names/kind")?), text(&spec, "/scope")? == "Namespaced"))
    })
    .collect()
}

fn depends_on(body: &Map<String, Value>) -> Result<Vec<ObjectRef>, String> {
    let annotations = body.get("metadata").and_then(|it| it.get("annotations"));
    let text = annotations.and_then(|it| it.get(DEPENDS_ON_ANNOTATION)).and_then(Value::as_str);
    text.map_or_else(|| Ok(Vec::new()), depends_on::parse)
}

fn with_labels(
    mut body: Map<String, Value>,
    kind: &Arc<ApiKind>,
    object: Arc<ObjectRef>,
    belonging: Belonging<'_>,
    depends_on: Vec<ObjectRef>,
) -> Prepared {
    if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
        match &object.namespace {
            Some(namespace) => drop(metadata.insert("namespace".to_owned(), json!(namespace))),
            None => drop(metadata.remove("namespace")),
        }
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(labels) = labels {
            // Labels of the agent's own records must not be on other objects.
            labels.remove(INVENTORY_LABEL);
            labels.remove(APPLYSET_ID_LABEL);
            labels.insert(AGENT_LABEL.to_owned(), json!(belonging.agent));
            labels.insert(STACK_LABEL.to_owned(), json!(belonging.stack));
            labels.insert(PART_OF_LABEL.to_owned(), json!(belonging.applyset));
        }
    }
    if object.group.is_empty() && object.kind == "Secret" {
        fold_string_data(&mut body);
    }
    if object.group == "rbac.authorization.k8s.io" && body.get("aggregationRule").is_some_and(|it| !it.is_null()) {
        // A controller fills in the rules, and both would overwrite each other.
        body.remove("rules");
    }
    let body = Value::Object(body);
    Prepared {
        ignored: Arc::new(Ignored::of(belonging.ignore, &object, &body)),
        object,
        kind: kind.clone(),
        hash: ManifestHash::of(&body),
        replicas: body.pointer("/spec/replicas").and_then(Value::as_i64),
        text: body.to_string().into(),
        depends_on,
    }
}

/// Converts a Secret's `stringData` to `data`, as the server does. The server never stores `stringData`, so no manager
/// could own it, and drift would stay undetected.
fn fold_string_data(body: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = body.remove("stringData") else { return };
    let data = body.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    if let Value::Object(data) = data {
        for (key, text) in texts {
            let encoded = text.as_str().map(|text| STANDARD.encode(text));
            data.insert(key, encoded.map_or(text, Value::String));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, discovery, manifest};

    fn with(mut body: Value, pointer: &str, value: Value) -> Value {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        body.pointer_mut(parent).expect("a parent")[field] = value;
        body
    }

    #[test]
    fn body_has_agent_labels_but_no_record_labels() {
        let sample = Sample::new();
        let labels = json!({"app": "web", INVENTORY_LABEL: "true", APPLYSET_ID_LABEL: "x", STACK_LABEL: "other"});
        let body = sample.prepared(&with(manifest("v1", "ConfigMap", "it"), "/metadata/labels", labels)).body();
        let expected =
            json!({"app": "web", AGENT_LABEL: sample.agent, STACK_LABEL: sample.stack, PART_OF_LABEL: "applyset"});
        assert_eq!(body["metadata"]["labels"], expected);
    }

    #[test]
    fn namespace_defaults_to_the_stacks_except_for_cluster_kinds() {
        let sample = Sample::new();
        let named = |body: Value| with(body, "/metadata/namespace", json!("shop"));
        for (body, expected) in [
            (manifest("v1", "ConfigMap", "it"), Some("default")),
            (named(manifest("v1", "ConfigMap", "it")), Some("shop")),
            (manifest("v1", "Namespace", "it"), None),
            (named(manifest("v1", "Namespace", "it")), None),
        ] {
            let prepared = sample.prepared(&body);
            assert_eq!(prepared.object.namespace.as_deref(), expected, "{body}");
            assert_eq!(prepared.body()["metadata"]["namespace"].as_str(), expected, "{body}");
        }
    }

    #[test]
    fn string_data_becomes_data() {
        let sample = Sample::new();
        let mut discovery = discovery();
        discovery.kinds.push(ApiKind::v1("", "Secret", "secrets", true));
        let secret = |field: &str, value: Value| with(manifest("v1", "Secret", "it"), field, value);
        let body = |secret: Value| {
            let set = sample.prepared_with(&[secret], &discovery, &LocalLimits::default());
            set.ready[0].body()
        };
        let both = with(secret("/stringData", json!({"a": "x", "b": "y"})), "/data", json!({"a": "old", "c": "eg=="}));
        let body_of_both = body(both);
        assert_eq!(body_of_both["data"], json!({"a": "eA==", "b": "eQ==", "c": "eg=="}));
        assert!(body_of_both.get("stringData").is_none());
        assert_eq!(body(secret("/data", json!({"c": "eg=="})))["data"], json!({"c": "eg=="}));
        // Only in Secrets: the field may mean something else in a custom kind.
        let map = with(manifest("v1", "ConfigMap", "it"), "/stringData", json!({"a": "x"}));
        assert_eq!(sample.prepared(&map).body()["stringData"], json!({"a": "x"}));
    }

    #[test]
    fn rules_of_an_aggregated_role_are_left_to_the_controller() {
        let sample = Sample::new();
        let role = with(manifest("rbac.authorization.k8s.io/v1", "Role", "it"), "/rules", json!([]));
        for (aggregation, expected) in [(json!({"x": 1}), false), (json!(null), true)] {
            let body = sample.prepared(&with(role.clone(), "/aggregationRule", aggregation.clone())).body();
            assert_eq!(body.get("rules").is_some(), expected, "{aggregation}");
        }
        assert!(sample.prepared(&role).body().get("rules").is_some());
    }

    #[test]
    fn invalid_manifests_are_rejected_but_not_pruned() {
        let sample = Sample::new();
        let map = manifest("v1", "ConfigMap", "it");
        let depends = |on: &str| with(map.clone(), "/metadata/annotations", json!({DEPENDS_ON_ANNOTATION: on}));
        let twice = with(map.clone(), "/metadata/namespace", json!("default"));
        let no_maps = LocalLimits::default().only_kinds(["Secret".parse().expect("a pattern")]);
        let free = LocalLimits::default();
        for (manifests, limits, ready, refused) in [
            (vec![map.clone()], &free, 1, None),
            (vec![map.clone(), twice], &free, 1, Some(Reason::Refused)),
            (vec![map.clone()], &no_maps, 0, Some(Reason::NotAllowed)),
            (vec![depends("/namespaces/a/ConfigMap/b")], &free, 1, None),
            (vec![depends("nonsense")], &free, 0, Some(Reason::DependencyUnknown)),
        ] {
            let set = sample.prepared_with(&manifests, &discovery(), limits);
            let reason = set.refused.first().map(|it| it.reason);
            assert_eq!((set.ready.len(), reason), (ready, refused), "{manifests:?}");
            assert_eq!(set.objects.len(), 1, "it is not pruned: {manifests:?}");
        }
    }

    #[test]
    fn unserved_kind_is_explained() {
        let sample = Sample::new();
        let thing = || manifest("w.example/v1", "Thing", "it");
        let spec = json!({"group": "w.example", "scope": "Cluster", "names": {"kind": "Thing"}});
        let crd =
            with(manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.w.example"), "/spec", spec);
        let serving = |group: &str, version: &str| {
            let mut discovery = discovery();
            let kind = ApiKind { version: version.to_owned(), ..ApiKind::v1(group, "Thing", "things", true) };
            discovery.kinds.push(kind);
            discovery
        };
        let away = Discovery { failed: vec!["w.example".to_owned()], ..discovery() };
        for (manifests, discovery, reason, waiting, message) in [
            (vec![thing()], discovery(), Reason::KindNotServed, false, "does not serve w.example/v1 Thing"),
            (vec![thing()], serving("w.example", "v2"), Reason::KindNotServed, false, "serves w.example/v2 but not"),
            (vec![thing()], serving("v.example", "v3"), Reason::KindNotServed, false, "it serves v.example/v3 Thing"),
            (
                vec![thing(), crd.clone()],
                discovery(),
                Reason::KindNotServed,
                true,
                "is in the stack, but the cluster does not serve it yet",
            ),
            (vec![thing()], away, Reason::ApiUnavailable, true, "does not respond"),
        ] {
            let set = sample.prepared_with(&manifests, &discovery, &LocalLimits::default());
            let found = &set.unserved[0];
            let problem = unserved(found);
            assert_eq!((problem.reason, problem.waiting), (reason, waiting), "{}", problem.message);
            assert!(problem.message.contains(message), "{}", problem.message);
            assert_eq!(found.is_lasting(), !waiting);
            // Namespaced unless the definition in the same set says otherwise.
            assert_eq!(found.object.namespace.is_none(), manifests.len() == 2, "{}", problem.message);
        }
    }
}
