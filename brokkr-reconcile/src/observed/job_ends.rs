//! Results of Jobs, kept after the Job objects are deleted.
//!
//! A Job may be deleted as soon as it ends (`ttlSecondsAfterFinished: 0`), so that a later read cannot tell whether it
//! completed. The last event of the watch contains its final state.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;
use serde_json::Value;

use crate::cluster::meta;
use crate::health;
use crate::health::JobEnd;

/// How long to wait for the final event of a missing Job, before it counts as deleted by another client.
const EVENT_WAIT: Duration = Duration::from_secs(3);
/// How long a result is kept. The pass after the event moves it to the inventory.
const KEPT: Duration = Duration::from_secs(3600);
/// Maximum number of results. Beyond it, the oldest are dropped.
const CAPACITY: usize = 10_000;

/// The result of a Job whose object is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The Job ended before the deletion.
    Ended(JobEnd),
    /// The Job was deleted before it ended.
    Unfinished,
    /// The final event has not arrived yet.
    Unknown,
}

#[derive(Debug)]
struct Seen {
    end: Option<JobEnd>,
    is_gone: bool,
    at: Instant,
}

/// Results of Jobs by UID.
#[derive(Debug, Default)]
pub(crate) struct JobEnds {
    seen: Mutex<HashMap<String, Seen>>,
}

/// How to run a failed Job again: its template cannot be changed.
pub(crate) const JOB_REMEDY: &str =
    "correct the Job and publish it under another name, or with the policy replace_immutable: true";

pub(crate) fn is_job(object: &ObjectRef) -> bool {
    object.group == "batch" && object.kind == "Job"
}

impl JobEnds {
    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the state of a Job in a watch event.
    pub(crate) fn note(&self, body: &Value, is_gone: bool, now: Instant) {
        let Some(uid) = meta::uid(body) else { return };
        let end = health::job_end(body);
        if end.is_none() && !is_gone {
            return;
        }
        let mut seen = self.seen();
        if seen.len() >= CAPACITY && !seen.contains_key(uid) {
            forget_oldest(&mut seen);
        }
        let one = seen.entry(uid.to_owned()).or_insert(Seen { end: None, is_gone: false, at: now });
        one.is_gone |= is_gone;
        if one.end.is_none() {
            one.end = end;
        }
    }

    /// Returns the result of a Job that a read did not find.
    pub(crate) fn of_gone(&self, uid: &str, now: Instant) -> Gone {
        let mut seen = self.seen();
        // The first read that misses the Job starts the wait for its final event.
        let one = seen.entry(uid.to_owned()).or_insert(Seen { end: None, is_gone: false, at: now });
        match &one.end {
            Some(end) => Gone::Ended(end.clone()),
            None if one.is_gone || now.saturating_duration_since(one.at) >= EVENT_WAIT => Gone::Unfinished,
            None => Gone::Unknown,
        }
    }

    /// Drops results that are too old to be needed.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.seen().retain(|_, one| now.saturating_duration_since(one.at) < KEPT);
    }
}

fn forget_oldest(seen: &mut HashMap<String, Seen>) {
    let oldest = seen.iter().min_by_key(|(_, one)| one.at).map(|(uid, _)| uid.clone());
    if let Some(uid) = oldest {
        seen.remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(uid: &str, condition: Option<&str>) -> Value {
        let conditions: Vec<Value> =
            condition.iter().map(|kind| json!({"type": kind, "status": "True", "reason": "Because"})).collect();
        json!({"metadata": {"uid": uid}, "status": {"conditions": conditions}})
    }

    #[test]
    fn deletion_event_has_the_result_of_the_job() {
        let (ends, now) = (JobEnds::default(), Instant::now());
        ends.note(&job("a", Some("Complete")), false, now);
        ends.note(&job("a", Some("Complete")), true, now);
        ends.note(&job("b", Some("Failed")), true, now);
        ends.note(&job("c", None), true, now);
        ends.note(&job("d", None), false, now);
        assert_eq!(ends.of_gone("a", now), Gone::Ended(JobEnd::Complete));
        assert_eq!(ends.of_gone("b", now), Gone::Ended(JobEnd::Failed("Because".to_owned())));
        assert_eq!(ends.of_gone("c", now), Gone::Unfinished);
        assert_eq!(ends.of_gone("d", now), Gone::Unknown);
    }

    #[test]
    fn missing_job_without_event_is_unfinished_after_timeout() {
        let (ends, now) = (JobEnds::default(), Instant::now());
        assert_eq!(ends.of_gone("a", now), Gone::Unknown);
        assert_eq!(ends.of_gone("a", now + EVENT_WAIT - Duration::from_millis(1)), Gone::Unknown);
        assert_eq!(ends.of_gone("a", now + EVENT_WAIT), Gone::Unfinished);
        ends.note(&job("a", Some("Complete")), true, now + EVENT_WAIT);
        assert_eq!(ends.of_gone("a", now + EVENT_WAIT), Gone::Ended(JobEnd::Complete), "a late event counts");
        ends.forget_old(now + KEPT);
        assert!(ends.seen().is_empty());
    }

    #[test]
    fn oldest_job_ends_are_forgotten_at_capacity() {
        let (ends, now) = (JobEnds::default(), Instant::now());
        for number in 0..=CAPACITY {
            let at = now + Duration::from_millis(u64::try_from(number).expect("small"));
            ends.note(&job(&number.to_string(), Some("Complete")), true, at);
        }
        assert_eq!(ends.seen().len(), CAPACITY);
        assert!(!ends.seen().contains_key("0") && ends.seen().contains_key("1"));
    }
}
