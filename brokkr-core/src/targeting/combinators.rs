//! Policies made of policies.

use std::sync::Arc;

use crate::targeting::{Candidate, IntoPolicy, PolicyError, TargetingPolicy, Verdict};

/// Matches when every part does. Made by [`all_of`].
#[derive(Debug, Clone)]
pub struct AllOf(Vec<Arc<dyn TargetingPolicy>>);

/// Matches when one part does. Made by [`any_of`].
#[derive(Debug, Clone)]
pub struct AnyOf(Vec<Arc<dyn TargetingPolicy>>);

/// Matches when its part does not. Made by [`not`].
#[derive(Debug, Clone)]
pub struct Not(Arc<dyn TargetingPolicy>);

/// Combinations of two policies; implemented for every [`TargetingPolicy`].
pub trait TargetingPolicyExt: TargetingPolicy + Sized {
    /// A policy that matches when this one or the other does. A match wins over an error of the other part.
    ///
    /// ```
    /// use brokkr_core::targeting::{DirectAssignment, SharedLabels, TargetingPolicyExt as _};
    ///
    /// let policy = DirectAssignment.or(SharedLabels::any());
    /// ```
    fn or(self, other: impl IntoPolicy) -> AnyOf {
        AnyOf(vec![self.into_policy(), other.into_policy()])
    }

    /// A policy that matches when this one and the other do. An error of either is an error.
    fn and(self, other: impl IntoPolicy) -> AllOf {
        AllOf(vec![self.into_policy(), other.into_policy()])
    }
}

impl<P: TargetingPolicy> TargetingPolicyExt for P {}

/// A policy that matches when every part does. An empty list matches nothing.
///
/// Policies of different types combine with [`TargetingPolicyExt::and`].
pub fn all_of(parts: impl IntoIterator<Item = impl IntoPolicy>) -> AllOf {
    AllOf(parts.into_iter().map(IntoPolicy::into_policy).collect())
}

/// A policy that matches when one part does. An empty list matches nothing.
///
/// Policies of different types combine with [`TargetingPolicyExt::or`].
pub fn any_of(parts: impl IntoIterator<Item = impl IntoPolicy>) -> AnyOf {
    AnyOf(parts.into_iter().map(IntoPolicy::into_policy).collect())
}

/// A policy that matches when the part does not. An error stays an error.
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
}

impl TargetingPolicy for AnyOf {
    /// A match is a match even if another part fails; without one, a part's error is the answer.
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
}

impl TargetingPolicy for Not {
    fn evaluate(&self, candidate: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        let verdict = self.0.evaluate(candidate)?;
        let reasons = verdict.reasons.into_iter().map(|reason| format!("not: {reason}").into()).collect();
        Ok(Verdict { matched: !verdict.matched, reasons })
    }
}
