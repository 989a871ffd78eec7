//! What is to be reported: bounded, and kept until the broker has acknowledged it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use brokkr_core::model::{StackId, limits};
use brokkr_core::protocol::{EventReport, StatusReport};
use serde::Serialize;
use tokio::sync::Notify;

use super::spool::EVENTS;
use super::spool::Spool;
/// Events, and likewise statuses, in one report.
const BATCH: usize = limits::REPORT_ENTRIES / 2;
/// Bytes of events, and likewise of statuses, in one report; what is held needs room beside them.
const BATCH_BYTES: usize = limits::REPORT_BYTES / 8;

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
    /// Keeps events over a restart; absent when there is no place for that.
    spool: Option<Spool>,
    /// Wakes the reporter.
    pub(super) ready: Notify,
    /// Wakes the worker: the broker has accepted this process, or refused it.
    pub(super) heard: Notify,
    /// Whether the broker has accepted a report of this process in its present term.
    admitted: AtomicBool,
    /// Set when something was dropped that the broker should know.
    dropped: AtomicBool,
    /// Set when another process speaks for the agent, or it is another cluster's: this one must not write any more.
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
    /// An outbox that begins with what an earlier process could not tell.
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
            self.drop_something();
        }
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
        let count = that_fit(waiting.events.iter());
        let events: Vec<_> = waiting.events.drain(..count).collect();
        let count = that_fit(waiting.status.values());
        let keys: Vec<StackId> = waiting.status.keys().take(count).copied().collect();
        let status: Vec<_> = keys.iter().filter_map(|key| waiting.status.remove(key)).collect();
        let held = waiting.held.take();
        (!events.is_empty() || !status.is_empty() || held.is_some()).then_some(Batch { events, status, held })
    }

    /// Remembers that something was dropped, so that it is told again from what is there.
    pub(super) fn drop_something(&self) {
        self.dropped.store(true, Ordering::SeqCst);
    }

    /// Whether something was dropped since this was asked last.
    pub(super) fn take_dropped(&self) -> bool {
        self.dropped.swap(false, Ordering::SeqCst)
    }

    /// Events that the broker has, or will never take.
    pub(super) fn forget(&self, events: &[EventReport]) {
        if let Some(spool) = &self.spool {
            events.iter().for_each(|event| spool.forget(event.id));
        }
    }

    /// Puts events back that were taken and not told.
    pub(super) fn put_back(&self, events: Vec<EventReport>) {
        let mut waiting = self.waiting();
        for event in events.into_iter().rev() {
            waiting.events.push_front(event);
        }
        waiting.events.truncate(EVENTS);
    }

    /// How many events wait.
    pub(super) fn waiting_events(&self) -> usize {
        self.waiting().events.len()
    }

    /// A new term begins: the broker has not accepted it yet.
    pub(super) fn begin_term(&self) {
        self.admitted.store(false, Ordering::SeqCst);
        self.superseded.store(false, Ordering::SeqCst);
    }

    pub(super) fn admit(&self) {
        if !self.admitted.swap(true, Ordering::SeqCst) {
            self.heard.notify_one();
        }
    }

    /// Whether the broker has accepted that this process speaks for the agent.
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

/// How many of these fit into a report; at least one if there is one.
fn that_fit<T: Serialize>(waiting: impl Iterator<Item = T>) -> usize {
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
        assert_eq!(that_fit(std::iter::empty::<String>()), 0);
        assert_eq!(that_fit(std::iter::repeat_n("small", 10_000)), BATCH);
        let large = "x".repeat(BATCH_BYTES / 3);
        assert_eq!(that_fit(std::iter::repeat_n(&large, 10)), 2);
        let huge = "x".repeat(BATCH_BYTES * 2);
        assert_eq!(that_fit(std::iter::repeat_n(&huge, 10)), 1, "one goes alone, whatever its size");
    }
}
