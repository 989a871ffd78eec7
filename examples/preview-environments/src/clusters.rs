//! Where environments run.

use brokkr::prelude::*;

/// Matches environments with the clusters of their region, except those for production.
#[derive(Debug)]
pub(crate) struct PreviewClusters;

impl TargetingPolicy for PreviewClusters {
    fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
        if pair.agent.labels.get("tier") == Some("production") {
            return Ok(Verdict::unmatched("the cluster is for production"));
        }
        Ok(match (pair.stack.labels.get("region"), pair.agent.labels.get("region")) {
            (Some(wanted), Some(here)) if wanted == here => Verdict::matched(format!("both are in {here}")),
            _ => Verdict::unmatched("the regions differ"),
        })
    }
}
