//! The broker: its shared parts and its shutdown.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::Clock;
use brokkr_core::entropy::Entropy;
use brokkr_core::model::{Epoch, Generation, Timestamp};
use brokkr_core::store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::error::BrokerResult;
use crate::generate::Registered;
use crate::intake::open_polls::OpenPolls;
use crate::intake::parsing::Parsing;
use crate::intake::quotas::Quotas;
use crate::metrics::PollCounters;
use crate::recent::activity::ActivityLog;
use crate::recent::attempts::AttemptLog;
use crate::recent::contents::RecentContents;
use crate::recent::controllers::ControllerBoard;
use crate::store_clock::StoreClock;
use crate::view::FleetView;

/// Time limit for the store's answer to a readiness check.
const READY: Duration = Duration::from_secs(2);

/// A control plane: operations on all entities in a [`Store`], and the agent protocol.
///
/// Cheap to clone; clones share one broker. Background tasks follow the store and write audit records. They run on the tokio
/// runtime that [`start`](crate::BrokerBuilder::start) was called on, and end on [`shutdown`](Self::shutdown) or when the
/// last clone is dropped.
#[derive(Clone)]
pub struct Broker {
    pub(crate) parts: Arc<Parts>,
    // Stops the background tasks when the last clone is dropped; the tasks themselves hold only `parts`.
    pub(crate) _stop: Arc<StopOnDrop>,
}

/// State that operations and background tasks share.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The store's time; `None` if the host has set another clock.
    pub(crate) store_clock: Option<Arc<StoreClock>>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) secret: [u8; 32],
    pub(crate) generators: HashMap<String, Registered>,
    /// The longest lifetime of keys of people and systems.
    pub(crate) key_lifetime: Option<Duration>,
    pub(crate) view: FleetView,
    pub(crate) attempts: AttemptLog,
    pub(crate) activity: ActivityLog,
    pub(crate) contents: RecentContents,
    pub(crate) controllers: ControllerBoard,
    pub(crate) polls: PollCounters,
    pub(crate) parsing: Parsing,
    pub(crate) quotas: Quotas,
    pub(crate) open_polls: OpenPolls,
    /// Joins of this replica take turns: each changes its token, so concurrent ones would lose races.
    pub(crate) joins: tokio::sync::Mutex<()>,
    /// Cancelled when waiting polls end and new polls no longer wait.
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
    /// Checks that the broker can serve requests.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unavailable`](crate::BrokerError::Unavailable) if the broker is draining or the store does not answer
    /// within 2 s, [`BrokerError::Stale`](crate::BrokerError::Stale) if the fleet view is too old.
    pub async fn ready(&self) -> BrokerResult<()> {
        if self.parts.draining.is_cancelled() {
            return Err(StoreError::Unavailable("the broker is shutting down".into()).into());
        }
        self.parts.view.check_fresh()?;
        let late = |_| StoreError::Unavailable("the store does not answer".into());
        tokio::time::timeout(READY, self.parts.store.check()).await.map_err(late)??;
        Ok(())
    }

    /// Ends waiting polls and makes [`ready`](Self::ready) fail. Other requests are still served. Call it before
    /// [`shutdown`](Self::shutdown) if open requests should finish first.
    pub fn drain(&self) {
        self.parts.draining.cancel();
    }

    /// Ends waiting polls and background tasks, and writes queued audit records. Returns when all tasks have ended.
    pub async fn shutdown(&self) {
        self.drain();
        self.parts.stopping.cancel();
        self.parts.tasks.close();
        self.parts.tasks.wait().await;
    }

    /// The epoch of the record that this broker serves.
    pub fn epoch(&self) -> Epoch {
        self.parts.view.epoch()
    }

    /// The generation of this broker's fleet view.
    pub fn generation(&self) -> Generation {
        self.parts.view.token().generation()
    }

    /// The current time: that of the store, or of the clock that the host has set.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A new id, from the broker's source of randomness.
    pub(crate) fn new_id<I: From<Uuid>>(&self) -> I {
        self.parts.entropy.uuid(self.now()).into()
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("store", &self.parts.store).field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}
