//! Bounds how long the decision about a namespace or a definition may be deferred.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;

/// How long objects that are being deleted may defer the decision. Afterwards they count as permanent.
const SETTLING: Duration = Duration::from_secs(60);

/// When namespaces and definitions started to settle.
#[derive(Debug, Default)]
pub(crate) struct Settling(Mutex<HashMap<ObjectRef, Instant>>);

impl Settling {
    /// Notes whether an object is settling now, and returns whether that has lasted for the maximum time.
    pub(crate) fn is_overdue(&self, object: &ObjectRef, is_settling: bool, now: Instant) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, began| now.saturating_duration_since(*began) < 10 * SETTLING);
        if !is_settling {
            since.remove(object);
            return false;
        }
        let began = *since.entry(object.clone()).or_insert(now);
        now.saturating_duration_since(began) >= SETTLING
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
        assert!(!settling.is_overdue(&object, true, now));
        assert!(!settling.is_overdue(&object, true, now + SETTLING - Duration::from_millis(1)));
        assert!(settling.is_overdue(&object, true, now + SETTLING));
        // Another state ends the wait, so the next wait starts from zero.
        assert!(!settling.is_overdue(&object, false, now + SETTLING));
        assert!(!settling.is_overdue(&object, true, now + SETTLING));
        assert_eq!(settling.0.lock().map(|it| it.len()).ok(), Some(1));
        let later = now + SETTLING * 12;
        let other = ObjectRef { name: "b".to_owned(), ..object };
        assert!(!settling.is_overdue(&other, false, later));
        assert_eq!(settling.0.lock().map(|it| it.len()).ok(), Some(0), "old entries are dropped");
    }
}
