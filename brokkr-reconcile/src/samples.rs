//! Sample manifests and objects for unit tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{AgentId, IgnoreRule, ObjectRef, Policies, Revision, StackId};
use brokkr_core::protocol::Tenant;
use serde_json::{Value, json};

use crate::applier::{DesiredStack, Goal};
use crate::cluster::{ApiKind, ApplyOptions, Cluster as _, Discovery, MemoryCluster};
use crate::context::PassContext;
use crate::context::bookkeeping::Bookkeeping;
use crate::desired::prepare::{Belonging, Prepared, PreparedSet, prepare};
use crate::limits::LocalLimits;
use crate::observed::job_ends::JobEnds;
use crate::observed::live::Live;
use crate::observed::observer::Observer;
use crate::ownership::inventory::Keeper;
use crate::ownership::labels::{AGENT_LABEL, STACK_LABEL, field_manager};

/// The owner of the samples: an agent and a stack.
pub(crate) struct Sample {
    pub(crate) agent: AgentId,
    pub(crate) stack: StackId,
    pub(crate) ignore: Vec<IgnoreRule>,
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self { agent: AgentId::generate(), stack: StackId::generate(), ignore: Vec::new() }
    }

    /// Prepares a manifest.
    pub(crate) fn prepared(&self, manifest: &Value) -> Prepared {
        self.prepared_set(std::slice::from_ref(manifest)).ready.pop().expect("a kind that is served")
    }

    /// Prepares manifests.
    pub(crate) fn prepared_set(&self, manifests: &[Value]) -> PreparedSet {
        self.prepared_with(manifests, &discovery(), &LocalLimits::default())
    }

    /// Prepares manifests for a cluster that serves these kinds, and an agent with these limits.
    pub(crate) fn prepared_with(
        &self,
        manifests: &[Value],
        discovery: &Discovery,
        limits: &LocalLimits,
    ) -> PreparedSet {
        let set = ManifestSet::from_documents(manifests.to_vec()).expect("manifests");
        let belonging = Belonging {
            agent: self.agent,
            stack: self.stack,
            applyset: "applyset",
            default_namespace: "default",
            limits,
            impersonates: false,
            tenant: &Tenant::system(),
            ignore: &self.ignore,
        };
        prepare(&set, belonging, discovery)
    }

    /// Prepares a manifest of another client: without the agent's labels, and in its own namespace.
    pub(crate) fn prepared_as_is(&self, body: &Value, discovery: &Discovery) -> Prepared {
        let limits = LocalLimits::default();
        let mut set = self.prepared_with(std::slice::from_ref(body), discovery, &limits);
        set.ready.pop().expect("a kind that is served").with_body(body)
    }

    /// Returns the stack with these policies and revision 1 to apply.
    pub(crate) fn desired(&self, policies: Policies) -> DesiredStack {
        let manifests = ManifestSet::from_documents(vec![manifest("v1", "ConfigMap", "it")]).expect("a manifest");
        DesiredStack {
            stack_id: self.stack,
            name: "web".to_owned(),
            tenant: Arc::new(Tenant::system()),
            policies,
            depends_on: Vec::new(),
            goal: Goal::Apply { revision: Revision::FIRST, manifests: Arc::new(manifests) },
        }
    }

    /// Returns the object in the cluster after this agent applied it.
    pub(crate) fn applied(&self, manifest: &Value, fields: Value) -> Value {
        let mut object = manifest.clone();
        object["metadata"]["uid"] = json!("uid-1");
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["labels"] = json!({AGENT_LABEL: self.agent, STACK_LABEL: self.stack});
        object["metadata"]["managedFields"] =
            json!([{"manager": field_manager(self.agent), "operation": "Apply", "fieldsV1": fields}]);
        object
    }

    /// Returns the reconciler's view of an object in the cluster.
    pub(crate) fn live(&self, prepared: &Prepared, object: &Value) -> Live {
        Live::of(&prepared.kind, object, &field_manager(self.agent), Some(&prepared.ignored)).expect("an object")
    }
}

/// Returns the discovery of a cluster that serves the kinds of the samples.
pub(crate) fn discovery() -> Discovery {
    let kinds = [
        ("", "ConfigMap", "configmaps", true),
        ("", "Namespace", "namespaces", false),
        ("", "ResourceQuota", "resourcequotas", true),
        ("apps", "Deployment", "deployments", true),
        ("batch", "Job", "jobs", true),
        ("coordination.k8s.io", "Lease", "leases", true),
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

/// Returns a manifest that only has a name.
pub(crate) fn manifest(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}

/// An in-memory cluster, and the context of a pass over it.
pub(crate) struct Fixture {
    pub(crate) sample: Sample,
    pub(crate) cluster: MemoryCluster,
    pub(crate) manager: String,
    pub(crate) autoscaled: BTreeSet<ObjectRef>,
    pub(crate) limits: LocalLimits,
    keeper: Keeper,
    books: Bookkeeping,
    job_ends: JobEnds,
    pub(crate) discovery: Discovery,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let (sample, cluster) = (Sample::new(), MemoryCluster::new());
        Self {
            manager: field_manager(sample.agent),
            autoscaled: BTreeSet::new(),
            limits: LocalLimits::default(),
            keeper: Keeper::new(sample.agent, "default".to_owned()),
            books: Bookkeeping::default(),
            job_ends: JobEnds::default(),
            discovery: cluster.discover().await.expect("discovery"),
            sample,
            cluster,
        }
    }

    pub(crate) fn observer(&self) -> Observer<'_> {
        Observer::new(&self.cluster, self.sample.agent, &self.manager, &self.limits)
    }

    pub(crate) fn context<'a>(&'a self, observer: &'a Observer<'a>) -> PassContext<'a> {
        PassContext {
            cluster: &self.cluster,
            writer: &self.cluster,
            agent: self.sample.agent,
            manager: &self.manager,
            keeper: &self.keeper,
            observer,
            limits: &self.limits,
            books: &self.books,
            job_ends: &self.job_ends,
            discovery: &self.discovery,
            autoscaled: &self.autoscaled,
        }
    }

    /// Applies an object as another client.
    pub(crate) async fn others_apply(&self, body: &Value) -> Value {
        self.apply(&self.sample.prepared_as_is(body, &self.discovery), "another-client").await
    }

    /// Applies a prepared manifest as a field manager, and returns the object.
    pub(crate) async fn apply(&self, prepared: &Prepared, manager: &str) -> Value {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let options = ApplyOptions { field_manager: manager, force: true, dry_run: false };
        self.cluster.apply(&at, &prepared.body(), &options).await.expect("an apply").object
    }
}
