//! Rules that a revision changes for its own objects.
//!
//! The API server judges an object by the rules that are active when it is written. If the same revision changes these
//! rules (a definition with a wider schema, an admission policy, a larger quota), a rejection by the old rules means
//! nothing. This is true before the new rules are written, and for some seconds afterwards, because the API server caches
//! rules.

use std::collections::BTreeSet;

use brokkr_core::model::ObjectRef;

use crate::apply::decide::Step;
use crate::cluster::{ClusterError, ClusterResult};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::order::{is_crd, is_namespace, is_rbac};

/// The rules that a revision writes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnRules {
    /// Group and kind of the custom resource definitions.
    defined: BTreeSet<(String, String)>,
    /// Group and kind of all written objects: a policy may read its parameters from them.
    written: BTreeSet<(String, String)>,
    /// Namespaces whose quotas, limit ranges or labels change.
    namespaces: BTreeSet<String>,
    /// Whether the revision changes webhook configurations, admission policies, or workloads that may serve webhooks.
    admission: bool,
    /// Whether the revision changes classes that pods refer to, in any namespace.
    classes: bool,
    /// Whether the revision changes roles or bindings.
    rights: bool,
}

impl OwnRules {
    pub(crate) fn of(steps: &[(&Prepared, Step)]) -> Self {
        let mut rules = Self::default();
        let (mut has_webhook, mut has_workload) = (false, false);
        for (prepared, step) in steps {
            has_webhook |= is_webhook_configuration(&prepared.object);
            if step.writes() {
                has_workload |=
                    matches!(prepared.object.group.as_str(), "apps" | "batch") || prepared.object.kind == "Pod";
                rules.add(prepared);
            }
        }
        rules.admission |= has_webhook && has_workload;
        rules
    }

    fn add(&mut self, prepared: &Prepared) {
        let object = &*prepared.object;
        self.written.insert((object.group.clone(), object.kind.clone()));
        let namespace = || object.namespace.clone().unwrap_or_default();
        match (object.group.as_str(), object.kind.as_str()) {
            _ if is_crd(object) => {
                let body = prepared.body();
                let text =
                    |pointer: &str| body.pointer(pointer).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
                self.defined.insert((text("/spec/group"), text("/spec/names/kind")));
            }
            _ if is_namespace(object) => drop(self.namespaces.insert(object.name.clone())),
            ("", "ResourceQuota" | "LimitRange") => drop(self.namespaces.insert(namespace())),
            ("admissionregistration.k8s.io", _) => self.admission = true,
            ("scheduling.k8s.io" | "node.k8s.io" | "storage.k8s.io", _) => self.classes = true,
            ("rbac.authorization.k8s.io", _) => self.rights = true,
            _ => {}
        }
    }

    /// Whether a rule that this revision changes may have caused the rejection.
    pub(crate) fn explain(&self, object: &ObjectRef, refusal: &ClusterError) -> bool {
        let kind = (object.group.clone(), object.kind.clone());
        match refusal {
            ClusterError::Invalid(_) | ClusterError::NotFound(_) => self.defined.contains(&kind),
            ClusterError::Denied(_) => {
                let here = object.namespace.as_ref().is_some_and(|it| self.namespaces.contains(it));
                self.admission || self.classes || here
            }
            // Rights that the revision itself asks for in vain explain nothing.
            ClusterError::Forbidden(_) => self.rights && !is_rbac(object),
            // The revision may contain the conversion or admission webhook.
            ClusterError::Webhook(_) => self.admission || self.defined.contains(&kind),
            _ => false,
        }
    }
}

fn is_webhook_configuration(object: &ObjectRef) -> bool {
    object.group == "admissionregistration.k8s.io" && object.kind.ends_with("WebhookConfiguration")
}

impl PassContext<'_> {
    /// Whether the rejection of a dry run says nothing about the object, because of the revision's own rules.
    pub(crate) async fn is_inconclusive(&self, rules: &OwnRules, object: &ObjectRef, refusal: &ClusterError) -> bool {
        if rules.explain(object, refusal) {
            return true;
        }
        let ClusterError::Denied(message) = refusal else { return false };
        match policy_in(message) {
            // If the policy cannot be read, the rejection counts.
            Some(policy) => self.takes_parameters_from(policy, rules).await.unwrap_or(false),
            None => false,
        }
    }

    /// Whether an admission policy reads its parameters from a kind that the revision writes.
    async fn takes_parameters_from(&self, policy: &str, rules: &OwnRules) -> ClusterResult<bool> {
        let Some(kind) = self.discovery.preferred("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") else {
            return Ok(false);
        };
        let Some(policy) = self.cluster.get(&kind.at(None, policy)).await? else { return Ok(false) };
        let text = |pointer: &str| policy.pointer(pointer).and_then(|it| it.as_str()).unwrap_or_default();
        let group = text("/spec/paramKind/apiVersion").split_once('/').map_or("", |(group, _)| group);
        Ok(rules.written.contains(&(group.to_owned(), text("/spec/paramKind/kind").to_owned())))
    }
}

/// Returns the policy that a rejection names: `a` for `ValidatingAdmissionPolicy 'a' with binding 'b' denied request`.
fn policy_in(message: &str) -> Option<&str> {
    message.split_once("ValidatingAdmissionPolicy '")?.1.split('\'').next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apply::decide::ExistingObject;
    use crate::samples::{Sample, manifest};

    fn rules(written: &[serde_json::Value], unchanged: &[serde_json::Value]) -> OwnRules {
        let sample = Sample::new();
        let prepare = |manifests: &[serde_json::Value]| -> Vec<Prepared> {
            manifests.iter().map(|it| sample.prepared(it)).collect()
        };
        let (written, unchanged) = (prepare(written), prepare(unchanged));
        let existing = || ExistingObject { uid: "u".to_owned(), scaled: false };
        let steps = written.iter().map(|it| (it, Step::Update(existing())));
        let steps: Vec<_> = steps.chain(unchanged.iter().map(|it| (it, Step::Unchanged { ended: None }))).collect();
        OwnRules::of(&steps)
    }

    fn object(group: &str, kind: &str, namespace: &str) -> ObjectRef {
        let namespace = Some(namespace.to_owned());
        ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace, name: "it".to_owned() }
    }

    fn crd() -> serde_json::Value {
        let mut crd = manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.w.example");
        crd["spec"] = json!({"group": "w.example", "scope": "Namespaced", "names": {"kind": "Thing"}});
        crd
    }

    fn quota() -> serde_json::Value {
        let mut quota = manifest("v1", "ResourceQuota", "quota");
        quota["metadata"]["namespace"] = json!("here");
        quota
    }

    #[test]
    fn rejection_by_a_changing_rule_is_explained() {
        let invalid = ClusterError::Invalid("x".to_owned());
        let denied = ClusterError::Denied("x".to_owned());
        let forbidden = ClusterError::Forbidden("x".to_owned());
        let missing = ClusterError::NotFound("x".to_owned());
        let webhook = ClusterError::Webhook("x".to_owned());
        let away = ClusterError::unavailable("x");
        let thing = object("w.example", "Thing", "here");
        let map = object("", "ConfigMap", "here");
        let elsewhere = object("", "ConfigMap", "elsewhere");
        let policy = manifest("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "p");
        let hook = manifest("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "h");
        let workload = manifest("apps/v1", "Deployment", "d");
        let class = manifest("scheduling.k8s.io/v1", "PriorityClass", "c");
        let role = manifest("rbac.authorization.k8s.io/v1", "Role", "r");
        for (written, unchanged, object, refusal, expected) in [
            (vec![crd()], vec![], &thing, &invalid, true),
            (vec![crd()], vec![], &thing, &missing, true),
            (vec![crd()], vec![], &thing, &webhook, true),
            (vec![crd()], vec![], &map, &invalid, false),
            (vec![crd()], vec![], &thing, &denied, false),
            (vec![], vec![crd()], &thing, &invalid, false),
            (vec![policy.clone()], vec![], &map, &denied, true),
            (vec![policy.clone()], vec![], &map, &webhook, true),
            (vec![policy.clone()], vec![], &map, &invalid, false),
            (vec![], vec![policy], &map, &denied, false),
            (vec![workload.clone()], vec![hook.clone()], &map, &denied, true),
            (vec![], vec![hook, workload.clone()], &map, &denied, false),
            (vec![workload], vec![], &map, &denied, false),
            (vec![quota()], vec![], &map, &denied, true),
            (vec![quota()], vec![], &elsewhere, &denied, false),
            (vec![manifest("v1", "Namespace", "here")], vec![], &map, &denied, true),
            (vec![class], vec![], &map, &denied, true),
            (vec![role.clone()], vec![], &map, &forbidden, true),
            (vec![role.clone()], vec![], &map, &denied, false),
            (vec![role], vec![], &object("rbac.authorization.k8s.io", "Role", "here"), &forbidden, false),
            (vec![crd(), quota()], vec![], &thing, &away, false),
        ] {
            let rules = rules(&written, &unchanged);
            assert_eq!(rules.explain(object, refusal), expected, "{written:?} {unchanged:?} {object} {refusal}");
        }
    }

    #[test]
    fn policy_is_parsed_from_the_rejection() {
        let message =
            "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p1' with binding 'b' denied request: no";
        assert_eq!(policy_in(message), Some("p1"));
        assert_eq!(policy_in("admission webhook \"w\" denied the request"), None);
    }
}
