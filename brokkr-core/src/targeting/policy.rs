//! The targeting policy's contract.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use crate::into_shared::into_shared;
use crate::model::{Agent, Stack};

/// A pair about which a policy decides.
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
    /// A pair.
    pub fn new(stack: &'a Stack, agent: &'a Agent, direct: bool) -> Self {
        Self { stack, agent, direct }
    }
}

/// What a policy decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the agent serves the stack.
    pub matched: bool,
    /// Why or why not, in words for people; at least one.
    pub reasons: Vec<Cow<'static, str>>,
}

impl Verdict {
    /// The agent serves the stack.
    pub fn matched(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { matched: true, reasons: vec![reason.into()] }
    }

    /// The agent does not.
    pub fn unmatched(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { matched: false, reasons: vec![reason.into()] }
    }
}

/// A policy cannot decide.
#[derive(Debug, thiserror::Error)]
#[error("the targeting policy cannot decide: {0}")]
pub struct PolicyError(#[source] pub Box<dyn Error + Send + Sync>);

/// Decides which agents serve which stacks.
///
/// The broker asks it for every pair of a stack and an agent that is registered with the stack's generator, when either
/// of them changes. Registration (the admin's consent) and cordons stand outside of it: no policy can overrule them.
///
/// # To ensure correctness
///
/// 1. **Pure and synchronous.** The verdict depends on the candidate and the policy's own constants only: not
///    on time, randomness or the outside. Every replica asks, and they must agree.
/// 2. **An error is an error**, never "no match": after an error the broker keeps what was decided before.
///    Answering "no match" for want of knowledge would withdraw the stack from the cluster.
/// 3. **Explainable.** A verdict has at least one reason, fit to be read by whoever asks why.
/// 4. **Fast.** It is asked once per pair: a million times for a thousand stacks and a thousand agents.
///
/// ```
/// use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};
///
/// /// Stacks go to agents of the same region.
/// #[derive(Debug)]
/// struct SameRegion;
///
/// impl TargetingPolicy for SameRegion {
///     fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
///         Ok(match (pair.stack.labels.get("region"), pair.agent.labels.get("region")) {
///             (Some(wanted), Some(here)) if wanted == here => Verdict::matched(format!("both are in {here}")),
///             _ => Verdict::unmatched("the regions differ"),
///         })
///     }
/// }
/// ```
pub trait TargetingPolicy: Debug + Send + Sync + 'static {
    /// Decides about one pair.
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError>;
}

const _: Option<&dyn TargetingPolicy> = None;

into_shared! {
    /// A [`TargetingPolicy`] by value, in an `Arc`, or as `Arc<dyn TargetingPolicy>`.
    IntoPolicy::into_policy => TargetingPolicy
}
