//! Metrics of a broker, through the `metrics` facade: the host installs a recorder; without one the calls do nothing.

use std::time::Duration;

use brokkr_core::protocol::PollAnswer;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::error::{BrokerError, BrokerResult};

const POLLS: &str = "brokkr_polls_total";
const COMMITS: &str = "brokkr_commits_total";
pub(crate) const POLLS_WAITING: &str = "brokkr_polls_waiting";
const CONTROLLER_HOLDER: &str = "brokkr_controller_holder";
const CONTROLLER_QUEUE: &str = "brokkr_controller_queue";
const CONTROLLER_RUNS: &str = "brokkr_controller_runs_total";
const CONTROLLER_DURATION: &str = "brokkr_controller_duration_seconds";
const CONTROLLER_LAG: &str = "brokkr_controller_lag_seconds";
const JOINS: &str = "brokkr_joins_total";
pub(crate) const VIEW_AGE: &str = "brokkr_view_age_seconds";
pub(crate) const VIEW_GENERATION: &str = "brokkr_view_generation";
pub(crate) const VIEW_ENTITIES: &str = "brokkr_view_entities";
pub(crate) const ADMIN_KEY_EXPIRES: &str = "brokkr_admin_key_expires_seconds";

/// Registers the descriptions of the metrics. Called once, at the start.
pub(crate) fn describe() {
    describe_counter!(POLLS, "Polls by result");
    describe_gauge!(POLLS_WAITING, "Polls that wait for a change");
    describe_counter!(COMMITS, "Commits by operation and outcome (committed, lost, failed)");
    describe_counter!(JOINS, "Joins of agents by outcome (created, repeated, refused, failed)");
    describe_gauge!(CONTROLLER_HOLDER, "1 if this replica runs the controller");
    describe_gauge!(CONTROLLER_QUEUE, "Keys that wait for their turn");
    describe_counter!(CONTROLLER_RUNS, "Runs of controllers by outcome (idle, commanded, paced, failed, fenced)");
    describe_histogram!(CONTROLLER_DURATION, Unit::Seconds, "Duration of a controller's run for one key");
    describe_histogram!(CONTROLLER_LAG, Unit::Seconds, "Time that keys wait for their turn");
    describe_gauge!(VIEW_AGE, Unit::Seconds, "Age of the fleet view; above 3 s polls are refused");
    describe_gauge!(VIEW_GENERATION, "Generation that this replica's fleet view has reached");
    describe_gauge!(
        ADMIN_KEY_EXPIRES,
        Unit::Seconds,
        "Time until the last admin key expires: infinite without an expiry time, 0 without a usable key"
    );
    describe_gauge!(VIEW_ENTITIES, "Agents and stacks in the fleet view");
}

/// The metrics of one controller.
pub(crate) struct ControllerMetrics {
    name: String,
    leads: Gauge,
    queue: Gauge,
    lag: Histogram,
}

impl ControllerMetrics {
    pub(crate) fn new(name: &str) -> Self {
        let name = name.to_owned();
        let metrics = Self {
            leads: gauge!(CONTROLLER_HOLDER, "controller" => name.clone()),
            queue: gauge!(CONTROLLER_QUEUE, "controller" => name.clone()),
            lag: histogram!(CONTROLLER_LAG, "controller" => name.clone()),
            name,
        };
        metrics.leads(false);
        metrics
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(if leads { 1.0 } else { 0.0 });
        if !leads {
            self.queue.set(0.0);
        }
    }

    pub(crate) fn queued(&self, keys: usize) {
        self.queue.set(keys as f64);
    }

    /// Counts the time that a key waited for its turn.
    pub(crate) fn waited(&self, time: Duration) {
        self.lag.record(time.as_secs_f64());
    }

    pub(crate) fn ran(&self, outcome: &'static str, time: Duration) {
        counter!(CONTROLLER_RUNS, "controller" => self.name.clone(), "outcome" => outcome).increment(1);
        histogram!(CONTROLLER_DURATION, "controller" => self.name.clone()).record(time.as_secs_f64());
    }
}

/// Counts polls by result. The metric handles are cached, because a lookup by labels costs about as much as a poll.
pub(crate) struct PollCounters {
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
    pub(crate) fn polled(&self, result: &BrokerResult<PollAnswer>) {
        let counter = match result {
            Ok(PollAnswer::Changed(_)) => &self.changed,
            Ok(PollAnswer::Unchanged { .. }) => &self.unchanged,
            Err(BrokerError::Stale) => &self.stale,
            Err(_) => &self.refused,
        };
        counter.increment(1);
    }
}

pub(crate) fn joined(outcome: &'static str) {
    counter!(JOINS, "outcome" => outcome).increment(1);
}

pub(crate) fn committed(operation: &'static str, outcome: &'static str) {
    counter!(COMMITS, "operation" => operation, "outcome" => outcome).increment(1);
}
