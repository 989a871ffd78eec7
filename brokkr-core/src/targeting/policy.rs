//! The trait of targeting policies.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use crate::into_shared::into_shared;
use crate::model::{Agent, Stack};
use crate::targeting::Reach;

/// A pair of a stack and an agent that a policy decides about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The agent.
    pub agent: &'a Agent,
    /// Whether a direct target of this pair exists.
    pub direct: bool,
}

impl<'a> Candidate<'a> {
    /// Creates a candidate.
    pub fn new(stack: &'a Stack, agent: &'a Agent, direct: bool) -> Self {
        Self { stack, agent, direct }
    }
}

/// The decision of a policy, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the agent serves the stack.
    pub matched: bool,
    /// The reasons, in words for people. At least one. Brokers show them in explanations of placements.
    pub reasons: Vec<Cow<'static, str>>,
}

impl Verdict {
    /// A verdict that the agent serves the stack.
    pub fn matched(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { matched: true, reasons: vec![reason.into()] }
    }

    /// A verdict that the agent does not serve the stack.
    pub fn unmatched(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { matched: false, reasons: vec![reason.into()] }
    }
}

/// The policy cannot decide.
#[derive(Debug, thiserror::Error)]
#[error("the targeting policy cannot decide: {0}")]
pub struct PolicyError(#[source] pub Box<dyn Error + Send + Sync>);

/// A rule that decides which agents serve which stacks.
///
/// The broker evaluates the policy for every pair of a stack and an agent that is registered with the stack's
/// generator, whenever either of them changes. Registrations and cordons apply in addition: a policy cannot override
/// them.
///
/// # To ensure correctness
///
/// 1. **Pure and synchronous.** The verdict depends only on the candidate and the policy's own constants, not on time,
///    randomness or I/O. All brokers evaluate the policy and must agree.
/// 2. **Report errors as errors**, never as "no match". After an error the broker keeps its previous decision; a "no
///    match" would remove the stack from the cluster.
/// 3. **Explainable.** A verdict has at least one reason that a person understands.
/// 4. **Fast.** The broker evaluates every pair: a million calls for a thousand stacks and a thousand agents.
///
/// ```
/// use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
///
/// /// Large stacks go to large clusters, others to all clusters.
/// #[derive(Debug)]
/// struct BySize;
///
/// impl TargetingPolicy for BySize {
///     fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
///         Ok(match (pair.stack.labels.get("size"), pair.agent.labels.get("tier")) {
///             (Some("large"), Some("large")) => Verdict::matched("a large cluster"),
///             (Some("large"), _) => Verdict::unmatched("a large stack needs a cluster with tier=large"),
///             _ => Verdict::matched("a small stack fits everywhere"),
///         })
///     }
/// }
/// ```
pub trait TargetingPolicy: Debug + Send + Sync + 'static {
    /// Decides about one pair.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] when the policy cannot decide. The broker keeps its previous decision about the pair.
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError>;

    /// The agents that the policy can match with a stack. Default: every registered agent.
    ///
    /// The broker evaluates only these, and pairs with a direct target, so that a new stack in a large fleet costs little. To
    /// agents outside of the answer, [`evaluate`](Self::evaluate) must say "no match" and no error, whatever else they are.
    fn reach(&self, _stack: &Stack) -> Reach {
        Reach::Every
    }
}

const _: Option<&dyn TargetingPolicy> = None;

into_shared! {
    /// Conversion into a shared [`TargetingPolicy`]. Implemented for every `TargetingPolicy`, for `Arc<T>` of one, and
    /// for `Arc<dyn TargetingPolicy>`.
    IntoPolicy::into_policy => TargetingPolicy
}
