//! Records which agents are silent, and since when brokers are available to notice it.

use std::time::Duration;

use brokkr_core::model::{Agent, AgentId, AgentSilence, Change, EntityKey, Timestamp, Version};
use brokkr_core::store::{Scope, StoreError, StoreExt as _};
use serde::{Deserialize, Serialize};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::BrokerResult;

/// The note with the time in which brokers were available.
const NOTE: &str = "availability";
/// A time without a note longer than this is a gap: agents may have had no broker to poll.
const GAP: Duration = Duration::from_secs(60);

/// That an agent became silent or is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SilenceTurn {
    /// The agent is silent.
    Silent {
        /// The agent.
        agent: AgentId,
        /// Its last poll or report.
        since: Timestamp,
        /// Whether many agents became silent with it.
        correlated: bool,
    },
    /// The agent polled or reported again, at this time.
    Back(AgentId, Timestamp),
}

impl SilenceTurn {
    fn agent(self) -> AgentId {
        match self {
            Self::Silent { agent, .. } | Self::Back(agent, _) => agent,
        }
    }

    /// The entity after the turn; `None` if it says so already.
    fn apply(self, before: Option<&AgentSilence>, now: Timestamp) -> Option<AgentSilence> {
        let is_silent = before.is_some_and(AgentSilence::is_silent);
        let version = before.map_or(Version::FIRST, |it| it.version.next());
        match (self, before) {
            (Self::Silent { agent, since, correlated }, _) if !is_silent => Some(AgentSilence {
                agent_id: agent,
                since,
                correlated,
                ended_at: None,
                version,
                updated_at: now,
                deleted_at: None,
            }),
            (Self::Back(_, at), Some(before)) if is_silent => {
                Some(AgentSilence { ended_at: Some(at), version, updated_at: now, ..before.clone() })
            }
            _ => None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Availability {
    at: Timestamp,
    since: Timestamp,
}

impl Broker {
    /// Records turns of agents, in one commit.
    pub(crate) async fn record_silences(&self, actor: &Actor, turns: &[SilenceTurn]) -> BrokerResult<()> {
        self.decide(actor, "agent.silence", None, || async {
            let now = self.now();
            let mut changes = Vec::new();
            let (mut silent, mut back) = (0, 0);
            for turn in turns {
                let agent = turn.agent();
                // An agent that was deleted meanwhile has no silence.
                match self.parts.store.get::<Agent>(&Scope::All, agent).await {
                    Ok(_) => {}
                    Err(StoreError::NotFound) => continue,
                    Err(error) => return Err(error.into()),
                }
                let before = self.silence_of(agent).await?;
                if let Some(after) = turn.apply(before.as_ref(), now) {
                    *(if after.is_silent() { &mut silent } else { &mut back }) += 1;
                    changes.push(Change::AgentSilence(after));
                }
            }
            let mut decision = Decision::commit((), changes).detail(format!("{silent} silent, {back} back"));
            decision.object = turns.first().filter(|_| turns.len() == 1).map(|it| EntityKey::Agent(it.agent()));
            Ok(decision)
        })
        .await
    }

    async fn silence_of(&self, agent: AgentId) -> BrokerResult<Option<AgentSilence>> {
        match self.parts.store.get::<AgentSilence>(&Scope::All, agent).await {
            Ok(silence) => Ok(Some(silence)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The end of a deleted agent's silence.
    pub(super) async fn forget_silence(&self, agent: AgentId, now: Timestamp) -> BrokerResult<Option<Change>> {
        let Some(before) = self.silence_of(agent).await? else { return Ok(None) };
        let version = before.version.next();
        Ok(Some(Change::AgentSilence(AgentSilence { version, updated_at: now, deleted_at: Some(now), ..before })))
    }

    /// Since when brokers have been available without a long gap, at `now`.
    pub(crate) async fn available_since(&self, now: Timestamp) -> BrokerResult<Timestamp> {
        let leases = self.parts.store.lease_list().await?;
        let note = leases.into_iter().find(|it| it.name == NOTE).map(|it| it.note);
        let noted = note.and_then(|note| serde_json::from_value::<Availability>(note).ok());
        Ok(noted.filter(|it| now.since(it.at) <= GAP).map_or(now, |it| it.since))
    }

    /// Notes that brokers are available at `at`, and since when.
    pub(crate) async fn note_availability(&self, at: Timestamp, since: Timestamp) -> BrokerResult<()> {
        if let Ok(note) = serde_json::to_value(Availability { at, since }) {
            self.parts.store.lease_note(NOTE, note).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn turns_alternate() {
        let (agent, start) = (AgentId::generate(), SystemClock.now());
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let silent = SilenceTurn::Silent { agent, since: at(0), correlated: true };
        let back = SilenceTurn::Back(agent, at(300));
        let first = silent.apply(None, at(200)).expect("silent");
        assert!(first.is_silent() && first.correlated && first.since == at(0));
        let second = back.apply(Some(&first), at(301)).expect("back");
        assert_eq!((second.is_silent(), second.ended_at), (false, Some(at(300))));
        let third = silent.apply(Some(&second), at(900)).expect("silent again");
        assert_eq!(third.version.get(), 3);
        assert_eq!((silent.apply(Some(&third), at(1_000)), back.apply(Some(&second), at(1_000))), (None, None));
        assert_eq!(back.apply(None, at(1_000)), None);
    }
}
