//! The broker: what its operations share, and its end.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::Clock;
use brokkr_core::entropy::Entropy;
use brokkr_core::model::Epoch;
use brokkr_core::store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::BrokerResult;
use crate::generate::Registered;
use crate::metrics::PollCounters;
use crate::recent::activity::ActivityLog;
use crate::recent::attempts::AttemptLog;
use crate::recent::contents::RecentContents;
use crate::view::FleetView;

/// How long a store may take to say that it is there.
const READY: Duration = Duration::from_secs(2);

/// A control plane: the operations on everything in a [`Store`], and the answers to agents.
///
/// Cheap to clone; all clones are one broker. Its background work (following the store, recording attempts) runs on the
/// tokio runtime on which it was started and ends with [`shutdown`](Self::shutdown) or when the last clone is dropped.
#[derive(Clone)]
pub struct Broker {
    pub(crate) parts: Arc<Parts>,
    // Ends the background work when the last clone goes; the tasks themselves hold `parts` only.
    pub(crate) _stop: Arc<StopOnDrop>,
}

/// What operations and background work share.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) secret: [u8; 32],
    pub(crate) generators: HashMap<String, Registered>,
    pub(crate) view: FleetView,
    pub(crate) attempts: AttemptLog,
    pub(crate) activity: ActivityLog,
    pub(crate) contents: RecentContents,
    pub(crate) polls: PollCounters,
    /// Polls that wait are to end, and no more are to come.
    pub(crate) draining: CancellationToken,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

pub(crate) struct StopOnDrop(pub(crate) CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Broker {
    /// Whether this broker can serve: it is not to stop, its store answers and its view is fresh.
    pub async fn ready(&self) -> BrokerResult<()> {
        if self.parts.draining.is_cancelled() {
            return Err(StoreError::Unavailable("the broker is about to stop".into()).into());
        }
        self.parts.view.check_fresh()?;
        let late = |_| StoreError::Unavailable("it does not answer".into());
        tokio::time::timeout(READY, self.parts.store.check()).await.map_err(late)??;
        Ok(())
    }

    /// Ends waiting polls and says that it is not ready any more. What else comes is still served: the step before
    /// [`shutdown`](Self::shutdown) for a host whose open requests are to end first.
    pub fn drain(&self) {
        self.parts.draining.cancel();
    }

    /// Ends waiting polls and background work, and writes what was still to be recorded.
    pub async fn shutdown(&self) {
        self.drain();
        self.parts.stopping.cancel();
        self.parts.tasks.close();
        self.parts.tasks.wait().await;
    }

    /// The history that this broker answers from.
    pub fn epoch(&self) -> Epoch {
        self.parts.view.epoch()
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("store", &self.parts.store).field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}
