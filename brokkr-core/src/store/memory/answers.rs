//! The answers to requests with an idempotency key.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use serde_json::Value;

use crate::model::{Digest, Timestamp};
use crate::store::{IdempotencyRecord, StoreError, StoreResult, UniqueKey};

/// Records by caller and key. Equal answers share their memory, so that a request which changes nothing costs little,
/// however many keys it is repeated with.
#[derive(Default)]
pub(super) struct Answers {
    of: HashMap<String, OfActor>,
    shared: HashMap<Digest, Weak<Value>>,
}

#[derive(Default)]
struct OfActor {
    kept: HashMap<String, Kept>,
    /// The number of records at which forgotten ones are dropped.
    cleaned_at: usize,
}

struct Kept {
    fingerprint: Digest,
    outcome: Arc<Value>,
    at: Timestamp,
}

impl Answers {
    /// Whether the idempotency key of a record is free.
    pub(super) fn check(&self, record: &IdempotencyRecord) -> StoreResult<()> {
        let there = self.of.get(&record.actor).and_then(|it| it.kept.get(&record.key));
        if there.is_some_and(|there| there.at > IdempotencyRecord::forgotten(record.at)) {
            return Err(StoreError::NotUnique(UniqueKey::IdempotencyKey));
        }
        Ok(())
    }

    /// Keeps a record.
    pub(super) fn keep(&mut self, record: IdempotencyRecord) {
        let IdempotencyRecord { actor, key, fingerprint, outcome, at } = record;
        let digest = Digest::of(outcome.to_string().as_bytes());
        let known = self.shared.get(&digest).and_then(Weak::upgrade);
        let outcome = known.unwrap_or_else(|| {
            let outcome = Arc::new(outcome);
            self.shared.insert(digest, Arc::downgrade(&outcome));
            outcome
        });
        let of_actor = self.of.entry(actor).or_default();
        of_actor.kept.insert(key, Kept { fingerprint, outcome, at });
        // Each record is looked at a constant number of times on average.
        if of_actor.kept.len() > 2 * of_actor.cleaned_at {
            of_actor.kept.retain(|_, there| there.at > IdempotencyRecord::forgotten(at));
            of_actor.cleaned_at = of_actor.kept.len().max(64);
            self.shared.retain(|_, outcome| outcome.strong_count() > 0);
        }
    }

    /// The records of a caller that are not forgotten.
    pub(super) fn count(&self, actor: &str, now: Timestamp) -> usize {
        let forgotten = IdempotencyRecord::forgotten(now);
        self.of.get(actor).map_or(0, |it| it.kept.values().filter(|record| record.at > forgotten).count())
    }

    /// The record under a key, whatever its age.
    pub(super) fn find(&self, actor: &str, key: &str) -> Option<IdempotencyRecord> {
        let Kept { fingerprint, outcome, at } = self.of.get(actor)?.kept.get(key)?;
        let (actor, key) = (actor.to_owned(), key.to_owned());
        Some(IdempotencyRecord { actor, key, fingerprint: *fingerprint, outcome: Value::clone(outcome), at: *at })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn equal_answers_are_kept_once_and_forgotten_ones_dropped() {
        let time = |seconds: u64| Timestamp::new(jiff::Timestamp::UNIX_EPOCH).plus(Duration::from_secs(seconds));
        let record = |n: usize, outcome: &str, seconds: u64| IdempotencyRecord {
            actor: "generator:a".to_owned(),
            key: format!("k{n}"),
            fingerprint: Digest::of(b"request"),
            outcome: json!({"answer": outcome}),
            at: time(seconds),
        };
        let mut answers = Answers::default();
        for n in 0..1000 {
            answers.keep(record(n, "same", 0));
        }
        answers.keep(record(1000, "other", 0));
        assert_eq!((answers.shared.len(), answers.of["generator:a"].kept.len()), (2, 1001));
        assert_eq!(answers.find("generator:a", "k7"), Some(record(7, "same", 0)));
        let later = 25 * 3600;
        for n in 0..1500 {
            answers.keep(record(2000 + n, "later", later));
        }
        assert_eq!(answers.find("generator:a", "k7"), None);
        assert_eq!(answers.shared.len(), 1);
    }
}
