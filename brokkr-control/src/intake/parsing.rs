//! CPU-heavy work on blocking threads, bounded in number and in bytes.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::limits;
use tokio::sync::OnceCell;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::intake::shares::{Part, Share, Shares};

/// Bytes that are parsed at once. A parsed tree can take twenty times its text.
const BYTES: usize = 2 * limits::BODY_BYTES;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(15);

/// The turn of a request to parse. The first work of the request takes it, and the request keeps it until it ends, because
/// it also keeps what was parsed.
#[derive(Debug, Default)]
pub struct Turn(OnceCell<Share>);

/// The bound on parsing of one broker: one piece of work per core, and [`BYTES`].
#[derive(Debug)]
pub(crate) struct Parsing {
    shares: Arc<Shares>,
    /// What a small piece of work counts.
    least: usize,
}

impl Default for Parsing {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8));
        Self { shares: Shares::new(BYTES, Part::HalfIfOthersWait, PATIENCE), least: BYTES / cores }
    }
}

impl Broker {
    /// Runs CPU-heavy work over an input of `bytes` on a blocking thread, so that it does not delay other requests. A few
    /// pieces of work run at once; further ones wait, and one actor cannot take more than half while others wait.
    ///
    /// If the caller leaves, work that waits does not start, and the result of work that runs is dropped.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Overloaded`] if the queue is full or the work does not start in time, and the error of the work.
    pub async fn run_blocking<T, E>(
        &self,
        actor: &Actor,
        bytes: usize,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> BrokerResult<T>
    where
        T: Send + 'static,
        E: Into<BrokerError> + Send + 'static,
    {
        let parsing = &self.parts.parsing;
        let acquire = || parsing.shares.acquire(actor.principal(), bytes.max(parsing.least));
        let turn = actor.turn.clone().unwrap_or_default();
        turn.0.get_or_try_init(acquire).await?;
        let held = turn.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            // Work that outlives its request still counts.
            drop(held);
            result
        });
        done.await.map_err(|error| BrokerError::Internal(Box::new(error)))?.map_err(Into::into)
    }
}
