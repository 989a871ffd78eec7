//! The rules of a grant.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{GrantedField, KindPattern, NamespacePattern, PodSecurity, Violation};
use crate::error::{Invalid, InvalidCode};
use crate::model::{Adopt, Conflicts, Policies, limits};

/// The kinds that the default grant allows: namespaced kinds of workloads, configuration, networking, autoscaling and
/// disruption budgets, and the generator's own Namespaces.
const DEFAULT_KINDS: [&str; 19] = [
    "ConfigMap",
    "Namespace",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicationController",
    "Secret",
    "Service",
    "ServiceAccount",
    "DaemonSet.apps",
    "Deployment.apps",
    "ReplicaSet.apps",
    "StatefulSet.apps",
    "CronJob.batch",
    "Job.batch",
    "HorizontalPodAutoscaler.autoscaling",
    "Ingress.networking.k8s.io",
    "NetworkPolicy.networking.k8s.io",
    "PodDisruptionBudget.policy",
    "PodTemplate",
];
/// Labels and annotations of Namespaces that nothing in a cluster decides by.
const DESCRIPTIVE: [&str; 3] =
    ["kubernetes.io/metadata.name", "kubernetes.io/description", "kubectl.kubernetes.io/last-applied-configuration"];

fn is_descriptive(key: &str) -> bool {
    key.starts_with("app.kubernetes.io/") || DESCRIPTIVE.contains(&key)
}

/// What a generator may create and update in a cluster. Removing what it holds is always allowed.
///
/// ```
/// use brokkr_core::model::GrantRules;
/// use serde_json::json;
///
/// let rules = GrantRules::default();
/// let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}});
/// let violations = rules.violations("shop", "rbac.authorization.k8s.io", "ClusterRole", None, role.as_object().unwrap());
/// assert_eq!(violations[0].to_string(), "the kind ClusterRole.rbac.authorization.k8s.io is not allowed (kinds)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantRules {
    /// The allowed kinds. Default: built-in namespaced kinds of workloads, configuration, networking, autoscaling and
    /// disruption budgets; no RBAC, no webhooks, no definitions of custom resources, no custom resources.
    #[cfg_attr(feature = "openapi", schema(max_items = 256))]
    pub kinds: BTreeSet<KindPattern>,
    /// The allowed namespaces. Default: `{generator}` and `{generator}-*`.
    #[cfg_attr(feature = "openapi", schema(max_items = 256))]
    pub namespaces: BTreeSet<NamespacePattern>,
    /// The least strict level of the Pod Security Standards. Default: `baseline`. Below `privileged`, Namespaces have no labels
    /// and annotations of the generator's own but `app.kubernetes.io/…` and `kubernetes.io/description`: network policies and
    /// admission webhooks select namespaces by them.
    pub pod_security: PodSecurity,
    /// Whether Secrets and volumes may contain tokens of service accounts beside the one that Kubernetes mounts. Default:
    /// false.
    pub service_account_tokens: bool,
    /// Whether Services may claim external IPs, which take traffic from other tenants. Default: false.
    pub external_ips: bool,
    /// Whether pods may have a priority class `system-*`, which evicts pods of other tenants. Default: false.
    pub system_priority: bool,
    /// How far the generator's stacks may take over existing objects. Default: `never`.
    pub adopt: Adopt,
    /// Whether the generator's stacks may take over fields of other managers. Default: false.
    pub force_conflicts: bool,
}

impl Default for GrantRules {
    fn default() -> Self {
        Self {
            kinds: DEFAULT_KINDS.iter().filter_map(|it| it.parse().ok()).collect(),
            namespaces: ["{generator}", "{generator}-*"].iter().filter_map(|it| it.parse().ok()).collect(),
            pod_security: PodSecurity::Baseline,
            service_account_tokens: false,
            external_ips: false,
            system_priority: false,
            adopt: Adopt::Never,
            force_conflicts: false,
        }
    }
}

impl GrantRules {
    /// Rules that allow everything.
    pub fn unrestricted() -> Self {
        Self {
            kinds: [KindPattern::ALL].into(),
            namespaces: [NamespacePattern::all()].into(),
            pod_security: PodSecurity::Privileged,
            service_account_tokens: true,
            external_ips: true,
            system_priority: true,
            adopt: Adopt::Always,
            force_conflicts: true,
        }
    }

    /// Rules that allow nothing.
    pub fn nothing() -> Self {
        Self {
            kinds: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            pod_security: PodSecurity::Restricted,
            ..Self::default()
        }
    }

    /// Whether the rules allow everything, so that nothing has to be checked.
    pub fn is_unrestricted(&self) -> bool {
        self.kinds.contains(&KindPattern::ALL)
            && self.namespaces.contains(&NamespacePattern::all())
            && self.pod_security == PodSecurity::Privileged
            && self.service_account_tokens
            && self.external_ips
            && self.system_priority
    }

    /// Whether no pattern but those with `{generator}` allows a namespace. The generator then needs to have created the
    /// Namespace: its name alone proves nothing.
    ///
    /// ```
    /// use brokkr_core::model::GrantRules;
    ///
    /// let mut rules = GrantRules::default();
    /// assert!(rules.needs_own_namespace("shop", "shop-jobs"));
    /// rules.namespaces.insert("shop-jobs".parse()?);
    /// assert!(!rules.needs_own_namespace("shop", "shop-jobs"), "an admin has named it");
    /// # Ok::<_, brokkr_core::model::NotANamespacePattern>(())
    /// ```
    pub fn needs_own_namespace(&self, generator: &str, namespace: &str) -> bool {
        let mut named = self.namespaces.iter().filter(|it| !it.is_of_generator());
        !named.any(|it| it.matches(generator, namespace))
    }

    /// Reduces the policies to what the rules allow.
    #[must_use]
    pub fn limit(&self, mut policies: Policies) -> Policies {
        policies.adopt = policies.adopt.min(self.adopt);
        if !self.force_conflicts {
            policies.conflicts = Conflicts::Fail;
        }
        policies
    }

    /// Checks the number of patterns.
    ///
    /// # Errors
    ///
    /// [`FieldInvalid`](InvalidCode::FieldInvalid), with a pointer to the field.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (field, count) in [("kinds", self.kinds.len()), ("namespaces", self.namespaces.len())] {
            if count > limits::GRANT_PATTERNS {
                let message = format!("{count} patterns; at most {} are allowed", limits::GRANT_PATTERNS);
                return Err(Invalid::new(InvalidCode::FieldInvalid, message).within(field));
            }
        }
        Ok(())
    }

    /// Returns what an object contains beyond the rules. `namespace`: the namespace that the object is created in, after
    /// defaults; `None` for a cluster-scoped object, whose kind alone decides. The name of a Namespace counts as its
    /// namespace.
    pub fn violations(
        &self,
        generator: &str,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        body: &Map<String, Value>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        if !self.kinds.iter().any(|it| it.matches(group, kind)) {
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            violations.push(Violation::new(GrantedField::Kinds, format!("the kind {kind}{group}")));
        }
        let metadata = body.get("metadata");
        let is_namespace = (group, kind) == ("", "Namespace");
        let name = metadata.and_then(|it| it.get("name")).and_then(Value::as_str).unwrap_or_default();
        if let Some(namespace) = if is_namespace { Some(name) } else { namespace }
            && !self.namespaces.iter().any(|it| it.matches(generator, namespace))
        {
            violations.push(Violation::new(GrantedField::Namespaces, format!("the namespace {namespace:?}")));
        }
        if is_namespace && self.pod_security != PodSecurity::Privileged {
            // Admission webhooks, network policies and meshes select namespaces by them.
            for (field, what) in [("labels", "label"), ("annotations", "annotation")] {
                let given = metadata.and_then(|it| it.get(field)).and_then(Value::as_object);
                let foreign = given.into_iter().flatten().filter(|(key, _)| !is_descriptive(key));
                violations.extend(foreign.map(|(key, _)| {
                    Violation::new(GrantedField::PodSecurity, format!("the {what} {key} of a Namespace"))
                }));
            }
        }
        if let Some((spec, annotations)) = pod_of(group, kind, body) {
            let found = self.pod_security.violations(spec, annotations);
            violations.extend(found.into_iter().map(|what| Violation::new(GrantedField::PodSecurity, what)));
            self.check_pod(spec, &mut violations);
        }
        match (group, kind) {
            ("", "Secret") if !self.service_account_tokens => {
                if let Some(kind @ ("kubernetes.io/service-account-token" | "bootstrap.kubernetes.io/token")) =
                    body.get("type").and_then(Value::as_str)
                {
                    let what = format!("a Secret of type {kind}");
                    violations.push(Violation::new(GrantedField::ServiceAccountTokens, what));
                }
            }
            ("", "Service") if !self.external_ips => {
                let addresses = body.get("spec").and_then(|it| it.get("externalIPs"));
                if addresses.is_some_and(|it| !it.is_null() && it.as_array().is_none_or(|it| !it.is_empty())) {
                    violations.push(Violation::new(GrantedField::ExternalIps, "externalIPs of a Service"));
                }
            }
            _ => {}
        }
        violations
    }

    fn check_pod(&self, spec: &Map<String, Value>, violations: &mut Vec<Violation>) {
        let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
        let sources = volumes.filter_map(|it| it.get("projected")?.get("sources")?.as_array()).flatten();
        let is_token = |source: &Value| source.get("serviceAccountToken").is_some_and(|it| !it.is_null());
        if !self.service_account_tokens && sources.into_iter().any(is_token) {
            violations
                .push(Violation::new(GrantedField::ServiceAccountTokens, "a volume with a service account's token"));
        }
        let class = spec.get("priorityClassName").and_then(Value::as_str).unwrap_or_default();
        if !self.system_priority && class.starts_with("system-") {
            violations.push(Violation::new(GrantedField::SystemPriority, format!("the priority class {class:?}")));
        }
    }

    /// Returns what a stack's policies ask for beyond the rules.
    pub fn policy_violations(&self, policies: &Policies) -> Vec<Violation> {
        let mut violations = Vec::new();
        if policies.adopt > self.adopt {
            violations.push(Violation::new(GrantedField::Adopt, "the policy adopt"));
        }
        if policies.conflicts == Conflicts::Force && !self.force_conflicts {
            violations.push(Violation::new(GrantedField::ForceConflicts, "the policy conflicts: force"));
        }
        violations
    }
}

/// The pod that an object creates: its `spec`, and the annotations of its metadata.
fn pod_of<'a>(
    group: &str,
    kind: &str,
    body: &'a Map<String, Value>,
) -> Option<(&'a Map<String, Value>, Option<&'a Value>)> {
    let path: &[&str] = match (group, kind) {
        ("", "Pod") => &[],
        ("", "PodTemplate") => &["template"],
        ("", "ReplicationController")
        | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet")
        | ("batch", "Job") => &["spec", "template"],
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    };
    let pod = path.iter().try_fold(body, |parent, key| parent.get(*key)?.as_object())?;
    Some((pod.get("spec")?.as_object()?, pod.get("metadata").and_then(|it| it.get("annotations"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violations_of(rules: &GrantRules, body: &Value) -> Vec<String> {
        let api_version = body["apiVersion"].as_str().unwrap_or("v1");
        let group = api_version.split_once('/').map_or("", |it| it.0);
        let namespace = body.pointer("/metadata/namespace").and_then(Value::as_str);
        let kind = body["kind"].as_str().expect("a kind");
        let violations = rules.violations("shop", group, kind, namespace, body.as_object().expect("an object"));
        violations.into_iter().map(|it| format!("{}: {}", it.field, it.what)).collect()
    }

    fn object(api_version: &str, kind: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "shop"}})
    }

    fn with(mut body: Value, field: &str, value: Value) -> Value {
        body[field] = value;
        body
    }

    #[test]
    fn default_grant_allows_namespaced_built_in_kinds() {
        let rules = GrantRules::default();
        assert_eq!(rules.kinds.len(), DEFAULT_KINDS.len());
        for (api_version, kind) in [
            ("v1", "ConfigMap"),
            ("v1", "Service"),
            ("apps/v1", "Deployment"),
            ("batch/v1", "CronJob"),
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("networking.k8s.io/v1", "Ingress"),
            ("policy/v1", "PodDisruptionBudget"),
        ] {
            assert_eq!(violations_of(&rules, &object(api_version, kind)), Vec::<String>::new(), "{kind}");
        }
        for (api_version, kind) in [
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
            ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("apiregistration.k8s.io/v1", "APIService"),
            ("argoproj.io/v1alpha1", "Application"),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
            ("scheduling.k8s.io/v1", "PriorityClass"),
            ("storage.k8s.io/v1", "StorageClass"),
            ("discovery.k8s.io/v1", "EndpointSlice"),
            ("coordination.k8s.io/v1", "Lease"),
            ("certificates.k8s.io/v1", "CertificateSigningRequest"),
            ("extensions/v1beta1", "Deployment"),
            ("v1", "Endpoints"),
            ("v1", "PersistentVolume"),
            ("v1", "ResourceQuota"),
            ("v1", "LimitRange"),
            ("v1", "Node"),
            ("v1", "deployment"),
            ("v1", "configmap"),
            ("v1", "ConfigMap "),
        ] {
            let violations = violations_of(&rules, &object(api_version, kind));
            assert!(violations.len() == 1 && violations[0].starts_with("kinds: the kind "), "{kind}: {violations:?}");
            assert!(violations_of(&GrantRules::unrestricted(), &object(api_version, kind)).is_empty(), "{kind}");
        }
    }

    #[test]
    fn namespaces_are_those_of_the_generator() {
        let rules = GrantRules::default();
        let in_namespace = |namespace: &str| {
            let mut body = object("v1", "ConfigMap");
            body["metadata"]["namespace"] = json!(namespace);
            violations_of(&rules, &body)
        };
        let namespace = |name: &str| violations_of(&rules, &json!({"kind": "Namespace", "metadata": {"name": name}}));
        for allowed in ["shop", "shop-jobs"] {
            assert!(in_namespace(allowed).is_empty() && namespace(allowed).is_empty(), "{allowed}");
        }
        for forbidden in ["default", "kube-system", "brokkr", "shopping", "other", "Shop", ""] {
            let expected = [format!("namespaces: the namespace {forbidden:?}")];
            assert_eq!(in_namespace(forbidden), expected);
            assert_eq!(namespace(forbidden), expected);
        }
    }

    #[test]
    fn labels_and_annotations_that_select_namespaces_are_refused() {
        let labelled =
            |field: &str, key: &str| json!({"kind": "Namespace", "metadata": {"name": "shop", field: {key: "any"}}});
        let privileged = GrantRules { pod_security: PodSecurity::Privileged, ..GrantRules::default() };
        for (key, is_allowed) in [
            ("pod-security.kubernetes.io/enforce", false),
            ("team", false),
            ("istio-injection", false),
            ("app.kubernetes.io/name", true),
            ("app.kubernetes.io.example.com/name", false),
            ("kubernetes.io/metadata.name", true),
            ("kubernetes.io/description", true),
            ("kubectl.kubernetes.io/last-applied-configuration", true),
        ] {
            for (field, what) in [("labels", "label"), ("annotations", "annotation")] {
                let found = violations_of(&GrantRules::default(), &labelled(field, key));
                let expected = format!("pod_security: the {what} {key} of a Namespace");
                assert_eq!(found, if is_allowed { vec![] } else { vec![expected] });
                assert!(violations_of(&privileged, &labelled(field, key)).is_empty());
            }
        }
    }

    #[test]
    fn pods_are_checked_in_every_kind_that_creates_them() {
        let rules = GrantRules::default();
        let spec = json!({"hostPID": true, "containers": []});
        let template = json!({"spec": spec});
        for (api_version, kind, field, value) in [
            ("v1", "Pod", "spec", spec.clone()),
            ("v1", "PodTemplate", "template", template.clone()),
            ("v1", "ReplicationController", "spec", json!({"template": template})),
            ("apps/v1", "Deployment", "spec", json!({"template": template})),
            ("apps/v1", "StatefulSet", "spec", json!({"template": template})),
            ("apps/v1", "DaemonSet", "spec", json!({"template": template})),
            ("apps/v1", "ReplicaSet", "spec", json!({"template": template})),
            ("batch/v1", "Job", "spec", json!({"template": template})),
            ("batch/v1", "CronJob", "spec", json!({"jobTemplate": {"spec": {"template": template}}})),
        ] {
            let body = with(object(api_version, kind), field, value);
            assert_eq!(violations_of(&rules, &body), ["pod_security: hostPID of a pod"], "{kind}");
            assert!(violations_of(&GrantRules::unrestricted(), &body).is_empty(), "{kind}");
        }
    }

    #[test]
    fn tokens_addresses_and_priorities_need_a_grant() {
        let rules = GrantRules::default();
        let token =
            json!({"name": "t", "projected": {"sources": [{"configMap": {}}, {"serviceAccountToken": {"path": "t"}}]}});
        for (body, expected) in [
            (
                with(object("v1", "Secret"), "type", json!("kubernetes.io/service-account-token")),
                "service_account_tokens: a Secret of type kubernetes.io/service-account-token",
            ),
            (
                with(object("v1", "Pod"), "spec", json!({"volumes": [token]})),
                "service_account_tokens: a volume with a service account's token",
            ),
            (
                with(object("v1", "Pod"), "spec", json!({"priorityClassName": "system-node-critical"})),
                "system_priority: the priority class \"system-node-critical\"",
            ),
            (
                with(object("v1", "Service"), "spec", json!({"externalIPs": ["10.0.0.1"]})),
                "external_ips: externalIPs of a Service",
            ),
        ] {
            assert_eq!(violations_of(&rules, &body), [expected]);
            assert!(violations_of(&GrantRules::unrestricted(), &body).is_empty(), "{expected}");
        }
        for harmless in [
            with(object("v1", "Secret"), "type", json!("Opaque")),
            with(object("v1", "Service"), "spec", json!({"externalIPs": []})),
            with(object("v1", "Pod"), "spec", json!({"priorityClassName": "high"})),
        ] {
            assert_eq!(violations_of(&rules, &harmless), Vec::<String>::new());
        }
    }

    #[test]
    fn dangerous_policies_need_a_grant() {
        let all = [Adopt::Never, Adopt::IfEqual, Adopt::Always];
        for (granted, allowed) in all.into_iter().zip(1..) {
            let rules = GrantRules { adopt: granted, ..GrantRules::default() };
            for (number, adopt) in all.into_iter().enumerate() {
                let policies = Policies { adopt, ..Policies::default() };
                assert_eq!(rules.policy_violations(&policies).is_empty(), number < allowed, "{granted:?} {adopt:?}");
                assert!(rules.policy_violations(&rules.limit(policies)).is_empty(), "{granted:?} {adopt:?}");
            }
        }
        let force = Policies { conflicts: Conflicts::Force, ..Policies::default() };
        assert_eq!(GrantRules::default().policy_violations(&force).len(), 1);
        assert!(GrantRules::unrestricted().policy_violations(&force).is_empty());
        assert_eq!(GrantRules::unrestricted().limit(force.clone()), force);
        assert_eq!(GrantRules::default().limit(force), Policies::default());
    }

    #[test]
    fn only_rules_without_any_limit_are_unrestricted() {
        let all = GrantRules::unrestricted;
        assert!(all().is_unrestricted());
        for limited in [
            GrantRules::default(),
            GrantRules::nothing(),
            GrantRules { kinds: GrantRules::default().kinds, ..all() },
            GrantRules { namespaces: GrantRules::default().namespaces, ..all() },
            GrantRules { pod_security: PodSecurity::Baseline, ..all() },
            GrantRules { service_account_tokens: false, ..all() },
            GrantRules { external_ips: false, ..all() },
            GrantRules { system_priority: false, ..all() },
        ] {
            assert!(!limited.is_unrestricted(), "{limited:?}");
        }
        assert_eq!(violations_of(&GrantRules::nothing(), &object("v1", "ConfigMap")).len(), 2);
    }

    #[test]
    fn rules_round_trip_as_json() {
        for rules in [GrantRules::default(), GrantRules::unrestricted(), GrantRules::nothing()] {
            let text = serde_json::to_string(&rules).expect("JSON");
            assert_eq!(serde_json::from_str::<GrantRules>(&text).expect("rules"), rules);
        }
        assert_eq!(serde_json::from_str::<GrantRules>("{}").expect("rules"), GrantRules::default());
        assert!(serde_json::from_str::<GrantRules>(r#"{"kinds": ["a b"]}"#).is_err());
    }
}
