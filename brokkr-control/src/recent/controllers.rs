//! What this broker's controllers did last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokkr_core::model::{Generation, Timestamp};
use serde::{Deserialize, Serialize};

/// The state of one controller on the broker that runs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerState {
    /// Whether this broker runs the controller.
    pub leads: bool,
    /// Why the controller rests, if it does.
    pub paused: Option<String>,
    /// Keys that wait for their turn.
    pub queued: usize,
    /// Whether a key is being observed or commanded now.
    pub is_busy: bool,
    /// Since when the oldest key waits for its turn.
    pub waiting_since: Option<Timestamp>,
    /// The next time at which a sleeping key wakes.
    pub next_wake_at: Option<Timestamp>,
    /// The end of the last run.
    pub last_run_at: Option<Timestamp>,
    /// The last error, if the last run of its key failed since the broker runs the controller.
    pub last_error: Option<String>,
    /// The generation of the fleet view whose changes have woken their keys.
    pub generation: Generation,
}

/// The states of all controllers on this broker.
#[derive(Debug, Default)]
pub(crate) struct ControllerBoard(Mutex<BTreeMap<String, ControllerState>>);

impl ControllerBoard {
    fn states(&self) -> MutexGuard<'_, BTreeMap<String, ControllerState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state of a controller, and returns it.
    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut ControllerState)) -> ControllerState {
        let mut states = self.states();
        let state = states.entry(name.to_owned()).or_default();
        change(state);
        state.clone()
    }

    /// All states, by name.
    pub(crate) fn all(&self) -> BTreeMap<String, ControllerState> {
        self.states().clone()
    }
}
