//! Leader election between the replicas of an agent, with a Lease.
//!
//! As in other Kubernetes controllers, clocks of different hosts are never compared. A candidate observes the renewals of
//! the Lease, and takes it after it was not renewed for its duration, on the candidate's own monotonic clock. The holder
//! stops writing before that. See <https://kubernetes.io/docs/concepts/architecture/leases/>.

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

/// Renewals per duration of the Lease.
const RENEWALS: u32 = 4;
/// Maximum pause between two reads of a Lease that another replica holds.
const MAX_READ_PAUSE: Duration = Duration::from_secs(2);
/// First pause after a failed request, pause after a failed renewal, and minimum timeout of a renewal.
const RETRY: Duration = Duration::from_millis(500);

/// A candidate for the Lease of one agent.
#[derive(Debug)]
pub(super) struct Candidate {
    cluster: Arc<dyn Fenceable>,
    object: LeaseObject,
    me: Holder,
    duration: Duration,
    /// The last renewal that was observed (its resource version), and when.
    seen: Option<(String, Instant)>,
}

/// A term in which this process leads.
#[derive(Debug)]
pub(super) struct Term {
    record: Record,
    lead: Arc<Lead>,
    /// The fenced cluster: accepts writes only while this process leads.
    pub(super) cluster: Arc<dyn Cluster>,
}

impl Candidate {
    pub(super) fn new(cluster: Arc<dyn Fenceable>, namespace: String, agent: AgentId, duration: Duration) -> Self {
        let object = LeaseObject::new(cluster.clone(), namespace, agent);
        Self { cluster, object, me: Holder::current(), duration, seen: None }
    }

    /// Waits until this process leads. Returns `None` if it is stopped before.
    pub(super) async fn acquire(&mut self, stop: &CancellationToken) -> Option<Term> {
        let (mut failures, mut standing_by) = (0, false);
        loop {
            let asked = Instant::now();
            let wait = match self.try_to_take().await {
                Ok(Some(record)) => {
                    let lead = Arc::new(Lead::until(asked + self.good_for()));
                    let cluster = self.cluster.clone().fenced(lead.fence());
                    tracing::info!(holder = %record.holder, "this process leads now");
                    return Some(Term { record, lead, cluster });
                }
                Ok(None) => {
                    failures = 0;
                    if !std::mem::replace(&mut standing_by, true) {
                        tracing::info!("standing by, because another replica of this agent leads");
                    }
                    MAX_READ_PAUSE.min(self.duration / 4).mul_f64(0.75 + fastrand::f64() / 2.0)
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        %error, failures,
                        "cannot get the Lease, so the agent does nothing; grant it get, create and patch on leases (coordination.k8s.io) in its namespace"
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

    /// Tries once to take the Lease. Returns `None` if another replica holds it.
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
        // A Lease of this process from an earlier term is free: that term has ended.
        if !is_free && record.holder != self.me.identity {
            return Ok(None);
        }
        match self.object.take(&self.me, self.duration, &record).await {
            // Another replica was faster.
            Err(ClusterError::Precondition(_) | ClusterError::NotFound(_)) => Ok(None),
            result => result,
        }
    }

    /// How long after its request a renewal counts. Shorter than the duration that other candidates wait.
    fn good_for(&self) -> Duration {
        self.duration.mul_f64(0.9)
    }

    /// Renews the Lease. Returns when this process no longer leads.
    pub(super) async fn keep(&self, term: &mut Term) {
        let mut wait = self.duration / RENEWALS;
        loop {
            tokio::time::sleep(wait).await;
            let asked = Instant::now();
            let left = term.lead.end().saturating_duration_since(asked);
            if left.is_zero() {
                tracing::warn!("this process stops writing, because it could not renew the Lease in time");
                return;
            }
            wait = RETRY.min(left);
            // One request that hangs must not end the lead.
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
                    // The Lease may show our own renewal, whose response was lost.
                    match self.object.read().await {
                        Ok(Some(record)) if record.holder == self.me.identity => term.record = record,
                        Ok(_) => {
                            tracing::warn!("this process stops writing, because another replica took the Lease");
                            term.lead.extend(asked);
                            return;
                        }
                        Err(error) => tracing::warn!(%error, "cannot read the Lease"),
                    }
                }
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot renew the Lease"),
            }
        }
    }

    /// Ends the lead, and releases the Lease.
    pub(super) async fn release(&self, term: Term) {
        term.lead.extend(Instant::now());
        if let Err(error) = self.object.release(&term.record).await {
            tracing::debug!(%error, "cannot release the Lease; it expires by itself");
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
        // Simulates two hosts: without process identity, neither knows whether the other has ended.
        candidate.me.process = None;
        candidate
    }

    async fn writes(cluster: &Arc<dyn Cluster>) -> Result<(), ClusterError> {
        let kind = brokkr_reconcile::cluster::ApiKind::v1("", "ConfigMap", "configmaps", true);
        let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}});
        let options = brokkr_reconcile::cluster::ApplyOptions { field_manager: "test", force: false, dry_run: false };
        cluster.apply(&kind.at(Some("default"), "a"), &body, &options).await.map(drop)
    }

    #[tokio::test]
    async fn second_candidate_leads_after_the_lease_expires() {
        let (cluster, agent, stop) = (MemoryCluster::new(), AgentId::generate(), CancellationToken::new());
        let (mut first, mut second) = (candidate(&cluster, agent), candidate(&cluster, agent));
        let mut term = first.acquire(&stop).await.expect("no other candidate");
        assert!(writes(&term.cluster).await.is_ok());
        // The second candidate gets nothing while the first renews.
        tokio::select! {
            () = first.keep(&mut term) => panic!("the lead is lost"),
            won = second.acquire(&stop) => panic!("two candidates lead: {won:?}"),
            () = tokio::time::sleep(SHORT * 2) => {}
        }
        // Without renewal the first lead ends, on its own clock, before the second begins.
        let next = second.acquire(&stop).await.expect("the first no longer renews");
        assert_eq!(writes(&term.cluster).await, Err(ClusterError::Fenced));
        assert!(writes(&next.cluster).await.is_ok());
        first.keep(&mut term).await;
        // After a release the next candidate need not wait.
        second.release(next).await;
        let began = Instant::now();
        assert!(first.acquire(&stop).await.is_some());
        assert!(began.elapsed() < SHORT, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn lease_of_ended_process_is_taken_at_once() {
        let (cluster, agent, stop) = (MemoryCluster::new(), AgentId::generate(), CancellationToken::new());
        let mut first =
            Candidate::new(Arc::new(cluster.clone()), "default".to_owned(), agent, Duration::from_secs(600));
        let Some(process) = first.me.process.clone() else { return };
        let mut parts: Vec<&str> = process.split('/').collect();
        parts[3] = "1";
        first.me.process = Some(parts.join("/"));
        assert!(first.acquire(&stop).await.is_some());
        let mut second = Candidate::new(Arc::new(cluster), "default".to_owned(), agent, Duration::from_secs(600));
        let stood = tokio::time::timeout(Duration::from_secs(10), second.acquire(&stop)).await;
        assert!(stood.is_ok_and(|term| term.is_some()));
    }
}
