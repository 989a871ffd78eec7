//! Which entities wake which keys of a controller.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use brokkr_core::model::{Agent, ApiKey, Change, Stack};

/// Default interval of full looks.
const EVERY: Duration = Duration::from_secs(60);

type Of<E, K> = Box<dyn Fn(&E) -> Option<K> + Send + Sync>;

/// Which entities wake which keys of a [`Controller`](crate::controller::Controller).
///
/// Each function maps an entity to the key that it wakes; `None` wakes nothing. It runs for every change of such an entity,
/// and for all of them at each full look, so keep it cheap and filter here what needs no observation.
///
/// ```
/// use std::time::Duration;
///
/// use brokkr_control::controller::Interest;
///
/// let of_stacks = Interest::new().stacks(|stack| stack.is_active().then_some(stack.id));
/// // Work that belongs to no entity has one key.
/// let periodic = Interest::new().always(()).every(Duration::from_secs(10));
/// # let _: (Interest<brokkr_core::model::StackId>, Interest<()>) = (of_stacks, periodic);
/// ```
#[must_use = "an interest does nothing until the controller returns it"]
pub struct Interest<K> {
    stacks: Option<Of<Stack, K>>,
    agents: Option<Of<Agent, K>>,
    keys: Option<Of<ApiKey, K>>,
    changes: Option<Of<Change, K>>,
    always: Vec<K>,
    every: Duration,
}

impl<K: Ord + Clone> Interest<K> {
    /// Interest in nothing.
    pub fn new() -> Self {
        Self { stacks: None, agents: None, keys: None, changes: None, always: Vec::new(), every: EVERY }
    }

    /// Wakes the key that the function returns for a stack. Changes include deletions, for which `deleted_at` is set; the
    /// full look sees living stacks.
    pub fn stacks(mut self, key: impl Fn(&Stack) -> Option<K> + Send + Sync + 'static) -> Self {
        self.stacks = Some(Box::new(key));
        self
    }

    /// Wakes the key that the function returns for an agent, as for [`stacks`](Self::stacks).
    pub fn agents(mut self, key: impl Fn(&Agent) -> Option<K> + Send + Sync + 'static) -> Self {
        self.agents = Some(Box::new(key));
        self
    }

    /// Wakes the key that the function returns for an API key.
    pub(crate) fn keys(mut self, key: impl Fn(&ApiKey) -> Option<K> + Send + Sync + 'static) -> Self {
        self.keys = Some(Box::new(key));
        self
    }

    /// Wakes the key that the function returns for a change of any kind. The full look does not see it.
    pub(crate) fn changes(mut self, key: impl Fn(&Change) -> Option<K> + Send + Sync + 'static) -> Self {
        self.changes = Some(Box::new(key));
        self
    }

    /// Wakes this key at every full look.
    pub fn always(mut self, key: K) -> Self {
        self.always.push(key);
        self
    }

    /// Sets the interval of full looks, which repair lost wake-ups. Default: 60 s. Shorter ones cost a look at every entity.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    pub(super) fn interval(&self) -> Duration {
        self.every
    }

    pub(super) fn of_stack(&self, stack: &Stack) -> Option<K> {
        self.stacks.as_ref().and_then(|of| of(stack))
    }

    pub(super) fn of_agent(&self, agent: &Agent) -> Option<K> {
        self.agents.as_ref().and_then(|of| of(agent))
    }

    pub(super) fn of_key(&self, key: &ApiKey) -> Option<K> {
        self.keys.as_ref().and_then(|of| of(key))
    }

    /// The keys that a change wakes.
    pub(super) fn of_change(&self, change: &Change) -> impl Iterator<Item = K> {
        let own = match change {
            Change::Stack(stack) => self.of_stack(stack),
            Change::Agent(agent) => self.of_agent(agent),
            Change::Key(key) => self.of_key(key),
            _ => None,
        };
        own.into_iter().chain(self.changes.as_ref().and_then(|of| of(change)))
    }

    /// The keys of every full look.
    pub(super) fn own(&self) -> BTreeSet<K> {
        self.always.iter().cloned().collect()
    }

    /// Whether a full look has to see stacks, agents and keys.
    pub(super) fn kinds(&self) -> (bool, bool, bool) {
        (self.stacks.is_some(), self.agents.is_some(), self.keys.is_some())
    }
}

impl<K: Ord + Clone> Default for Interest<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Interest<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interest").field("every", &self.every).finish_non_exhaustive()
    }
}
