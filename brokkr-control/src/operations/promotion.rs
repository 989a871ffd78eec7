//! Whether what an environment runs of a stack can be promoted.

use std::collections::BTreeMap;

use brokkr_core::desired::{Desired, Why};
use brokkr_core::model::{AgentId, DeploymentObject, Health, Name, ReleaseMode, Revision, Stack, StackStatus, shorten};
use brokkr_core::store::Scope;

use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::releases::Place;

/// Agents that a refusal names.
const NAMED: usize = 5;
/// Maximum length of a refusal in bytes.
const TOLD_BYTES: usize = 1024;

/// What an agent of the environment says about the revision.
struct Witness {
    name: Name,
    status: Option<StackStatus>,
}

impl Witness {
    /// Why the agent is no evidence for the revision; `None` if it is healthy with it.
    fn objection(&self, revision: Revision) -> Option<String> {
        let name = &self.name;
        let Some(status) = &self.status else {
            return Some(format!("{name} has not reported yet"));
        };
        if let Some(error) = &status.last_error {
            return Some(format!("{name} failed: {}", error.reason));
        }
        if status.applied_revision != Some(revision) {
            return Some(format!("{name} has not applied it"));
        }
        match status.health {
            Health::Healthy | Health::Suspended => None,
            health => Some(format!("{name} is {health}")),
        }
    }
}

/// Why the witnesses do not show that the revision is healthy; `None` if they do.
fn refusal(environment: &str, revision: Revision, witnesses: &[Witness]) -> Option<String> {
    if witnesses.is_empty() {
        return Some(format!("no agent of {environment} holds revision {revision}"));
    }
    let objections: Vec<String> = witnesses.iter().filter_map(|it| it.objection(revision)).collect();
    let first = objections.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let mut text = match objections.len() {
        0 => return None,
        n if n > NAMED => format!("revision {revision} in {environment}: {first} and {} more", n - NAMED),
        _ => format!("revision {revision} in {environment}: {first}"),
    };
    shorten(&mut text, TOLD_BYTES);
    Some(text)
}

impl Broker {
    /// The revision that an environment runs, if every agent that follows it there is healthy with it.
    pub(super) async fn promotable(&self, stack: &Stack, from: &Place) -> BrokerResult<DeploymentObject> {
        let Some(environment) = &from.environment else {
            return Err(BrokerError::NotFound);
        };
        let is_gated = stack.release == ReleaseMode::Gated || environment.protected;
        let running = match &from.after.stable {
            Some(stable) if is_gated => Some(self.named_revision(&Scope::All, stack.id, stable.revision).await?),
            None if is_gated => None,
            _ => self.parts.store.deployment_object_latest(&Scope::All, stack.id).await?,
        };
        let Some(object) = running else {
            return Err(BrokerError::NotPromotable(format!("no revision is stable in {}", environment.name)));
        };
        let mut names: BTreeMap<AgentId, Name> = BTreeMap::new();
        for pair in self.parts.view.pairs_of_stack(stack.id) {
            let is_there = pair.agent.environment.as_ref() == Some(&environment.name);
            // Pinned and suspended agents say nothing about the revision.
            let follows = matches!(&pair.desired, Desired::Revision { why: Why::Stable | Why::Newest, .. });
            if is_there && follows {
                names.insert(pair.agent.id, pair.agent.name.clone());
            }
        }
        let ids: Vec<AgentId> = names.keys().copied().collect();
        let statuses = self.parts.store.stack_status_of_stack(&Scope::All, stack.id, &ids).await?;
        let mut statuses: BTreeMap<AgentId, StackStatus> = statuses.into_iter().map(|it| (it.agent_id, it)).collect();
        let witness = |(id, name)| Witness { name, status: statuses.remove(&id) };
        let witnesses: Vec<Witness> = names.into_iter().map(witness).collect();
        match refusal(environment.name.as_str(), object.revision, &witnesses) {
            Some(refusal) => Err(BrokerError::NotPromotable(refusal)),
            None => Ok(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::LastError;
    use brokkr_core::store::conformance::sample;

    use super::*;

    fn witness(name: &str, applied: u64, health: Health, failed: bool) -> Witness {
        let error = LastError {
            reason: "Conflict".to_owned(),
            message: String::new(),
            objects: Vec::new(),
            since: sample::time(0),
        };
        let status = StackStatus {
            applied_revision: Some(Revision::new(applied)),
            health,
            last_error: failed.then_some(error),
            ..sample::status(&sample::stack("s"), &sample::agent("a"))
        };
        Witness { name: name.parse().expect("a name"), status: Some(status) }
    }

    #[test]
    fn every_agent_has_to_be_healthy_with_the_revision() {
        let silent = || Witness { name: "e".parse().expect("a name"), status: None };
        let good = || witness("a", 3, Health::Healthy, false);
        let table = [
            (vec![], Some("no agent of staging holds revision 3")),
            (vec![good()], None),
            (vec![good(), witness("b", 3, Health::Suspended, false)], None),
            (vec![good(), witness("b", 2, Health::Healthy, false)], Some("b has not applied it")),
            (vec![witness("b", 4, Health::Healthy, false)], Some("b has not applied it")),
            (vec![good(), witness("c", 3, Health::Degraded, false)], Some("c is degraded")),
            (vec![witness("c", 3, Health::Progressing, false)], Some("c is progressing")),
            (vec![witness("c", 3, Health::Unknown, false)], Some("c is unknown")),
            (vec![good(), witness("d", 3, Health::Healthy, true)], Some("d failed: Conflict")),
            (vec![silent(), good()], Some("e has not reported yet")),
            ((0..5).map(|_| silent()).collect(), Some("e has not reported yet, e has not reported yet")),
            ((0..7).map(|_| silent()).collect(), Some(" and 2 more")),
        ];
        for (witnesses, expected) in table {
            let found = refusal("staging", Revision::new(3), &witnesses);
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
                _ => panic!("{found:?} is not {expected:?}"),
            }
        }
        let five: Vec<_> = (0..5).map(|_| silent()).collect();
        assert!(!refusal("staging", Revision::new(3), &five).expect("a refusal").contains("more"));
    }
}
