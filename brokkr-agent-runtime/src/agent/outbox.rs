//! What is to be reported: bounded, and kept until the broker has acknowledged it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use brokkr_core::model::StackId;
use brokkr_core::protocol::{EventReport, StatusReport};
use tokio::sync::Notify;

/// Events kept while the broker is away. Beyond, the oldest go: the newest status says more than they do.
const EVENTS: usize = 5_000;
/// Events and statuses in one report.
const BATCH: usize = 500;

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<EventReport>,
    status: BTreeMap<StackId, StatusReport>,
    held: Option<Vec<StackId>>,
}

/// What waits to be reported.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    /// Wakes the reporter.
    pub(super) ready: Notify,
    /// Set when another process speaks for the agent: this one must not write any more.
    superseded: AtomicBool,
}

/// A part of what waits.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<EventReport>,
    pub(super) status: Vec<StatusReport>,
    pub(super) held: Option<Vec<StackId>>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), ready: Notify::new(), superseded: AtomicBool::new(false) }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn event(&self, event: EventReport) {
        let mut waiting = self.waiting();
        waiting.events.push_back(event);
        if waiting.events.len() > EVENTS {
            waiting.events.pop_front();
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// Only the newest status of a stack matters.
    pub(super) fn status(&self, status: StatusReport) {
        self.waiting().status.insert(status.stack_id, status);
        self.ready.notify_one();
    }

    pub(super) fn held(&self, held: Vec<StackId>) {
        self.waiting().held = Some(held);
        self.ready.notify_one();
    }

    /// Takes what fits into a report; `None` when nothing waits.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut waiting = self.waiting();
        let count = waiting.events.len().min(BATCH);
        let events: Vec<_> = waiting.events.drain(..count).collect();
        let keys: Vec<StackId> = waiting.status.keys().take(BATCH).copied().collect();
        let status: Vec<_> = keys.iter().filter_map(|key| waiting.status.remove(key)).collect();
        let held = waiting.held.take();
        (!events.is_empty() || !status.is_empty() || held.is_some()).then_some(Batch { events, status, held })
    }

    pub(super) fn supersede(&self) {
        self.superseded.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::SeqCst)
    }
}
