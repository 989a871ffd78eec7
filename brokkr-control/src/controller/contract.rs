//! The contract of controllers.

use std::fmt::Debug;

use async_trait::async_trait;
use brokkr_core::model::Timestamp;

use crate::controller::interest::Interest;
use crate::controller::pace::Pace;
use crate::controller::plan::Plan;
use crate::controller::reads::Reads;
use crate::error::BrokerResult;

/// Work that the broker does later than a request: it compares what is with what should be, and commands the difference.
///
/// A controller is **level-triggered**. For each key it [observes](Self::observe) the current facts and [decides](Self::decide)
/// what is missing. It does not matter what woke it, how often, or what it did before: lost wake-ups, restarts and changes of
/// the holder heal with the next look.
///
/// Of all brokers on one store, one runs the controller: the holder of its lease. Each of its commits is fenced by the lease, so
/// an old holder that does not know yet that it was replaced commits nothing.
///
/// [`BrokerBuilder::controller`](crate::BrokerBuilder::controller) adds the controllers of the host. Their commands are public
/// operations under a principal of the host's choice; they have its rights and its audit records.
///
/// # To ensure correctness
///
/// 1. **Pure.** `decide` depends on the facts and the time only: no clock, no randomness, no state of its own. The same input
///    gives the same plan.
/// 2. **Converging.** When the commands of a plan have been executed, the next decision at the same time has no commands.
///    Repeating a command changes nothing: a crash between two commands repeats the first.
/// 3. **Absence is never an order.** If a fact cannot be read, `observe` returns the error. It never replaces it by an empty
///    value, on which `decide` would act.
/// 4. **Complete interest.** The keys that [`interest`](Self::interest) derives from all present entities include every key
///    that needs work or a wake-up. The full look, which runs periodically, wakes only these.
/// 5. **Deadlines by the given time.** `decide` compares deadlines with `now` and returns the next one as wake-up. Time does
///    not go back between two calls of one holder.
///
/// [`check_controller`](https://docs.rs/brokkr/latest/brokkr/testing/fn.check_controller.html) of the facade checks these
/// rules.
///
/// # Failures
///
/// The runner repeats a key whose observation or command fails, with a backoff from 1 s to 1 min. While the fleet view is
/// stale, after a jump of the store's time, and in a new epoch that no admin has confirmed, controllers rest.
///
/// ```
/// use std::time::Duration;
///
/// use async_trait::async_trait;
/// use brokkr_control::BrokerResult;
/// use brokkr_control::controller::{Command, Controller, Interest, Plan, Reads};
/// use brokkr_core::model::{Stack, StackId, Timestamp};
///
/// /// Deletes stacks a day after their last change.
/// #[derive(Debug)]
/// struct CloseUnchanged;
///
/// #[async_trait]
/// impl Controller for CloseUnchanged {
///     type Key = StackId;
///     type Facts = Stack;
///
///     fn name(&self) -> &str {
///         "close-unchanged"
///     }
///
///     fn interest(&self) -> Interest<StackId> {
///         Interest::new().stacks(|stack| stack.is_active().then_some(stack.id))
///     }
///
///     async fn observe(&self, reads: &Reads, key: &StackId) -> BrokerResult<Option<Stack>> {
///         reads.stack(*key).await
///     }
///
///     fn decide(&self, stack: &Stack, now: Timestamp) -> Plan {
///         let end = stack.updated_at.plus(Duration::from_secs(24 * 3600));
///         if !stack.is_active() {
///             Plan::nothing()
///         } else if now < end {
///             Plan::nothing().wake_at(end)
///         } else {
///             Plan::nothing().command(Command::delete_stack(stack.id).if_version(stack.version))
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Controller: Debug + Send + Sync + 'static {
    /// What the controller decides about, one at a time, such as a stack's id.
    type Key: Clone + Ord + Debug + Send + Sync + 'static;
    /// Everything that a decision depends on, apart from the time.
    type Facts: Send + Sync;

    /// The name, a DNS label that is unique in the broker: the lease, the metrics and the API use it. Always the same.
    fn name(&self) -> &str;

    /// Which entities wake which keys. Called once at the start.
    fn interest(&self) -> Interest<Self::Key>;

    /// How often the controller may act. Default: without limit.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// Reads the current facts about a key; `None` if it needs no decision any more, for example because the entity is gone.
    ///
    /// # Errors
    ///
    /// Those of the reads. The runner tries again later.
    async fn observe(&self, reads: &Reads, key: &Self::Key) -> BrokerResult<Option<Self::Facts>>;

    /// Decides what to do now, and when to look again.
    fn decide(&self, facts: &Self::Facts, now: Timestamp) -> Plan;
}
