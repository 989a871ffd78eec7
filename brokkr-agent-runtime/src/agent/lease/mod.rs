//! Which of several replicas of one agent works: the one that holds the Lease.
//!
//! As in other controllers of Kubernetes, time is never compared between machines: who wants the Lease watches it being renewed,
//! and takes it when it was not for as long as its holder said, by the watcher's own monotonic clock; who holds it stops
//! writing before that. See <https://kubernetes.io/docs/concepts/architecture/leases/>.

mod holder;
mod lead;
mod record;

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::model::AgentId;
use brokkr_reconcile::cluster::{Cluster, ClusterError, Fenceable};
use holder::{Holder, has_ended};
use lead::Lead;
use record::{LeaseObject, Record};
use tokio_util::sync::CancellationToken;

use super::backoff::pause;

/// Renewals within the time that one is good for.
const RENEWALS: u32 = 4;
/// How often a Lease that somebody else holds is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The pause after a request that failed.
const RETRY: Duration = Duration::from_millis(500);

/// Stands for the Lease of one agent.
#[derive(Debug)]
pub(super) struct Candidate {
    cluster: Arc<dyn Fenceable>,
    object: LeaseObject,
    me: Holder,
    duration: Duration,
    /// The renewal that was seen last, and when.
    seen: Option<(String, Instant)>,
}

/// The time in which this process leads.
#[derive(Debug)]
pub(super) struct Term {
    record: Record,
    lead: Arc<Lead>,
    /// The cluster, written to only while this process leads.
    pub(super) cluster: Arc<dyn Cluster>,
}

impl Candidate {
    pub(super) fn new(cluster: Arc<dyn Fenceable>, namespace: String, agent: AgentId, duration: Duration) -> Self {
        let object = LeaseObject::new(cluster.clone(), namespace, agent);
        Self { cluster, object, me: Holder::this(), duration, seen: None }
    }

    /// Stands until it leads. `None` when it was stopped before.
    pub(super) async fn stand(&mut self, stop: &CancellationToken) -> Option<Term> {
        let (mut failures, mut standing_by) = (0, false);
        loop {
            let asked = Instant::now();
            let wait = match self.try_to_take().await {
                Ok(Some(record)) => {
                    let lead = Arc::new(Lead::until(asked + self.good_for()));
                    let cluster = self.cluster.clone().fenced(lead.fence());
                    tracing::info!(holder = %record.holder, "leading");
                    return Some(Term { record, lead, cluster });
                }
                Ok(None) => {
                    failures = 0;
                    if !std::mem::replace(&mut standing_by, true) {
                        tracing::info!("another replica of this agent leads; standing by");
                    }
                    LOOK.min(self.duration / 4).mul_f64(0.75 + fastrand::f64() / 2.0)
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        %error, failures,
                        "cannot get the Lease, so nothing is done; the agent needs get, create and patch on leases (coordination.k8s.io) in its namespace"
                    );
                    pause(failures, RETRY, Duration::from_secs(10))
                }
            };
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One try. `None` while somebody else holds it.
    async fn try_to_take(&mut self) -> Result<Option<Record>, ClusterError> {
        let Some(record) = self.object.read().await? else {
            return self.object.create(&self.me, self.duration).await;
        };
        let now = Instant::now();
        let since = match &self.seen {
            Some((version, since)) if *version == record.resource_version => *since,
            _ => self.seen.insert((record.resource_version.clone(), now)).1,
        };
        let is_free = record.holder.is_empty()
            || record.process.as_deref().is_some_and(has_ended)
            || now.saturating_duration_since(since) >= record.duration;
        // One of ours from an earlier term ended when this process stopped leading.
        if !is_free && record.holder != self.me.name {
            return Ok(None);
        }
        match self.object.take(&self.me, self.duration, &record).await {
            // Somebody else was faster.
            Err(ClusterError::Precondition(_) | ClusterError::NotFound(_)) => Ok(None),
            result => result,
        }
    }

    /// For how long after it was asked for a renewal is relied on: less than what others wait for.
    fn good_for(&self) -> Duration {
        self.duration.mul_f64(0.9)
    }

    /// Renews until the lead is lost.
    pub(super) async fn keep(&self, term: &mut Term) {
        let mut wait = self.duration / RENEWALS;
        loop {
            tokio::time::sleep(wait).await;
            let asked = Instant::now();
            let left = term.lead.end().saturating_duration_since(asked);
            if left.is_zero() {
                tracing::warn!("the Lease was not renewed in time; nothing is written any more");
                return;
            }
            wait = RETRY.min(left);
            // One request that hangs must not cost the lead.
            match tokio::time::timeout(
                (left / 2).max(RETRY).min(left),
                self.object.take(&self.me, self.duration, &term.record),
            )
            .await
            {
                Ok(Ok(Some(record))) => {
                    term.record = record;
                    term.lead.extend(asked + self.good_for());
                    wait = self.duration / RENEWALS;
                }
                Ok(Err(ClusterError::Precondition(_) | ClusterError::NotFound(_))) => {
                    // It may be our own renewal, of which the answer was lost.
                    match self.object.read().await {
                        Ok(Some(record)) if record.holder == self.me.name => term.record = record,
                        Ok(_) => {
                            tracing::warn!("another replica has the Lease; nothing is written any more");
                            term.lead.extend(asked);
                            return;
                        }
                        Err(error) => tracing::warn!(%error, "cannot look at the Lease"),
                    }
                }
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot renew the Lease"),
            }
        }
    }

    /// Gives the lead up.
    pub(super) async fn release(&self, term: Term) {
        term.lead.extend(Instant::now());
        if let Err(error) = self.object.release(&term.record).await {
            tracing::debug!(%error, "cannot release the Lease; it runs out by itself");
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_reconcile::cluster::MemoryCluster;

    use super::*;

    const SHORT: Duration = Duration::from_secs(2);

    fn candidate(cluster: &MemoryCluster, agent: AgentId) -> Candidate {
        let mut candidate = Candidate::new(Arc::new(cluster.clone()), "default".to_owned(), agent, SHORT);
        // Both are this process here, as if they ran on two machines.
        candidate.me.process = None;
        candidate
    }

    async fn writes(cluster: &Arc<dyn Cluster>) -> Result<(), ClusterError> {
        let kind = brokkr_reconcile::cluster::ApiKind::v1("", "ConfigMap", "configmaps", true);
        let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}});
        let options = brokkr_reconcile::cluster::ApplyOptions { manager: "test", force: false, dry_run: false };
        cluster.apply(&kind.at(Some("default"), "a"), &body, &options).await.map(drop)
    }

    #[tokio::test]
    async fn second_candidate_leads_after_the_lease_expires() {
        let (cluster, agent, stop) = (MemoryCluster::new(), AgentId::generate(), CancellationToken::new());
        let (mut first, mut second) = (candidate(&cluster, agent), candidate(&cluster, agent));
        let mut term = first.stand(&stop).await.expect("nobody else stands");
        assert!(writes(&term.cluster).await.is_ok());
        // While it is renewed nobody else gets it.
        tokio::select! {
            () = first.keep(&mut term) => panic!("it is lost"),
            won = second.stand(&stop) => panic!("two lead: {won:?}"),
            () = tokio::time::sleep(SHORT * 2) => {}
        }
        // No longer renewed: the first one stops by its own clock before the second begins.
        let next = second.stand(&stop).await.expect("the first is silent");
        assert_eq!(writes(&term.cluster).await, Err(ClusterError::Fenced));
        assert!(writes(&next.cluster).await.is_ok());
        first.keep(&mut term).await;
        // Released: the next one need not wait.
        second.release(next).await;
        let began = Instant::now();
        assert!(first.stand(&stop).await.is_some());
        assert!(began.elapsed() < SHORT, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn ended_holder_is_not_waited_for() {
        let (cluster, agent, stop) = (MemoryCluster::new(), AgentId::generate(), CancellationToken::new());
        let mut first =
            Candidate::new(Arc::new(cluster.clone()), "default".to_owned(), agent, Duration::from_secs(600));
        let Some(process) = first.me.process.clone() else { return };
        let mut parts: Vec<&str> = process.split('/').collect();
        parts[3] = "1";
        first.me.process = Some(parts.join("/"));
        assert!(first.stand(&stop).await.is_some());
        let mut second = Candidate::new(Arc::new(cluster), "default".to_owned(), agent, Duration::from_secs(600));
        let stood = tokio::time::timeout(Duration::from_secs(10), second.stand(&stop)).await;
        assert!(stood.is_ok_and(|term| term.is_some()));
    }
}
