//! Manifests and objects for tests of decisions.

use std::collections::BTreeSet;

use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{AgentId, IgnoreRule, StackId};
use serde_json::{Value, json};

use crate::cluster::{ApiKind, Discovery};
use crate::desired::prepare::{Belonging, Prepared, prepare};
use crate::limits::LocalLimits;
use crate::observed::live::Live;
use crate::ownership::labels::{AGENT_LABEL, STACK_LABEL, field_manager};

/// Whose objects they are.
pub(crate) struct Sample {
    pub(crate) agent: AgentId,
    pub(crate) stack: StackId,
    pub(crate) ignore: Vec<IgnoreRule>,
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self { agent: AgentId::generate(), stack: StackId::generate(), ignore: Vec::new() }
    }

    /// The manifest as the reconciler applies it.
    pub(crate) fn prepared(&self, manifest: &Value) -> Prepared {
        let set = ManifestSet::from_documents(vec![manifest.clone()]).expect("a manifest");
        let belonging = Belonging {
            agent: self.agent,
            stack: self.stack,
            applyset: "applyset",
            default_namespace: "default",
            limits: &LocalLimits::default(),
            ignore: &self.ignore,
        };
        let mut prepared = prepare(&set, belonging, &discovery());
        prepared.ready.pop().expect("a kind that is served")
    }

    /// The object as it is in the cluster after this agent applied it.
    pub(crate) fn applied(&self, manifest: &Value, fields: Value) -> Value {
        let mut object = manifest.clone();
        object["metadata"]["uid"] = json!("uid-1");
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["labels"] = json!({AGENT_LABEL: self.agent, STACK_LABEL: self.stack});
        object["metadata"]["managedFields"] =
            json!([{"manager": field_manager(self.agent), "operation": "Apply", "fieldsV1": fields}]);
        object
    }

    /// What the reconciler sees of an object in the cluster.
    pub(crate) fn live(&self, prepared: &Prepared, object: &Value) -> Live {
        Live::of(&prepared.kind, object, &field_manager(self.agent), Some(&prepared.ignored)).expect("an object")
    }
}

/// A cluster that serves what the samples are of.
pub(crate) fn discovery() -> Discovery {
    let kinds = [
        ("", "ConfigMap", "configmaps", true),
        ("", "Namespace", "namespaces", false),
        ("", "ResourceQuota", "resourcequotas", true),
        ("apps", "Deployment", "deployments", true),
        ("batch", "Job", "jobs", true),
        ("scheduling.k8s.io", "PriorityClass", "priorityclasses", false),
        ("rbac.authorization.k8s.io", "Role", "roles", true),
        ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", false),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
    ];
    let served: BTreeSet<ApiKind> = kinds
        .into_iter()
        .map(|(group, kind, plural, namespaced)| ApiKind::v1(group, kind, plural, namespaced))
        .collect();
    Discovery { kinds: served.into_iter().collect(), failed: Vec::new() }
}

/// A manifest of a kind, with nothing but its name.
pub(crate) fn manifest(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}
