//! How long the verdict on a namespace or a definition may be put off.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;

/// How long what goes by itself may hold up the verdict on a namespace or definition; afterwards it counts as there to stay.
const SETTLING: Duration = Duration::from_secs(60);

/// Whether a namespace or a definition may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vacancy {
    /// Nothing of others would go with it.
    Vacant,
    /// Something of others is in it, or may be and cannot be seen; what, in words.
    Occupied(String),
    /// What is in it is about to go, or what is served has changed since it was read: look again before judging.
    Settling(String),
}

/// Since when namespaces and definitions settle.
#[derive(Debug, Default)]
pub(crate) struct Settling(Mutex<HashMap<ObjectRef, Instant>>);

impl Settling {
    /// Bounds how long a verdict is put off.
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
        // Another verdict ends the wait: the next one begins anew.
        assert_eq!(settling.judge(&object, Vacancy::Vacant, now + SETTLING), Vacancy::Vacant);
        assert_eq!(settling.judge(&object, goes(), now + SETTLING), goes());
        assert_eq!(settling.0.lock().map(|it| it.len()).ok(), Some(1));
        let later = now + SETTLING * 12;
        let other = ObjectRef { name: "b".to_owned(), ..object };
        assert_eq!(settling.judge(&other, stays.clone(), later), stays);
        assert_eq!(settling.0.lock().map(|it| it.len()).ok(), Some(0), "what is old is forgotten");
    }
}
