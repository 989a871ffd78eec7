//! What a broker tells about itself, through the `metrics` facade: the host chooses where it goes, and without a recorder
//! nothing is done.

use metrics::{Counter, Unit, counter, describe_counter, describe_gauge, gauge};

use super::{Broker, BrokerError, BrokerResult};
use crate::protocol::Poll;

const POLLS: &str = "brokkr_polls_total";
const COMMITS: &str = "brokkr_commits_total";
const VIEW_AGE: &str = "brokkr_view_age_seconds";
const VIEW_GENERATION: &str = "brokkr_view_generation";
const VIEW_ENTITIES: &str = "brokkr_view_entities";

/// Says what the numbers mean; once, at the start.
pub(super) fn describe() {
    describe_counter!(POLLS, "Polls of agents by result");
    describe_counter!(COMMITS, "Decisions that were committed, or lost their race, by operation");
    describe_gauge!(VIEW_AGE, Unit::Seconds, "Age of what polls are answered from; above 3 they are refused");
    describe_gauge!(VIEW_GENERATION, "How far this replica has read");
    describe_gauge!(VIEW_ENTITIES, "Agents and stacks in the view");
}

/// Counts polls by result. The handles are kept: to find one by its labels costs about as much as a poll.
pub(super) struct PollCounters {
    changed: Counter,
    unchanged: Counter,
    stale: Counter,
    refused: Counter,
}

impl Default for PollCounters {
    fn default() -> Self {
        let of = |result: &'static str| counter!(POLLS, "result" => result);
        Self { changed: of("changed"), unchanged: of("unchanged"), stale: of("stale"), refused: of("refused") }
    }
}

impl PollCounters {
    pub(super) fn polled(&self, result: &BrokerResult<Poll>) {
        let counter = match result {
            Ok(Poll::Changed(_)) => &self.changed,
            Ok(Poll::Unchanged { .. }) => &self.unchanged,
            Err(BrokerError::Stale) => &self.stale,
            Err(_) => &self.refused,
        };
        counter.increment(1);
    }
}

pub(super) fn committed(operation: &'static str, outcome: &'static str) {
    counter!(COMMITS, "operation" => operation, "outcome" => outcome).increment(1);
}

impl Broker {
    /// Brings the gauges up to date: to be called before they are read.
    pub async fn observe(&self) {
        let view = &self.parts.view;
        gauge!(VIEW_AGE).set(view.age().as_secs_f64());
        gauge!(VIEW_GENERATION).set(view.token().generation().get() as f64);
        let (agents, stacks) = view.counts();
        gauge!(VIEW_ENTITIES, "kind" => "agent").set(agents as f64);
        gauge!(VIEW_ENTITIES, "kind" => "stack").set(stacks as f64);
        self.parts.store.observe().await;
    }
}
