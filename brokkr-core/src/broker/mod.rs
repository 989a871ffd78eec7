//! The broker: authorise, decide, commit; and the fleet view that answers agents.
//!
//! Every operation takes the [`Actor`] first and follows one pattern: what may this actor see and do, what
//! does that make of the present state, and one [`commit`](crate::store::Store::commit) with the audit record in it. An attempt that does not end in a
//! commit is recorded as denied or failed.

mod action;
mod activity;
mod actor;
mod agents;
mod attempts;
mod authenticate;
mod builder;
mod contents;
mod decide;
mod dependencies;
mod error;
mod follower;
mod generators;
mod idempotency;
mod keys;
mod observe;
mod pak;
mod placement;
mod poll;
mod publish;
mod records;
mod report;
mod stack_removal;
mod stacks;
mod status;
mod targets;
mod view;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use actor::{Actor, Origin};
pub use agents::{AgentDetails, AgentPatch, NewAgent};
pub use builder::{BrokerBuilder, StartError};
pub use error::{BrokerError, BrokerErrorKind};
pub use generators::{GeneratorPatch, NewGenerator};
pub use idempotency::Idempotency;
pub use keys::{NewKey, NewPak};
pub use pak::{Pak, PakError};
pub use placement::Placed;
pub use publish::{Content, Published};
pub use stack_removal::Removal;
pub use stacks::{Applied, StackSpec};
pub use status::{AgentStackStatus, StackOverview, Summary};

use crate::clock::Clock;
use crate::generate::Registered;
use crate::model::Epoch;
use crate::store::{Store, StoreError};
use activity::ActivityLog;
use attempts::AttemptLog;
use contents::RecentContents;
use observe::PollCounters;
use view::FleetView;

/// How long a store may take to say that it is there.
const READY: Duration = Duration::from_secs(2);

/// The result of a broker's operations.
pub type BrokerResult<T> = Result<T, BrokerError>;

/// A control plane: the operations on everything in a [`Store`], and the answers to agents.
///
/// Cheap to clone; all clones are one broker. Its background work (following the store, recording attempts) runs on the
/// tokio runtime on which it was started and ends with [`shutdown`](Self::shutdown) or when the last clone is dropped.
#[derive(Clone)]
pub struct Broker {
    parts: Arc<Parts>,
    // Ends the background work when the last clone goes; the tasks themselves hold `parts` only.
    _stop: Arc<StopOnDrop>,
}

/// What operations and background work share.
struct Parts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    secret: [u8; 32],
    generators: HashMap<String, Registered>,
    view: FleetView,
    attempts: AttemptLog,
    activity: ActivityLog,
    contents: RecentContents,
    polls: PollCounters,
    /// Polls that wait are to end, and no more are to come.
    draining: CancellationToken,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

struct StopOnDrop(CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Broker {
    /// A broker on this store, to be composed further.
    pub fn builder(store: Arc<dyn Store>) -> BrokerBuilder {
        BrokerBuilder::new(store)
    }

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

    /// A secret that all brokers on the same data share: see [`Store::secret`].
    pub fn secret(&self) -> [u8; 32] {
        self.parts.secret
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
