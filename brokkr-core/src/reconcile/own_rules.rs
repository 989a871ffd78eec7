//! The rules that a revision changes for its own objects.
//!
//! An object can only be judged by rules that hold when it is written. Where the same revision brings other rules (a definition with a
//! wider schema, another admission policy, a larger quota), a refusal by the former ones means nothing, before the new ones
//! are written as for some seconds after: the API server reads them from a cache.

use std::collections::BTreeSet;

use super::apply::Work;
use super::order::{is_crd, is_namespace};
use super::prepare::Prepared;
use super::step::Step;
use crate::cluster::{ClusterError, ClusterResult};
use crate::model::ObjectRef;

/// What a revision writes that its other objects are judged by.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OwnRules {
    /// Group and kind of the definitions.
    defined: BTreeSet<(String, String)>,
    /// Group and kind of everything: a policy may take its parameters from it.
    written: BTreeSet<(String, String)>,
    /// Namespaces whose quotas, limits or labels change.
    namespaces: BTreeSet<String>,
    /// Whether webhook configurations or admission policies change, or what runs behind them may.
    admission: bool,
    /// Whether classes that pods name change, for all namespaces.
    classes: bool,
    /// Whether roles or bindings change.
    rights: bool,
}

impl OwnRules {
    pub(super) fn of(steps: &[(&Prepared, Step)]) -> Self {
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

    /// Whether the refusal of an object may be one by rules that this revision changes.
    pub(super) fn explain(&self, object: &ObjectRef, refusal: &ClusterError) -> bool {
        let kind = (object.group.clone(), object.kind.clone());
        match refusal {
            ClusterError::Invalid(_) | ClusterError::NotFound(_) => self.defined.contains(&kind),
            ClusterError::Denied(_) => {
                let here = object.namespace.as_ref().is_some_and(|it| self.namespaces.contains(it));
                self.admission || self.classes || here
            }
            ClusterError::Forbidden(_) => self.rights,
            // The conversion webhook or the admission webhook may come with this revision.
            ClusterError::Webhook(_) => self.admission || self.defined.contains(&kind),
            _ => false,
        }
    }
}

fn is_webhook_configuration(object: &ObjectRef) -> bool {
    object.group == "admissionregistration.k8s.io" && object.kind.ends_with("WebhookConfiguration")
}

impl Work<'_> {
    /// Whether the refusal of an object by a dry run says nothing about the revision.
    pub(super) async fn is_inconclusive(&self, rules: &OwnRules, object: &ObjectRef, refusal: &ClusterError) -> bool {
        if rules.explain(object, refusal) {
            return true;
        }
        let ClusterError::Denied(message) = refusal else { return false };
        match policy_in(message) {
            // Not being able to look leaves the refusal standing.
            Some(policy) => self.takes_parameters_from(policy, rules).await.unwrap_or(false),
            None => false,
        }
    }

    /// Whether an admission policy takes its parameters from a kind that the revision writes.
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

/// The policy that a refusal names: `ValidatingAdmissionPolicy 'a' with binding 'b' denied request`.
fn policy_in(message: &str) -> Option<&str> {
    message.split_once("ValidatingAdmissionPolicy '")?.1.split('\'').next()
}
