//! Joins take turns.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::ActorRef;

use crate::error::BrokerResult;
use crate::intake::shares::{Part, Share, Shares};

/// Joins that wait for their turn at one broker; of one token, half of them.
const WAITING: usize = 8;
/// How long a join waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The turn of joins: each changes its token, so concurrent ones would lose races. A join that waits holds a place among the writes, so
/// only a few wait.
#[derive(Debug)]
pub(crate) struct Joins(Arc<Shares>);

impl Default for Joins {
    fn default() -> Self {
        Self(Shares::with_queue(1, Part::Half, PATIENCE, WAITING))
    }
}

impl Joins {
    /// Waits for the turn. Fails if too many wait, or if it does not come in time.
    pub(crate) async fn turn(&self, token: ActorRef) -> BrokerResult<Share> {
        self.0.acquire(token, 1).await
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::JoinTokenId;
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_joins_wait_and_not_all_of_one_token() {
        let joins = Joins::default();
        let token = || ActorRef::JoinToken { id: JoinTokenId::generate() };
        let (one, other) = (token(), token());
        let running = joins.turn(one).await.expect("free");
        let mut waiting = Vec::new();
        for (token, admitted) in [(one, 4), (other, 4), (token(), 0)] {
            for _ in 0..admitted {
                waiting.push(Box::pin(joins.turn(token)));
                assert!(waiting.last_mut().is_some_and(|it| it.now_or_never().is_none()));
            }
            assert!(joins.turn(token).now_or_never().is_some_and(|it| it.is_err()), "no further one waits");
        }
        drop(running);
        for next in waiting {
            drop(next.await.expect("one after the other"));
        }
    }
}
