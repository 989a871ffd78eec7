//! The Lease object in the cluster.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::AgentId;
use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster, ClusterResult, meta};
use brokkr_reconcile::{AGENT_LABEL, field_manager};
use serde_json::{Value, json};

use super::holder::Holder;

/// Identifies the holder's process for other replicas on the same host.
const PROCESS_ANNOTATION: &str = "brokkr.io/holder-process";

/// The content of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    uid: String,
    /// Changes with each renewal.
    pub(super) resource_version: String,
    /// Name of the holder; empty after a release.
    pub(super) holder: String,
    pub(super) process: Option<String>,
    /// How long a renewal is valid, as set by the holder.
    pub(super) duration: Duration,
    acquired: String,
    transitions: i64,
}

impl Record {
    fn of(object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        Some(Self {
            uid: meta::uid(object)?.to_owned(),
            resource_version: meta::resource_version(object)?.to_owned(),
            holder: text("/spec/holderIdentity"),
            process: meta::annotation(object, PROCESS_ANNOTATION).map(str::to_owned),
            duration: Duration::from_secs(u64::try_from(number("/spec/leaseDurationSeconds")).unwrap_or_default()),
            acquired: text("/spec/acquireTime"),
            transitions: number("/spec/leaseTransitions"),
        })
    }
}

/// The Lease of one agent (<https://kubernetes.io/docs/concepts/architecture/leases/>).
#[derive(Debug)]
pub(super) struct LeaseObject {
    cluster: Arc<dyn Cluster>,
    kind: ApiKind,
    namespace: String,
    agent: AgentId,
    manager: String,
}

impl LeaseObject {
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: String, agent: AgentId) -> Self {
        let kind = ApiKind::v1("coordination.k8s.io", "Lease", "leases", true);
        Self { cluster, kind, namespace, agent, manager: field_manager(agent) }
    }

    /// Reads the Lease; `None` if it does not exist.
    pub(super) async fn read(&self) -> ClusterResult<Option<Record>> {
        let object = self.cluster.get(&self.kind.at(Some(&self.namespace), &self.name())).await?;
        Ok(object.as_ref().and_then(Record::of))
    }

    /// Creates the Lease. Returns `None` if another replica created it at the same time.
    pub(super) async fn create(&self, holder: &Holder, duration: Duration) -> ClusterResult<Option<Record>> {
        let (record, created) = self.write(&holder.identity, holder.process.as_deref(), duration, None, true).await?;
        Ok(record.filter(|_| created))
    }

    /// Takes or renews the Lease. Fails with a precondition if it changed since `seen`.
    pub(super) async fn take(
        &self,
        holder: &Holder,
        duration: Duration,
        seen: &Record,
    ) -> ClusterResult<Option<Record>> {
        let is_new = seen.holder != holder.identity;
        let (record, _) = self.write(&holder.identity, holder.process.as_deref(), duration, Some(seen), is_new).await?;
        Ok(record)
    }

    /// Releases the Lease, so that the next candidate need not wait. Fails if it changed since `seen`.
    pub(super) async fn release(&self, seen: &Record) -> ClusterResult<()> {
        self.write("", None, Duration::from_secs(1), Some(seen), false).await.map(drop)
    }

    async fn write(
        &self,
        holder: &str,
        process: Option<&str>,
        duration: Duration,
        seen: Option<&Record>,
        is_new: bool,
    ) -> ClusterResult<(Option<Record>, bool)> {
        // Kubernetes' MicroTime requires exactly six decimals.
        let now = jiff::Timestamp::from(SystemClock.now()).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let acquired = seen.map(|it| it.acquired.clone()).filter(|it| !is_new && !it.is_empty());
        let transitions = seen.map_or(0, |it| it.transitions.saturating_add(i64::from(is_new)));
        let name = self.name();
        let mut body = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {AGENT_LABEL: self.agent},
                "annotations": {},
            },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": duration.as_secs().max(1),
                "acquireTime": acquired.as_ref().unwrap_or(&now),
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        });
        if let Some(process) = process {
            body["metadata"]["annotations"][PROCESS_ANNOTATION] = json!(process);
        }
        if let Some(seen) = seen {
            body["metadata"]["uid"] = json!(seen.uid);
            body["metadata"]["resourceVersion"] = json!(seen.resource_version);
        }
        let options = ApplyOptions { field_manager: &self.manager, force: true, dry_run: false };
        let applied = self.cluster.apply(&self.kind.at(Some(&self.namespace), &name), &body, &options).await?;
        Ok((Record::of(&applied.object), applied.created))
    }

    fn name(&self) -> String {
        format!("brokkr-agent-{}", self.agent)
    }
}
