//! How the agent itself fares, for whoever asks: probes and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use brokkr_reconcile::StackOutcome;

/// Passes that may fail in a row before an agent counts as not ready.
const FAILURES: u32 = 3;

#[derive(Debug, Default)]
struct State {
    introduced: AtomicBool,
    leading: AtomicBool,
    answered: AtomicBool,
    failures: AtomicU32,
}

/// How an agent fares. Clones tell of the same agent.
#[derive(Debug, Clone, Default)]
pub struct Probe(Arc<State>);

impl Probe {
    /// Whether the agent does its work: it knows who it is, and either stands by while another replica leads, or leads, has a
    /// usable target state, and can work on its cluster.
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

    /// The broker was asked for the target state.
    pub(super) fn polled(&self, result: &'static str) {
        metrics::counter!("brokkr_agent_polls_total", "result" => result).increment(1);
        match result {
            "changed" | "unchanged" => self.0.answered.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    /// A pass ended, or could not begin.
    pub(super) fn passed(&self, worked: bool) {
        metrics::counter!("brokkr_agent_passes_total", "result" => if worked { "done" } else { "failed" }).increment(1);
        if worked {
            self.0.failures.store(0, Ordering::Relaxed);
        } else {
            self.0.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What came of a stack.
    pub(super) fn worked(&self, outcome: &StackOutcome) {
        metrics::counter!("brokkr_agent_writes_total").increment(outcome.writes as u64);
        metrics::counter!("brokkr_agent_drift_corrected_total").increment(outcome.corrected.len() as u64);
    }
}
