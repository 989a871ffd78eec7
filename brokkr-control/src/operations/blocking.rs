//! CPU-heavy work on blocking threads.

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};

impl Broker {
    /// Runs CPU-heavy work on a blocking thread, so that it does not delay other requests. A few pieces of work run at once;
    /// further ones wait, and one actor cannot take more than half while others wait.
    ///
    /// `weight` is the size of the work, such as [`parsing_weight`](brokkr_core::manifest::parsing_weight): pieces of work
    /// run at once up to a weight of 16 MiB together. A heavier one runs alone.
    ///
    /// If the caller leaves, work that waits does not start, and the result of work that runs is dropped.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Overloaded`] if the queue is full or the work does not start in time, and the error of the work.
    pub async fn run_blocking<T, E>(
        &self,
        actor: &Actor,
        weight: usize,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> BrokerResult<T>
    where
        T: Send + 'static,
        E: Into<BrokerError> + Send + 'static,
    {
        let turn = actor.turn.clone().unwrap_or_default();
        self.parts.parsing.wait(&turn, actor.principal(), weight).await?;
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
