//! Generates the minimal RBAC rules that an agent needs for a set of manifests.
//!
//! The generator does not ask a cluster. It derives plural names by the rule of Kubernetes' own kinds, and takes those of
//! custom resources from their definitions if the set contains them.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::manifest::Manifest;
use brokkr_core::model::GrantRules;
use brokkr_reconcile::generator_user;
use serde_json::{Value, json};

use crate::agent::AgentConfig;

/// Options of [`rbac`]: the subject of the rights, and their scope.
///
/// ```
/// use brokkr_agent_runtime::rbac::RbacOptions;
///
/// let options = RbacOptions::default().name("edge-agent").only_namespaces(["shop", "shop-jobs"]);
/// ```
#[derive(Debug, Clone)]
pub struct RbacOptions {
    name: String,
    namespace: String,
    default_namespace: String,
    user: Option<String>,
    namespaces: Option<BTreeSet<String>>,
    generators: BTreeSet<String>,
}

impl RbacOptions {
    /// Default of [`name`](Self::name).
    pub const NAME: &'static str = "brokkr-agent";
    /// Default of [`default_namespace`](Self::default_namespace).
    pub const DEFAULT_NAMESPACE: &'static str = "default";

    /// Sets the name of the roles, their bindings and the service account. Default: [`NAME`](Self::NAME). Two agents in
    /// one cluster need different names.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the agent's own namespace. Default: [`AgentConfig::NAMESPACE`].
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the namespace of namespaced objects without one, which is the stack's policy `default_namespace`. Default:
    /// [`DEFAULT_NAMESPACE`](Self::DEFAULT_NAMESPACE).
    #[must_use]
    pub fn default_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.default_namespace = namespace.into();
        self
    }

    /// Grants the rights to a user. Default: a service account in the agent's namespace.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the only namespaces that the agent works in. Default: the whole cluster. The agent then gets no right outside
    /// of them and its own namespace.
    #[must_use]
    pub fn only_namespaces(mut self, namespaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.namespaces = Some(namespaces.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the generators whose objects the agent writes by impersonation. Default: none.
    ///
    /// The agent may then impersonate exactly the users and groups of these generators, read the kinds of the default grant and
    /// RBAC, and manage Namespaces. Each generator gets a Role to start from, with the kinds of the default grant in the namespace
    /// of its name, which must exist.
    #[must_use]
    pub fn generators(mut self, generators: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.generators = generators.into_iter().map(Into::into).collect();
        self
    }
}

impl Default for RbacOptions {
    fn default() -> Self {
        Self {
            name: Self::NAME.to_owned(),
            namespace: AgentConfig::NAMESPACE.to_owned(),
            default_namespace: Self::DEFAULT_NAMESPACE.to_owned(),
            user: None,
            namespaces: None,
            generators: BTreeSet::new(),
        }
    }
}

const READ: [&str; 3] = ["get", "list", "watch"];
/// What a generator needs for its objects. The agent reads and watches them with its own rights.
const WRITE: [&str; 4] = ["create", "delete", "get", "patch"];
const ALL: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
const RBAC: &str = "rbac.authorization.k8s.io";

/// Built-in cluster-scoped kinds.
const CLUSTER_WIDE: [&str; 22] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingWebhookConfiguration",
];

/// Rules by scope: a namespace, or `None` for the whole cluster.
#[derive(Default)]
struct Rules(BTreeMap<Option<String>, BTreeMap<Grant, BTreeSet<String>>>);

/// The resources that a rule grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    group: String,
    resource: String,
    name: Option<String>,
}

impl Rules {
    fn grant(&mut self, place: Option<&str>, group: &str, resource: &str, name: Option<&str>, verbs: &[&str]) {
        let name = name.map(str::to_owned);
        let grant = Grant { group: group.to_owned(), resource: resource.to_owned(), name };
        let place = self.0.entry(place.map(str::to_owned)).or_default();
        place.entry(grant).or_default().extend(verbs.iter().map(|verb| (*verb).to_owned()));
    }
}

/// Returns the manifests that grant an agent the rights to apply, watch and remove these objects.
///
/// The result contains the agent's Namespace, its ServiceAccount unless [`user`](RbacOptions::user) is set, and a role
/// and a binding per scope. With [`only_namespaces`](RbacOptions::only_namespaces) it skips cluster-scoped objects.
///
/// ```
/// use brokkr_agent_runtime::rbac::{RbacOptions, rbac};
/// use brokkr_core::manifest::ManifestSet;
///
/// let set = ManifestSet::parse_yaml(b"apiVersion: v1
/// kind: ConfigMap
/// metadata: {name: settings}
/// ").unwrap();
/// let kinds: Vec<_> = rbac(set.objects(), &RbacOptions::default()).iter().map(|it| it["kind"].clone()).collect();
/// assert_eq!(kinds, ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]);
/// ```
pub fn rbac(objects: &[Manifest], options: &RbacOptions) -> Vec<Value> {
    let mut rules = Rules::default();
    own_rights(&mut rules, options);
    let defined = defined_kinds(objects);
    let mut granted: Vec<(Option<String>, Value)> = Vec::new();
    for manifest in objects {
        let (resource, namespaced) = resource(manifest, &defined);
        let namespace = namespaced.then(|| manifest.namespace().unwrap_or(&options.default_namespace));
        // A Role requires an existing namespace, which the stack may only create. So without a list of namespaces all
        // rules are cluster-wide.
        let place = namespace.filter(|_| options.namespaces.is_some());
        if options.namespaces.is_some() && namespace.is_none() {
            continue;
        }
        rules.grant(place, manifest.group(), &resource, None, &ALL);
        if manifest.is_namespace() {
            // Before the agent deletes a Namespace, it checks that no object of any kind is left in it.
            rules.grant(None, "*", "*", None, &["list"]);
        }
        if manifest.group().is_empty() && manifest.kind() == "PersistentVolumeClaim" && place.is_none() {
            rules.grant(None, "storage.k8s.io", "storageclasses", None, &["get"]);
        }
        if manifest.group() == RBAC {
            granted.extend(handed_on(manifest).into_iter().map(|rule| (place.map(str::to_owned), rule)));
            if let Some((resource, name)) = bound(manifest, objects) {
                rules.grant(place, RBAC, resource, Some(&name), &["bind"]);
            }
        }
    }
    if options.namespaces.is_none() {
        // Before the agent deletes a definition, it checks that no object of its kind is left.
        for (group, plural, _) in defined.values() {
            rules.grant(None, group, plural, None, &["list"]);
        }
    }
    rights_for_generators(&mut rules, options);
    let mut documents = documents(rules, granted, options);
    documents.extend(options.generators.iter().flat_map(|it| starter(it)));
    documents
}

/// Grants the rights to act as generators, and to read what they deploy.
fn rights_for_generators(rules: &mut Rules, options: &RbacOptions) {
    for generator in &options.generators {
        for resource in ["users", "groups"] {
            rules.grant(None, "", resource, Some(&generator_user(generator)), &["impersonate"]);
        }
    }
    if options.generators.is_empty() {
        return;
    }
    let places: Vec<Option<&str>> = match &options.namespaces {
        Some(namespaces) => namespaces.iter().map(|it| Some(it.as_str())).collect(),
        None => {
            rules.grant(None, "", "namespaces", None, &ALL);
            rules.grant(None, "*", "*", None, &["list"]);
            vec![None]
        }
    };
    for (group, resources) in default_resources() {
        for (resource, place) in resources.iter().flat_map(|it| places.iter().map(move |place| (it, place))) {
            rules.grant(*place, &group, resource, None, &READ);
        }
    }
    for (resource, place) in ["roles", "rolebindings"].iter().flat_map(|it| places.iter().map(move |place| (it, place)))
    {
        rules.grant(*place, RBAC, resource, None, &READ);
    }
    if options.namespaces.is_none() {
        for resource in ["clusterroles", "clusterrolebindings"] {
            rules.grant(None, RBAC, resource, None, &READ);
        }
    }
}

/// The namespaced resources of the default grant, by group.
fn default_resources() -> BTreeMap<String, Vec<String>> {
    let mut resources: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pattern in GrantRules::default().kinds {
        let pattern = pattern.to_string();
        let (kind, group) = pattern.split_once('.').unwrap_or((&pattern, ""));
        if !CLUSTER_WIDE.contains(&kind) {
            resources.entry(group.to_owned()).or_default().push(plural(kind));
        }
    }
    resources
}

/// Returns the Role of a generator to start from, and its binding.
fn starter(generator: &str) -> [Value; 2] {
    let (api, name) = (format!("{RBAC}/v1"), generator_user(generator));
    let metadata = json!({"name": name, "namespace": generator});
    let rule = |(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": WRITE});
    let rules: Vec<Value> = default_resources().into_iter().map(rule).collect();
    [
        json!({"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "Group", "apiGroup": RBAC, "name": name}],
        }),
    ]
}

/// Grants the rights that every agent needs: for its records, its Lease, and the cluster's identity.
fn own_rights(rules: &mut Rules, options: &RbacOptions) {
    let own = Some(options.namespace.as_str());
    rules.grant(own, "", "secrets", None, &["get", "list", "create", "patch", "delete"]);
    rules.grant(own, "", "configmaps", None, &["get", "create", "patch"]);
    rules.grant(own, "coordination.k8s.io", "leases", None, &["get", "create", "patch"]);
    if options.namespaces.is_none() {
        for name in ["kube-system", &options.namespace] {
            rules.grant(None, "", "namespaces", Some(name), &["get"]);
        }
    }
}

/// Kinds that the set defines: (group, kind) to (group, plural, namespaced).
type Defined = BTreeMap<(String, String), (String, String, bool)>;

fn defined_kinds(objects: &[Manifest]) -> Defined {
    let text = |spec: &Value, pointer: &str| spec.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let specs = objects.iter().filter(|it| it.is_crd()).filter_map(|it| it.body().remove("spec"));
    let of = |spec: Value| {
        let (group, kind) = (text(&spec, "/group")?, text(&spec, "/names/kind")?);
        let namespaced = text(&spec, "/scope")? == "Namespaced";
        Some(((group.clone(), kind), (group, text(&spec, "/names/plural")?, namespaced)))
    };
    specs.filter_map(of).collect()
}

/// Returns the plural name of a manifest's kind, and whether the kind is namespaced.
fn resource(manifest: &Manifest, defined: &Defined) -> (String, bool) {
    if let Some((_, plural, namespaced)) = defined.get(&(manifest.group().to_owned(), manifest.kind().to_owned())) {
        return (plural.clone(), *namespaced);
    }
    let namespaced = !CLUSTER_WIDE.contains(&manifest.kind());
    (plural(manifest.kind()), namespaced)
}

/// Returns the plural name by the convention of Kubernetes' own kinds.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    if kind == "endpoints" {
        return kind;
    }
    let stem = kind.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match stem {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "z", "ch", "sh"].iter().any(|end| kind.ends_with(end)) => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}

/// Returns the rules of a role in the set. A client can only grant rights that it has itself
/// (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>).
fn handed_on(manifest: &Manifest) -> Vec<Value> {
    let is_role = matches!(manifest.kind(), "Role" | "ClusterRole");
    match manifest.body().remove("rules") {
        Some(Value::Array(rules)) if is_role => rules,
        _ => Vec::new(),
    }
}

/// Returns the role that a binding refers to, if the set does not contain it.
fn bound(manifest: &Manifest, objects: &[Manifest]) -> Option<(&'static str, String)> {
    let reference = manifest.body().remove("roleRef")?;
    let text = |field: &str| reference.get(field).and_then(Value::as_str);
    let (kind, name) = (text("kind")?, text("name")?);
    let is_in_set = objects.iter().any(|it| it.group() == RBAC && it.kind() == kind && it.name() == name);
    let resource = if kind == "ClusterRole" { "clusterroles" } else { "roles" };
    (!is_in_set).then(|| (resource, name.to_owned()))
}

fn documents(rules: Rules, mut granted: Vec<(Option<String>, Value)>, options: &RbacOptions) -> Vec<Value> {
    let subject = match &options.user {
        Some(user) => json!({"kind": "User", "apiGroup": RBAC, "name": user}),
        None => json!({"kind": "ServiceAccount", "name": options.name, "namespace": options.namespace}),
    };
    let mut documents = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}})];
    if options.user.is_none() {
        let metadata = json!({"name": options.name, "namespace": options.namespace});
        documents.push(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}));
    }
    let mut places: BTreeMap<Option<String>, Vec<Value>> = BTreeMap::new();
    for (place, grants) in rules.0 {
        let rule = |(grant, verbs): (Grant, BTreeSet<String>)| {
            let verbs: Vec<String> = verbs.into_iter().collect();
            let mut rule = json!({"apiGroups": [grant.group], "resources": [grant.resource], "verbs": verbs});
            if let Some(name) = grant.name {
                rule["resourceNames"] = json!([name]);
            }
            rule
        };
        places.insert(place, grants.into_iter().map(rule).collect());
    }
    for (place, rule) in granted.drain(..) {
        let rules = places.entry(place).or_default();
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    for (place, rules) in places {
        let (role, binding) =
            if place.is_some() { ("Role", "RoleBinding") } else { ("ClusterRole", "ClusterRoleBinding") };
        let mut metadata = json!({"name": options.name});
        if let Some(place) = &place {
            metadata["namespace"] = json!(place);
        }
        let api = format!("{RBAC}/v1");
        documents.push(json!({"apiVersion": api, "kind": role, "metadata": metadata, "rules": rules}));
        documents.push(json!({
            "apiVersion": api,
            "kind": binding,
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": role, "name": options.name},
            "subjects": [subject],
        }));
    }
    documents
}

#[cfg(test)]
mod tests {
    use brokkr_core::manifest::ManifestSet;

    use super::*;

    #[test]
    fn plural_names_match_kubernetes() {
        for (kind, expected) in [
            ("Pod", "pods"),
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("StorageClass", "storageclasses"),
            ("Endpoints", "endpoints"),
            ("Gateway", "gateways"),
            ("HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }

    #[test]
    fn namespaced_agent_gets_no_cluster_rights() {
        let text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";
        let set = ManifestSet::parse_yaml(text).expect("manifests");
        let options =
            RbacOptions::default().name("edge").namespace("own").default_namespace("team").only_namespaces(["team"]);
        let documents = rbac(set.objects(), &options);
        assert!(documents.iter().all(|it| it["kind"] != "ClusterRole"), "{documents:?}");
        let role = documents.iter().find(|it| it["kind"] == "Role" && it["metadata"]["namespace"] == "team");
        let expected = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "delete", "get", "list", "patch", "watch"]}]);
        assert_eq!(role.expect("a role")["rules"], expected);
    }

    #[test]
    fn agent_may_impersonate_exactly_the_named_generators() {
        let documents = rbac(&[], &RbacOptions::default().generators(["shop", "bank"]));
        let of =
            |kind: &str, name: &str| documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
        let cluster_role = of("ClusterRole", "brokkr-agent").expect("a role");
        let rules = cluster_role["rules"].as_array().expect("rules");
        let impersonating: Vec<_> = rules.iter().filter(|it| it["verbs"] == json!(["impersonate"])).collect();
        let names = |resource: &str| {
            let names = impersonating.iter().filter(|it| it["resources"] == json!([resource]));
            names.map(|it| it["resourceNames"].clone()).collect::<Vec<_>>()
        };
        for resource in ["users", "groups"] {
            let expected = [json!(["brokkr:generator:bank"]), json!(["brokkr:generator:shop"])];
            assert_eq!(names(resource), expected, "{resource}");
        }
        assert!(
            rules.iter().all(|it| it["resources"] != json!(["secrets"]) || !it["verbs"].to_string().contains("patch"))
        );
        let role = of("Role", "brokkr:generator:shop").expect("a role");
        assert_eq!(role["metadata"]["namespace"], "shop");
        assert!(!role["rules"].to_string().contains("namespaces") && role["rules"].to_string().contains("deployments"));
        let binding = of("RoleBinding", "brokkr:generator:shop").expect("a binding");
        assert_eq!(
            (&binding["subjects"][0]["kind"], &binding["subjects"][0]["name"]),
            (&json!("Group"), &role["metadata"]["name"])
        );
    }
}
