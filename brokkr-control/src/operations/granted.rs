//! Refuses stacks that a grant does not allow, before agents do.

use std::sync::Arc;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::manifest::{Manifest, ManifestSet};
use brokkr_core::model::{Adopt, Agent, Conflicts, Grant, Policies, Stack, Violation, limits, shorten};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;

/// Maximum number of objects, and of agents of one grant, that a refusal names.
const NAMED: usize = 10;
/// Maximum length of what a refusal says about one object, in bytes.
const TOLD_BYTES: usize = 240;

/// Kinds of the Kubernetes API without a namespace. A kind that is not built in counts as namespaced here; the agent knows.
const CLUSTER_SCOPED: [(&str, &str); 20] = [
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
];

/// A grant, and the agents that it applies to.
pub(crate) type Granted = (Arc<Grant>, Vec<Arc<Agent>>);

impl Broker {
    /// The grants of the stack's generator that do not allow everything, on the agents that the stack reaches.
    pub(crate) fn restricting_grants(&self, stack: &Stack) -> Vec<Granted> {
        let mut grants = self.parts.view.grants_for(stack);
        grants.retain(|(grant, _)| !grant.rules.is_unrestricted());
        grants
    }

    /// Refuses objects that the grants of the stack's generator do not allow on the agents that the stack reaches.
    /// `bytes`: the size of the content.
    pub(crate) async fn refuse_ungranted(
        &self,
        actor: &Actor,
        stack: &Stack,
        set: &Arc<ManifestSet>,
        bytes: u64,
    ) -> BrokerResult<()> {
        let grants = self.restricting_grants(stack);
        let Some(generator) = self.parts.view.generator_name(stack.generator_id).filter(|_| !grants.is_empty()) else {
            return Ok(());
        };
        let default_namespace = stack.policies.namespace_for(stack.generator_id, generator.as_str()).to_owned();
        let set = set.clone();
        // Each object is parsed again, so many of them take a while.
        let weight = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.run_blocking(actor, weight, move || check(generator.as_str(), &default_namespace, &grants, &set)).await
    }

    /// Refuses policies that the grants of the stack's generator do not allow on the agents that the stack reaches.
    pub(crate) fn refuse_ungranted_policies(&self, stack: &Stack) -> Result<(), Invalid> {
        let Policies { adopt, conflicts, .. } = stack.policies;
        if adopt == Adopt::Never && conflicts == Conflicts::Fail {
            return Ok(());
        }
        for (grant, agents) in self.parts.view.grants_for(stack) {
            let violations = grant.rules.policy_violations(&stack.policies);
            if !violations.is_empty() {
                let told = told(&violations);
                return Err(refusal(vec![told], 1, &grant, &agents).within("policies"));
            }
        }
        Ok(())
    }
}

fn check(generator: &str, default_namespace: &str, grants: &[Granted], set: &ManifestSet) -> Result<(), Invalid> {
    for (grant, agents) in grants {
        let (mut named, mut count) = (Vec::new(), 0);
        for manifest in set.objects() {
            let namespace = namespace_of(manifest, default_namespace);
            let (group, kind) = (manifest.group(), manifest.kind());
            let violations = grant.rules.violations(generator, group, kind, namespace, &manifest.body());
            if violations.is_empty() {
                continue;
            }
            count += 1;
            if named.len() < NAMED {
                named.push(format!("{}: {}", manifest.object_ref(namespace), told(&violations)));
            }
        }
        if count > 0 {
            return Err(refusal(named, count, grant, agents));
        }
    }
    Ok(())
}

fn namespace_of<'a>(manifest: &'a Manifest, default: &'a str) -> Option<&'a str> {
    let is_cluster_scoped = CLUSTER_SCOPED.contains(&(manifest.group(), manifest.kind()));
    (!is_cluster_scoped).then(|| manifest.namespace().unwrap_or(default))
}

/// What the violations of one object say.
fn told(violations: &[Violation]) -> String {
    let mut told = violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    shorten(&mut told, TOLD_BYTES);
    told
}

fn refusal(named: Vec<String>, count: usize, grant: &Grant, agents: &[Arc<Agent>]) -> Invalid {
    let mut objects = named;
    if count > objects.len() {
        objects.push(format!("and {} more objects", count - objects.len()));
    }
    let mut names: Vec<String> = agents.iter().take(NAMED).map(|agent| agent.name.to_string()).collect();
    if agents.len() > NAMED {
        names.push(format!("and {} more", agents.len() - NAMED));
    }
    let mut message = format!(
        "the grant \"{}\" does not allow this on the agents {}: {}. Change the manifests, or ask an admin for another grant",
        grant.name,
        names.join(", "),
        objects.join("; ")
    );
    shorten(&mut message, limits::MESSAGE_BYTES);
    Invalid::new(InvalidCode::NotGranted, message)
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::{GrantId, GrantRules, Version};
    use serde_json::json;

    use super::*;

    fn granted(rules: GrantRules) -> Granted {
        let now = SystemClock.now();
        let grant = Grant {
            id: GrantId::generate(),
            name: "default".parse().expect("a name"),
            description: String::new(),
            rules,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        (Arc::new(grant), Vec::new())
    }

    fn refused(default_namespace: &str, grants: &[Granted], manifests: Vec<serde_json::Value>) -> Option<String> {
        let set = ManifestSet::from_documents(manifests).expect("manifests");
        check("shop", default_namespace, grants, &set).err().map(|it| it.to_string())
    }

    #[test]
    fn every_object_is_checked_in_its_namespace() {
        let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let grants = [granted(GrantRules::default())];
        assert_eq!(refused("shop", &grants, vec![map("a")]), None, "the stack's default namespace");
        let said = refused("default", &grants, vec![map("a"), map("b")]).expect("a refusal");
        assert!(
            said.contains(
                "ConfigMap default/a: the namespace \"default\" is not allowed (namespaces); ConfigMap default/b"
            ),
            "{said}"
        );
        let many: Vec<_> = (0..25).map(|n| map(&format!("m{n}"))).collect();
        let said = refused("default", &grants, many).expect("a refusal");
        assert!(said.contains("m9") && !said.contains("m10") && said.contains("and 15 more objects"), "{said}");
        assert_eq!(refused("default", &[], vec![map("a")]), None, "no agent, no grant");
        let role =
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"}});
        let roles = GrantRules {
            kinds: ["*.rbac.authorization.k8s.io".parse().expect("a pattern")].into(),
            ..GrantRules::default()
        };
        assert_eq!(refused("default", &[granted(roles)], vec![role.clone()]), None, "its kind alone decides");
        assert!(refused("shop", &[granted(GrantRules::unrestricted()), grants[0].clone()], vec![role]).is_some());
    }
}
