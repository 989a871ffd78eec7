//! Leadership: which of the brokers on one store runs a controller.

use std::time::Duration;

use brokkr_core::model::InstanceId;
use brokkr_core::store::Fence;
use tokio::time::Instant;

use crate::broker::Broker;

/// The lease of one controller, as this broker sees it.
#[derive(Debug)]
pub(super) struct Leadership {
    broker: Broker,
    name: String,
    holder: InstanceId,
    valid_for: Duration,
}

/// A lease that this broker has taken.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) fence: Fence,
    /// The end of the lease, by the monotonic clock of this broker: never later than by the store's clock.
    ends: Instant,
}

impl Leadership {
    pub(super) fn new(broker: Broker, name: String, holder: InstanceId, valid_for: Duration) -> Self {
        Self { broker, name, holder, valid_for }
    }

    /// The pause between two attempts to take the lease, and between two renewals.
    pub(super) fn interval(&self) -> Duration {
        self.valid_for / 3
    }

    /// Takes or renews the lease; `None` if another broker holds it, or if the store does not answer.
    pub(super) async fn take(&self) -> Option<Term> {
        let began = Instant::now();
        let taking = self.broker.parts.store.lease_take(&self.name, self.holder, self.valid_for);
        match tokio::time::timeout(self.interval(), taking).await {
            Ok(Ok(Some(lease))) => {
                let fence = Fence { name: self.name.clone(), fencing: lease.fencing };
                Some(Term { fence, ends: began + lease.valid_for })
            }
            Ok(Ok(None)) => None,
            Ok(Err(error)) => {
                tracing::debug!(lease = self.name, %error, "cannot take a lease; retrying");
                None
            }
            Err(_) => {
                tracing::debug!(lease = self.name, "the store does not answer; retrying to take a lease");
                None
            }
        }
    }

    /// Renews the lease until it is lost. `renewed` runs after each renewal.
    pub(super) async fn keep<F: Future<Output = ()>>(&self, mut term: Term, renewed: impl Fn() -> F) {
        loop {
            tokio::time::sleep(self.interval()).await;
            match self.take().await {
                Some(next) if next.fence == term.fence => term = next,
                // Taken again after its end: another broker may have held it in between.
                Some(_) => return,
                None if Instant::now() < term.ends => continue,
                None => return,
            }
            renewed().await;
        }
    }

    /// Gives the lease up, so that another broker need not wait for its end.
    pub(super) async fn release(&self) {
        let releasing = self.broker.parts.store.lease_release(&self.name, self.holder);
        let _ = tokio::time::timeout(self.interval(), releasing).await;
    }

    /// Leaves a note for the other brokers.
    pub(super) async fn note(&self, note: serde_json::Value) {
        let noting = self.broker.parts.store.lease_note(&self.name, note);
        let _ = tokio::time::timeout(self.interval(), noting).await;
    }
}
