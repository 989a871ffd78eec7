//! From a manifest to what is sent: kind and namespace resolved, our labels on it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_core::manifest::{Manifest, ManifestSet};
use brokkr_core::model::{AgentId, IgnoreRule, ObjectRef, StackId};
use serde_json::{Map, Value, json};

use crate::cluster::{ApiKind, Discovery};
use crate::desired::depends_on;
use crate::desired::depends_on::DEPENDS_ON_ANNOTATION;
use crate::desired::ignore::Ignored;
use crate::limits::{LIMITS_REMEDY, LocalLimits};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::inventory::ManifestHash;
use crate::ownership::labels::{AGENT_LABEL, APPLYSET_ID_LABEL, INVENTORY_LABEL, PART_OF_LABEL, STACK_LABEL};
use crate::ownership::objects::Objects;

/// A manifest ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) kind: Arc<ApiKind>,
    /// As compact JSON: what is held for long is rarely written, and a tree takes several times the memory.
    text: Box<str>,
    pub(crate) hash: ManifestHash,
    /// Objects that must be there and healthy before.
    pub(crate) depends_on: Vec<ObjectRef>,
    /// Fields that are left to others once it is there.
    pub(crate) ignored: Arc<Ignored>,
    /// The number of replicas that the manifest names.
    pub(crate) replicas: Option<i64>,
}

impl Prepared {
    /// What is sent.
    pub(crate) fn body(&self) -> Value {
        // Written by ourselves from a tree, so it can be read.
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// An object of a kind that is not served in the version that its manifest names.
#[derive(Debug)]
pub(crate) struct Unserved {
    /// As well as it can be named.
    pub(crate) object: Arc<ObjectRef>,
    /// Version and kind of the manifest.
    wanted: String,
    /// The versions of the kind that are served.
    served: Vec<String>,
    /// The versions of kinds of the same name in other groups that are served.
    elsewhere: Vec<String>,
    /// Whether the same set has its definition.
    defined_here: bool,
    /// Whether the API that may serve it does not answer.
    unknown: bool,
}

impl Unserved {
    /// Whether it stays so until somebody changes something.
    pub(crate) fn is_lasting(&self) -> bool {
        !self.defined_here && !self.unknown
    }
}

/// A stack's manifests, resolved as far as possible.
#[derive(Debug, Default)]
pub(crate) struct PreparedSet {
    pub(crate) ready: Vec<Prepared>,
    /// Objects of kinds that are not served, as well as they can be named.
    pub(crate) unserved: Vec<Unserved>,
    /// Objects that cannot be as they are written, or may not be touched.
    pub(crate) refused: Vec<ObjectProblem>,
    /// Everything that is wanted, whether it can be applied now or not: none of it may be pruned.
    pub(crate) objects: Arc<Objects>,
}

/// What is wrong with an object whose kind is not served.
pub(crate) fn unserved(unserved: &Unserved) -> ObjectProblem {
    let Unserved { object, wanted, served, elsewhere, defined_here, unknown } = unserved;
    if *unknown {
        let message = format!("the API that serves {wanted} does not answer");
        return ObjectProblem::waiting(object.clone(), Reason::ApiUnavailable, message);
    }
    if *defined_here && served.is_empty() {
        let message = format!("the definition of {wanted} is in the stack and not served yet");
        return ObjectProblem::waiting(object.clone(), Reason::KindNotServed, message);
    }
    let (message, remedy) = if served.is_empty() && !elsewhere.is_empty() {
        let message =
            format!("the cluster does not serve {wanted}; it serves {} {}", elsewhere.join(", "), object.kind);
        (message, "change apiVersion, and the fields that differ")
    } else if served.is_empty() {
        let remedy = "install its CustomResourceDefinition, or correct apiVersion and kind";
        (format!("the cluster does not serve {wanted}"), remedy)
    } else {
        let message = format!("the cluster serves {} and not {wanted}", served.join(", "));
        (message, "change apiVersion to one that the cluster serves")
    };
    ObjectProblem::failed(object.clone(), Reason::KindNotServed, message).with_remedy(remedy)
}

/// Where the stack's objects belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belonging<'a> {
    pub(crate) agent: AgentId,
    pub(crate) stack: StackId,
    pub(crate) applyset: &'a str,
    pub(crate) default_namespace: &'a str,
    pub(crate) limits: &'a LocalLimits,
    pub(crate) ignore: &'a [IgnoreRule],
}

pub(crate) fn prepare(set: &ManifestSet, belonging: Belonging<'_>, discovery: &Discovery) -> PreparedSet {
    let scopes = scopes_of_own_crds(set);
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
                // Known only now: the namespace of what has none is the stack's to say, or does not count.
                if !seen.insert(object.clone()) {
                    let problem = ObjectProblem::failed(object, Reason::Refused, "the stack has two manifests of it");
                    prepared.refused.push(problem.with_remedy("delete one of them"));
                    continue;
                }
                if let Some(problem) = belonging.limits.refuse(&object) {
                    let problem = ObjectProblem::failed(object, Reason::NotAllowed, problem);
                    prepared.refused.push(problem.with_remedy(LIMITS_REMEDY));
                    continue;
                }
                let body = manifest.body();
                match depends_on(&body) {
                    Ok(before) => prepared.ready.push(with_labels(body, kind, object, belonging, before)),
                    Err(problem) => prepared.refused.push(ObjectProblem::failed(object, Reason::Refused, problem)),
                }
            }
            None => {
                // A definition in the same set knows; otherwise nearly every kind that is not served is namespaced.
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
    let ready = prepared.ready.iter().map(|it| &it.object);
    let unserved = prepared.unserved.iter().map(|it| &it.object);
    let all = ready.chain(unserved).chain(prepared.refused.iter().map(|it| &it.object));
    prepared.objects = Arc::new(all.cloned().collect());
    prepared
}

/// The `apiVersion` of a group and a version.
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
            // What marks our own records must not be put on anything else.
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
        // A controller fills them in, and would be fought.
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

/// Writes a Secret's `stringData` as the `data` that the server would make of it. The field itself is never stored, so
/// nobody could own it, and a change of what it set would not be seen.
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
