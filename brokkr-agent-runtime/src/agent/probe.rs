//! The agent's own readiness and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use brokkr_reconcile::StackOutcome;

/// Failed passes in a row after which the agent is not ready.
const FAILURES: u32 = 3;

#[derive(Debug, Default)]
struct State {
    introduced: AtomicBool,
    leading: AtomicBool,
    answered: AtomicBool,
    failures: AtomicU32,
}

/// Reports the readiness of an agent, for example to a kubelet probe. Clones report the same agent.
#[derive(Debug, Clone, Default)]
pub struct Probe(Arc<State>);

impl Probe {
    /// Whether the agent works: it has identified itself to the broker, and either stands by while another replica leads,
    /// or leads with a usable target state and a working cluster. Also false after several failed passes in a row.
    pub fn is_ready(&self) -> bool {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let works = is(&self.0.answered) && self.0.failures.load(Ordering::Relaxed) < FAILURES;
        is(&self.0.introduced) && (!is(&self.0.leading) || works)
    }

    /// Whether this process leads among the replicas of its agent.
    pub fn is_leading(&self) -> bool {
        self.0.leading.load(Ordering::Relaxed)
    }

    pub(super) fn introduced(&self) {
        self.0.introduced.store(true, Ordering::Relaxed);
    }

    pub(super) fn leads(&self, leads: bool) {
        self.0.leading.store(leads, Ordering::Relaxed);
        metrics::gauge!("brokkr_agent_leading").set(f64::from(u8::from(leads)));
    }

    /// Records a poll and its result.
    pub(super) fn polled(&self, result: &'static str) {
        metrics::counter!("brokkr_agent_polls_total", "result" => result).increment(1);
        match result {
            "changed" | "unchanged" => self.0.answered.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Records a pass that ended or could not start.
    pub(super) fn passed(&self, worked: bool) {
        metrics::counter!("brokkr_agent_passes_total", "result" => if worked { "done" } else { "failed" }).increment(1);
        if worked {
            self.0.failures.store(0, Ordering::Relaxed);
        } else {
            self.0.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records the outcome of a stack.
    pub(super) fn worked(&self, outcome: &StackOutcome) {
        metrics::counter!("brokkr_agent_writes_total").increment(outcome.writes as u64);
        metrics::counter!("brokkr_agent_drift_corrected_total").increment(outcome.corrected.len() as u64);
    }
}
