//! What a controller decides: commands, and when to look again.

use brokkr_core::model::Timestamp;

use crate::controller::command::Command;

/// The decision of a [`Controller`](crate::controller::Controller) about one key.
///
/// ```
/// use brokkr_control::controller::{Command, Plan};
/// use brokkr_core::clock::{Clock as _, SystemClock};
/// use brokkr_core::model::StackId;
///
/// let (id, now) = (StackId::generate(), SystemClock.now());
/// let plan = Plan::nothing().command(Command::delete_stack(id)).wake_at(now);
/// assert_eq!(plan.commands(), [Command::delete_stack(id)]);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "a plan does nothing until the controller returns it"]
pub struct Plan {
    commands: Vec<Command>,
    wake_at: Option<Timestamp>,
}

impl Plan {
    /// A plan without commands and without a wake-up: the key rests until a change wakes it.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds a command. The runner executes the commands of a plan in their order and stops at the first that fails. At most
    /// [`PLAN_COMMANDS`](brokkr_core::model::limits::PLAN_COMMANDS) are executed; the key is then observed again.
    pub fn command(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    /// Observes the key again at this time, at the latest. The earliest of several times counts. A time that has passed
    /// means at once. Wake-ups are kept in memory: another holder derives them again from the current state.
    pub fn wake_at(mut self, at: Timestamp) -> Self {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
        self
    }

    /// The commands, in their order.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The next wake-up; `None` if the key rests.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wake_at
    }

    pub(super) fn into_parts(self) -> (Vec<Command>, Option<Timestamp>) {
        (self.commands, self.wake_at)
    }
}
