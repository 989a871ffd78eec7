//! The outbox: events and statuses to report. Bounded, and kept until the broker acknowledges them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use brokkr_core::model::{StackId, limits};
use brokkr_core::protocol::{EventReport, StatusReport};
use serde::Serialize;
use tokio::sync::Notify;

use super::spool::EVENTS;
use super::spool::Spool;
/// Maximum number of events, and of statuses, in one report.
const BATCH: usize = limits::REPORT_ENTRIES / 2;
/// Maximum bytes of events, and of statuses, in one report. Leaves room for the list of held stacks.
const BATCH_BYTES: usize = limits::REPORT_BYTES / 8;

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<EventReport>,
    status: BTreeMap<StackId, StatusReport>,
    held: Option<Vec<StackId>>,
}

/// Events and statuses that wait for a report.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    /// Keeps events across restarts; absent without a folder.
    spool: Option<Spool>,
    /// Wakes the reporter.
    pub(super) ready: Notify,
    /// Wakes the worker after the broker accepted or refused this process.
    pub(super) heard: Notify,
    /// Whether the broker has accepted a report of this process in its current term.
    admitted: AtomicBool,
    /// Whether something was dropped that the agent must report again.
    dropped: AtomicBool,
    /// Whether the broker refused this process: another one represents the agent, or the cluster is a different one. This
    /// process must stop writing.
    superseded: AtomicBool,
}

/// The part of the outbox that one report contains.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<EventReport>,
    pub(super) status: Vec<StatusReport>,
    pub(super) held: Option<Vec<StackId>>,
}

impl Outbox {
    /// Creates an outbox that starts with the unreported events of an earlier process.
    pub(super) fn new(spool: Option<Spool>) -> Self {
        let events = spool.as_ref().map(Spool::load).unwrap_or_default();
        Self {
            waiting: Mutex::new(Waiting { events: events.into(), ..Waiting::default() }),
            spool,
            ready: Notify::new(),
            heard: Notify::new(),
            admitted: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            superseded: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn event(&self, event: EventReport) {
        if let Some(spool) = &self.spool {
            spool.keep(&event);
        }
        let mut waiting = self.waiting();
        waiting.events.push_back(event);
        let surplus = if waiting.events.len() > EVENTS { waiting.events.pop_front() } else { None };
        drop(waiting);
        if let Some(surplus) = surplus {
            self.forget(&[surplus]);
            self.note_dropped();
        }
        self.ready.notify_one();
    }

    /// Adds a status. Replaces an older status of the same stack.
    pub(super) fn status(&self, status: StatusReport) {
        self.waiting().status.insert(status.stack_id, status);
        self.ready.notify_one();
    }

    pub(super) fn held(&self, held: Vec<StackId>) {
        self.waiting().held = Some(held);
        self.ready.notify_one();
    }

    /// Takes the items that fit into one report; `None` if the outbox is empty.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut waiting = self.waiting();
        let count = count_that_fits(waiting.events.iter());
        let events: Vec<_> = waiting.events.drain(..count).collect();
        let count = count_that_fits(waiting.status.values());
        let keys: Vec<StackId> = waiting.status.keys().take(count).copied().collect();
        let status: Vec<_> = keys.iter().filter_map(|key| waiting.status.remove(key)).collect();
        let held = waiting.held.take();
        (!events.is_empty() || !status.is_empty() || held.is_some()).then_some(Batch { events, status, held })
    }

    /// Records that something was dropped, so that the worker reports the current state again.
    pub(super) fn note_dropped(&self) {
        self.dropped.store(true, Ordering::SeqCst);
    }

    /// Whether something was dropped since the last call.
    pub(super) fn take_dropped(&self) -> bool {
        self.dropped.swap(false, Ordering::SeqCst)
    }

    /// Removes events that the broker acknowledged or rejected.
    pub(super) fn forget(&self, events: &[EventReport]) {
        if let Some(spool) = &self.spool {
            events.iter().for_each(|event| spool.forget(event.id));
        }
    }

    /// Puts back events that were taken but not reported.
    pub(super) fn put_back(&self, events: Vec<EventReport>) {
        let mut waiting = self.waiting();
        for event in events.into_iter().rev() {
            waiting.events.push_front(event);
        }
        waiting.events.truncate(EVENTS);
    }

    /// Returns the number of waiting events.
    pub(super) fn waiting_events(&self) -> usize {
        self.waiting().events.len()
    }

    /// Starts a new term, which the broker has not accepted yet.
    pub(super) fn begin_term(&self) {
        self.admitted.store(false, Ordering::SeqCst);
        self.superseded.store(false, Ordering::SeqCst);
    }

    pub(super) fn admit(&self) {
        if !self.admitted.swap(true, Ordering::SeqCst) {
            self.heard.notify_one();
        }
    }

    /// Whether the broker has accepted this process in the current term.
    pub(super) fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::SeqCst)
    }

    pub(super) fn supersede(&self) {
        self.superseded.store(true, Ordering::SeqCst);
        self.heard.notify_one();
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::SeqCst)
    }
}

/// Returns how many items fit into one report: at least one, if there is any.
fn count_that_fits<T: Serialize>(waiting: impl Iterator<Item = T>) -> usize {
    let mut bytes = 0;
    let fits = |item: &T| {
        bytes += serde_json::to_vec(item).map_or(0, |text| text.len());
        bytes <= BATCH_BYTES
    };
    let mut waiting = waiting.take(BATCH).peekable();
    let some = usize::from(waiting.peek().is_some());
    waiting.take_while(fits).count().max(some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_bounded_in_count_and_bytes() {
        assert_eq!(count_that_fits(std::iter::empty::<String>()), 0);
        assert_eq!(count_that_fits(std::iter::repeat_n("small", 10_000)), BATCH);
        let large = "x".repeat(BATCH_BYTES / 3);
        assert_eq!(count_that_fits(std::iter::repeat_n(&large, 10)), 2);
        let huge = "x".repeat(BATCH_BYTES * 2);
        assert_eq!(count_that_fits(std::iter::repeat_n(&huge, 10)), 1, "a single item of any size fits");
    }
}
