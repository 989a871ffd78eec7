//! Combinations of policies.

use std::sync::Arc;

use crate::model::Stack;
use crate::targeting::{Candidate, IntoPolicy, PolicyError, Reach, TargetingPolicy, Verdict};

/// A policy that matches if all of its parts match. Created by [`all_of`].
#[derive(Debug, Clone)]
pub struct AllOf(Vec<Arc<dyn TargetingPolicy>>);

/// A policy that matches if at least one of its parts matches. Created by [`any_of`].
#[derive(Debug, Clone)]
pub struct AnyOf(Vec<Arc<dyn TargetingPolicy>>);

/// A policy that matches if its part does not. Created by [`not`].
#[derive(Debug, Clone)]
pub struct Not(Arc<dyn TargetingPolicy>);

/// Methods that combine two policies. Implemented for every [`TargetingPolicy`].
pub trait TargetingPolicyExt: TargetingPolicy + Sized {
    /// A policy that matches if this policy or `other` matches. A match of one wins over an error of the other.
    ///
    /// ```
    /// use brokkr_core::targeting::{DirectTarget, SharedLabels, TargetingPolicyExt as _};
    ///
    /// let policy = DirectTarget.or(SharedLabels::any());
    /// ```
    fn or(self, other: impl IntoPolicy) -> AnyOf {
        AnyOf(vec![self.into_policy(), other.into_policy()])
    }

    /// A policy that matches if both this policy and `other` match. An error of this policy is an error; `other` is
    /// asked only if this policy matches.
    fn and(self, other: impl IntoPolicy) -> AllOf {
        AllOf(vec![self.into_policy(), other.into_policy()])
    }
}

impl<P: TargetingPolicy> TargetingPolicyExt for P {}

/// A policy that matches if all parts match. An empty list matches no pair.
///
/// Policies of different types combine with [`TargetingPolicyExt::and`].
pub fn all_of(parts: impl IntoIterator<Item = impl IntoPolicy>) -> AllOf {
    AllOf(parts.into_iter().map(IntoPolicy::into_policy).collect())
}

/// A policy that matches if at least one part matches. An empty list matches no pair.
///
/// Policies of different types combine with [`TargetingPolicyExt::or`].
pub fn any_of(parts: impl IntoIterator<Item = impl IntoPolicy>) -> AnyOf {
    AnyOf(parts.into_iter().map(IntoPolicy::into_policy).collect())
}

/// A policy that matches if `part` does not. An error of `part` stays an error.
///
/// ```
/// use brokkr_core::targeting::{DirectTarget, SharedLabels, TargetingPolicyExt as _, not};
///
/// // Agents that share no label with the stack, and direct targets.
/// let policy = DirectTarget.or(not(SharedLabels::any()));
/// ```
pub fn not(part: impl IntoPolicy) -> Not {
    Not(part.into_policy())
}

impl TargetingPolicy for AllOf {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        let mut reasons = Vec::new();
        for part in &self.0 {
            let verdict = part.evaluate(candidate)?;
            if !verdict.matched {
                return Ok(verdict);
            }
            reasons.extend(verdict.reasons);
        }
        if reasons.is_empty() {
            return Ok(Verdict::unmatched("no policy is configured"));
        }
        Ok(Verdict { matched: true, reasons })
    }

    fn reach(&self, stack: &Stack) -> Reach {
        // A part after the first is asked only if the ones before match, so its errors are within their reach.
        self.0.first().map_or(Reach::NONE, |first| first.reach(stack))
    }
}

impl TargetingPolicy for AnyOf {
    /// A match wins over errors of other parts. Without a match, the first error is the result.
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        let mut reasons = Vec::new();
        let mut failed = None;
        for part in &self.0 {
            match part.evaluate(candidate) {
                Ok(verdict) if verdict.matched => return Ok(verdict),
                Ok(verdict) => reasons.extend(verdict.reasons),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None if reasons.is_empty() => Ok(Verdict::unmatched("no policy is configured")),
            None => Ok(Verdict { matched: false, reasons }),
        }
    }

    fn reach(&self, stack: &Stack) -> Reach {
        self.0.iter().map(|part| part.reach(stack)).fold(Reach::NONE, Reach::or)
    }
}

impl TargetingPolicy for Not {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        let verdict = self.0.evaluate(candidate)?;
        let reasons = verdict.reasons.into_iter().map(|reason| format!("not: {reason}").into()).collect();
        Ok(Verdict { matched: !verdict.matched, reasons })
    }
}
