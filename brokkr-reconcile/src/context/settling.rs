//! Bounds how long the decision about a namespace or a definition may be deferred.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;

/// How long objects that are being deleted may defer the decision. Afterwards they count as permanent.
const SETTLING: Duration = Duration::from_secs(60);

/// Whether a namespace or a definition may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vacancy {
    /// Its deletion would delete no objects of others.
    Vacant,
    /// It contains objects of others, or may contain some that cannot be read. The text lists them.
    Occupied(String),
    /// Its objects are being deleted, or discovery has changed since it was read. Decide later.
    Settling(String),
}

/// When namespaces and definitions started to settle.
#[derive(Debug, Default)]
pub(crate) struct Settling(Mutex<HashMap<ObjectRef, Instant>>);

impl Settling {
    /// Converts `Settling` to `Occupied` after the maximum time.
    pub(crate) fn judge(&self, object: &ObjectRef, vacancy: Vacancy, now: Instant) -> Vacancy {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, began| now.saturating_duration_since(*began) < 10 * SETTLING);
        match vacancy {
            Vacancy::Settling(what) => {
                let began = *since.entry(object.clone()).or_insert(now);
                if now.saturating_duration_since(began) < SETTLING {
                    Vacancy::Settling(what)
                } else {
                    Vacancy::Occupied(what)
                }
            }
            verdict => {
                since.remove(object);
                verdict
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settling_ends_after_the_limit() {
        let object =
            ObjectRef { group: String::new(), kind: "Namespace".to_owned(), namespace: None, name: "a".to_owned() };
        let settling = Settling::default();
        let now = Instant::now();
        let goes = || Vacancy::Settling("Pod p".to_owned());
        assert_eq!(settling.judge(&object, goes(), now), goes());
        assert_eq!(settling.judge(&object, goes(), now + SETTLING - Duration::from_millis(1)), goes());
        let stays = Vacancy::Occupied("Pod p".to_owned());
        assert_eq!(settling.judge(&object, goes(), now + SETTLING), stays);
        // Another state ends the wait, so the next wait starts from zero.
        assert_eq!(settling.judge(&object, Vacancy::Vacant, now + SETTLING), Vacancy::Vacant);
        assert_eq!(settling.judge(&object, goes(), now + SETTLING), goes());
        assert_eq!(settling.0.lock().map(|it| it.len()).ok(), Some(1));
        let later = now + SETTLING * 12;
        let other = ObjectRef { name: "b".to_owned(), ..object };
        assert_eq!(settling.judge(&other, stays.clone(), later), stays);
        assert_eq!(settling.0.lock().map(|it| it.len()).ok(), Some(0), "old entries are dropped");
    }
}
