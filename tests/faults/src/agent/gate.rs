//! Cuts an agent off from every server at one moment, so that a fault can kill it at exactly that point.

use std::time::Duration;

use tokio::sync::watch;

use crate::Result;

#[derive(Default)]
struct State {
    closed: bool,
    /// Number of requests since the gate closed.
    held: u64,
}

/// A gate in front of every server that an agent uses. Once closed, it forwards no further request.
pub(crate) struct Gate(watch::Sender<State>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::default()))
    }

    pub(crate) fn close(&self) {
        self.0.send_modify(|state| state.closed = true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// Opens the gate for the next process. Held requests stay lost.
    pub(crate) fn open(&self) {
        self.0.send_replace(State::default());
    }

    /// Returns if the gate is open; never returns if it is closed.
    pub(crate) async fn pass(&self) {
        let mut closed = false;
        self.0.send_if_modified(|state| {
            closed = state.closed;
            state.held += u64::from(closed);
            closed
        });
        if closed {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the gate closes. Fails after the time limit.
    pub(crate) async fn closed(&self, within: Duration) -> Result<()> {
        self.wait(within, |state| state.closed, "the agent did not reach the fault point").await
    }

    /// Waits until the disconnected agent sends another request, which proves that it got the previous answer.
    pub(crate) async fn held(&self, within: Duration) -> Result<()> {
        self.wait(within, |state| state.held > 0, "the agent sent no further request").await
    }

    async fn wait(&self, within: Duration, is_so: impl Fn(&State) -> bool, otherwise: &str) -> Result<()> {
        let mut states = self.0.subscribe();
        match tokio::time::timeout(within, states.wait_for(is_so)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(otherwise.into()),
        }
    }
}
