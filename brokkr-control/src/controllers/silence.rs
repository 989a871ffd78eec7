//! Notices which agents are silent.

use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::{AgentId, AgentSilence, AgentStatus, Timestamp, limits};
use brokkr_core::store::Scope;

use crate::controller::{Command, Controller, Interest, Own, Plan, Reads};
use crate::error::BrokerResult;
use crate::operations::silences::SilenceTurn;

/// Interval of looks. Shorter than the gap after which agents get time to come back.
const EVERY: Duration = Duration::from_secs(20);
/// Agents that become silent within this time count together.
const TOGETHER: Duration = Duration::from_secs(300);
/// Fewer agents than this and than a fifth of all are no correlation.
const FEW: usize = 5;

/// Records the agents that neither poll nor report for too long, and those that are back.
///
/// Only time counts in which brokers were available: after a gap, agents get the whole time to come back.
#[derive(Debug)]
pub(crate) struct Silence {
    /// The time after which an agent is silent.
    pub(crate) after: Duration,
}

/// The agents, and when they were last seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Since when brokers are available without a long gap.
    pub(crate) available_since: Timestamp,
    pub(crate) agents: Vec<SeenAgent>,
}

/// An agent that was seen at least once and is not retired.
#[derive(Debug, Clone)]
pub(crate) struct SeenAgent {
    pub(crate) id: AgentId,
    pub(crate) last_seen: Timestamp,
    /// Its last silence, which may have ended.
    pub(crate) silence: Option<AgentSilence>,
}

impl SeenAgent {
    fn is_silent(&self) -> bool {
        self.silence.as_ref().is_some_and(AgentSilence::is_silent)
    }

    /// Whether it became silent shortly before `now`, and still is.
    fn is_newly_silent(&self, now: Timestamp) -> bool {
        self.silence.as_ref().is_some_and(|it| it.is_silent() && now.since(it.updated_at) < TOGETHER)
    }
}

#[async_trait]
impl Controller for Silence {
    type Key = ();
    type Facts = Seen;

    fn name(&self) -> &str {
        "silence"
    }

    fn interest(&self) -> Interest<()> {
        Interest::new().always(()).every(EVERY).agents(|_| Some(()))
    }

    async fn observe(&self, reads: &Reads, (): &()) -> BrokerResult<Option<Seen>> {
        let broker = &reads.broker;
        let available_since = broker.available_since(broker.now()).await?;
        let mut ids = Vec::new();
        broker.parts.view.each_agent(|agent| {
            if agent.status != AgentStatus::Retired {
                ids.push(agent.id);
            }
        });
        let mut agents = Vec::new();
        for ids in ids.chunks(limits::CONTROLLER_CHANGES) {
            let seen = broker.last_seen(&Scope::All, ids).await?;
            agents.extend(seen.into_iter().map(|(id, last_seen)| {
                let silence = broker.parts.view.silence(id).map(|it| (*it).clone());
                SeenAgent { id, last_seen, silence }
            }));
        }
        Ok(Some(Seen { available_since, agents }))
    }

    fn decide(&self, seen: &Seen, now: Timestamp) -> Plan {
        let deadline = |agent: &SeenAgent| agent.last_seen.max(seen.available_since).plus(self.after);
        let is_due = |agent: &&SeenAgent| !agent.is_silent() && deadline(agent) <= now;
        let together = seen.agents.iter().filter(|it| is_due(it) || it.is_newly_silent(now)).count();
        let correlated = together > FEW.max(seen.agents.len() / 5);
        let turn = |agent: &SeenAgent| match &agent.silence {
            Some(silence) if silence.is_silent() && agent.last_seen > silence.since => {
                Some(SilenceTurn::Back(agent.id, agent.last_seen))
            }
            _ if is_due(&agent) => Some(SilenceTurn::Silent { agent: agent.id, since: agent.last_seen, correlated }),
            _ => None,
        };
        let turns: Vec<SilenceTurn> = seen.agents.iter().filter_map(turn).collect();
        let records = turns.chunks(limits::CONTROLLER_CHANGES).map(|turns| Own::RecordSilences(turns.to_vec()));
        let note = Own::NoteAvailability { at: now, since: seen.available_since };
        let plan = records.chain([note]).map(Command::own).fold(Plan::nothing(), Plan::command);
        let next = seen.agents.iter().filter(|it| !it.is_silent()).map(deadline).filter(|at| *at > now).min();
        next.map_or(plan.clone(), |at| plan.wake_at(at))
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::Version;

    use super::*;

    const AFTER: Duration = Duration::from_secs(180);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// An agent last seen so many seconds before `now`, silent since so many if at all.
    fn agent(now: Timestamp, last_seen: u64, silent: Option<(u64, bool)>) -> SeenAgent {
        let id = AgentId::generate();
        let silence = silent.map(|(since, has_ended)| AgentSilence {
            agent_id: id,
            since: now.minus(seconds(since)),
            correlated: false,
            ended_at: has_ended.then_some(now),
            version: Version::FIRST,
            updated_at: now.minus(seconds(since)).plus(AFTER),
            deleted_at: None,
        });
        SeenAgent { id, last_seen: now.minus(seconds(last_seen)), silence }
    }

    fn turns(plan: &Plan) -> Vec<SilenceTurn> {
        let of = |command: &Command| match command.as_own() {
            Some(Own::RecordSilences(turns)) => turns.clone(),
            _ => Vec::new(),
        };
        plan.commands().iter().flat_map(of).collect()
    }

    #[test]
    fn agent_is_silent_after_the_time_in_which_brokers_were_available() {
        let now = SystemClock.now();
        // Last seen, silence, time since brokers are available; silent or back, and the next wake-up in so many seconds.
        for (last_seen, silence, available, expected, wake) in [
            (0, None, 9_000, None, Some(180)),
            (179, None, 9_000, None, Some(1)),
            (180, None, 9_000, Some(true), None),
            (8_000, None, 100, None, Some(80)),
            (8_000, None, 180, Some(true), None),
            (8_000, Some((8_000, false)), 9_000, None, None),
            (10, Some((8_000, false)), 9_000, Some(false), None),
            (10, Some((8_000, true)), 9_000, None, Some(170)),
            (500, Some((8_000, true)), 9_000, Some(true), None),
        ] {
            let agent = agent(now, last_seen, silence);
            let seen = Seen { available_since: now.minus(seconds(available)), agents: vec![agent.clone()] };
            let plan = Silence { after: AFTER }.decide(&seen, now);
            let turn = expected.map(|is_silent| match is_silent {
                true => SilenceTurn::Silent { agent: agent.id, since: agent.last_seen, correlated: false },
                false => SilenceTurn::Back(agent.id, agent.last_seen),
            });
            let case = format!("seen {last_seen}, silent {silence:?}, available {available}");
            assert_eq!(turns(&plan), Vec::from_iter(turn), "{case}");
            assert_eq!(plan.next_wake(), wake.map(|it| now.plus(seconds(it))), "{case}");
            let note = Own::NoteAvailability { at: now, since: seen.available_since };
            assert_eq!(plan.commands().last(), Some(&Command::own(note)), "{case}");
        }
    }

    #[test]
    fn many_silences_together_are_correlated() {
        let now = SystemClock.now();
        // All agents, those that become silent now, those that did in the last five minutes, those before.
        for (all, due, newly, before, correlated) in [
            (10, 5, 0, 0, false),
            (10, 6, 0, 0, true),
            (10, 1, 5, 0, true),
            (10, 1, 4, 5, false),
            (100, 20, 0, 0, false),
            (100, 21, 0, 0, true),
            (100, 11, 10, 50, true),
        ] {
            let of = |n: usize, last_seen, silence| (0..n).map(move |_| agent(now, last_seen, silence));
            let agents = of(due, 181, None)
                .chain(of(newly, 300, Some((300, false))))
                .chain(of(before, 9_000, Some((9_000, false))))
                .chain(of(all - due - newly - before, 10, None));
            let seen = Seen { available_since: now.minus(seconds(90_000)), agents: agents.collect() };
            let found = turns(&Silence { after: AFTER }.decide(&seen, now));
            assert_eq!(found.len(), due);
            let is_correlated = |turn: &SilenceTurn| matches!(turn, SilenceTurn::Silent { correlated: true, .. });
            assert_eq!(found.iter().all(is_correlated), correlated, "{all} {due} {newly} {before}");
            assert_eq!(found.iter().any(is_correlated), correlated, "{all} {due} {newly} {before}");
        }
    }
}
