//! What cuts an agent off from everything at one moment, so that it can be killed at exactly that point.

use std::time::Duration;

use tokio::sync::watch;

use crate::Result;

#[derive(Default)]
struct State {
    closed: bool,
    /// Requests that came after it was closed.
    held: u64,
}

/// Stands in front of everything that an agent talks to. Once closed, nothing of what the agent asks for happens any more.
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

    /// For the next process; what was held stays lost.
    pub(crate) fn open(&self) {
        self.0.send_replace(State::default());
    }

    /// Goes through when open; never comes back when closed.
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

    /// Waits until it was closed; an error if that does not happen.
    pub(crate) async fn closed(&self, within: Duration) -> Result<()> {
        self.wait(within, |state| state.closed, "the point was not reached").await
    }

    /// Waits until the agent, cut off, asked for something more: what was answered before has arrived.
    pub(crate) async fn held(&self, within: Duration) -> Result<()> {
        self.wait(within, |state| state.held > 0, "the agent did not go on").await
    }

    async fn wait(&self, within: Duration, is_so: impl Fn(&State) -> bool, otherwise: &str) -> Result<()> {
        let mut states = self.0.subscribe();
        match tokio::time::timeout(within, states.wait_for(is_so)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(otherwise.into()),
        }
    }
}
