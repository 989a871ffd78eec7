//! Turns for CPU-heavy work, bounded in number and in bytes.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{ActorRef, limits};
use tokio::sync::OnceCell;

use crate::error::BrokerResult;
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

impl Parsing {
    /// Waits for the turn of a request, unless it has it.
    pub(crate) async fn wait(&self, turn: &Turn, actor: ActorRef, weight: usize) -> BrokerResult<()> {
        turn.0.get_or_try_init(|| self.shares.acquire(actor, weight.max(self.least))).await.map(drop)
    }
}
