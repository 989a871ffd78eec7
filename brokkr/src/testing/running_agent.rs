//! An agent of a control plane under test.

use brokkr_core::model::AgentId;
use brokkr_reconcile::cluster::{Cluster as _, MemoryCluster, Patch};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The condition that makes an object of any kind degraded.
const STALLED: &str = "Stalled";

/// A running agent and its in-memory cluster.
#[derive(Debug)]
pub struct RunningAgent {
    pub(super) id: AgentId,
    pub(super) name: String,
    pub(super) cluster: MemoryCluster,
    pub(super) stop: CancellationToken,
    /// The agent's task.
    pub(super) task: TaskTracker,
}

impl RunningAgent {
    /// The agent's id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The agent's cluster. Tests read objects from it or change them.
    #[must_use]
    pub fn cluster(&self) -> &MemoryCluster {
        &self.cluster
    }

    /// Returns the current state of an object in the cluster; `None` if it does not exist. `namespace` is `None` for
    /// cluster-scoped kinds.
    ///
    /// Compares kinds by name only; use [`cluster`](Self::cluster) if two API groups have a kind with this name.
    #[must_use]
    pub fn object<'a>(&self, kind: &str, namespace: impl Into<Option<&'a str>>, name: &str) -> Option<Value> {
        let namespace = namespace.into();
        self.cluster.objects().into_iter().find(|it| {
            it["kind"] == kind && it["metadata"]["name"] == name && it["metadata"]["namespace"].as_str() == namespace
        })
    }

    /// Makes an object degraded, with this message, until [`clear_degraded`](Self::clear_degraded): sets its condition
    /// `Stalled`. The agent reports the health of the stack a moment later. Works with and without controllers.
    ///
    /// ```
    /// # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use brokkr::prelude::*;
    /// use brokkr::testing::{ControlPlane, eventually};
    ///
    /// let plane = ControlPlane::builder().agents(1).with_controllers().start().await;
    /// let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1}});
    /// let stack = plane.publish(StackSpec::named("shop"), [web]).await;
    /// plane.healthy(stack).await;
    ///
    /// plane.agents()[0].set_degraded("Deployment", "default", "web", "image not found").await;
    /// let reason = eventually("the stack is degraded", async || {
    ///     let status = plane.converged(stack).await;
    ///     match status.agents[0].state() {
    ///         (state, Some(reason)) if state.to_string() == "degraded" => Ok(reason),
    ///         other => Err(other),
    ///     }
    /// })
    /// .await;
    /// assert!(reason.contains("image not found"), "{reason}");
    ///
    /// plane.agents()[0].clear_degraded("Deployment", "default", "web").await;
    /// plane.healthy(stack).await;
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the object does not exist, or if a [fault](MemoryCluster::set_fault) refuses the request.
    pub async fn set_degraded<'a>(&self, kind: &str, namespace: impl Into<Option<&'a str>>, name: &str, message: &str) {
        let stalled = json!({"type": STALLED, "status": "True", "reason": STALLED, "message": message});
        self.set_stalled(kind, namespace.into(), name, Some(stalled)).await;
    }

    /// Ends the effect of [`set_degraded`](Self::set_degraded).
    ///
    /// # Panics
    ///
    /// Like [`set_degraded`](Self::set_degraded).
    pub async fn clear_degraded<'a>(&self, kind: &str, namespace: impl Into<Option<&'a str>>, name: &str) {
        self.set_stalled(kind, namespace.into(), name, None).await;
    }

    async fn set_stalled(&self, kind: &str, namespace: Option<&str>, name: &str, stalled: Option<Value>) {
        let object = self.object(kind, namespace, name);
        let object = object.unwrap_or_else(|| panic!("{kind} {name} should exist in the cluster of {}", self.name));
        let discovery = self.cluster.discover().await.expect("the cluster should list its kinds");
        let served = discovery.kinds.iter().find(|it| it.kind == kind && object["apiVersion"] == it.api_version());
        let at = served.expect("the cluster should serve the kind").at(namespace, name);
        let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|it| it["type"] != STALLED);
        conditions.extend(stalled);
        let patch = Patch::Merge(json!({"status": {"conditions": conditions}}));
        self.cluster.patch(&at, &patch, "test").await.expect("the cluster should accept the status");
    }

    /// Stops the agent and returns when it has stopped. Its cluster keeps the objects, and its broker sees it no longer. It
    /// cannot be started again.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}
