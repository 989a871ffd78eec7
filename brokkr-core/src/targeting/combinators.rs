//! Policies made of policies.

use std::sync::Arc;

use crate::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};

/// Matches when every part does. Made by [`all_of`].
#[derive(Debug, Clone)]
pub struct AllOf(Vec<Arc<dyn TargetingPolicy>>);

/// Matches when one part does. Made by [`any_of`].
#[derive(Debug, Clone)]
pub struct AnyOf(Vec<Arc<dyn TargetingPolicy>>);

/// Matches when its part does not. Made by [`not`].
#[derive(Debug, Clone)]
pub struct Not(Arc<dyn TargetingPolicy>);

/// Matches when every part does; an empty list matches nothing.
pub fn all_of(parts: impl IntoIterator<Item = Arc<dyn TargetingPolicy>>) -> AllOf {
    AllOf(parts.into_iter().collect())
}

/// Matches when one part does; an empty list matches nothing.
pub fn any_of(parts: impl IntoIterator<Item = Arc<dyn TargetingPolicy>>) -> AnyOf {
    AnyOf(parts.into_iter().collect())
}

/// Matches when the part does not. An error stays an error.
pub fn not(part: Arc<dyn TargetingPolicy>) -> Not {
    Not(part)
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
