//! Classes of work: how many requests of each kind are served at once.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use brokkr_control::{Part, Share, Shares};
use brokkr_core::model::{ActorRef, limits};
use metrics::{Counter, Gauge, counter, gauge};

use super::problem::Problem;
use crate::api::{ExceededLimit, ProblemType};

/// A class of work. Each has its own limit of requests that are served at once, and its own bounded queue, so that no class can keep
/// another one waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkClass {
    /// Requests of agents: polls, reports, and the manifests that they fetch.
    Agents,
    /// Reads of single entities.
    Reads,
    /// Requests that change something.
    Writes,
    /// Lists and feeds, of which a single one can read much.
    Lists,
}

impl WorkClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Agents, Self::Reads, Self::Writes, Self::Lists];

    /// The name in metrics and, after `concurrent-`, in problems.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Lists => "lists",
        }
    }

    /// The name of the class's limit in problems and metrics.
    const fn limit_name(self) -> &'static str {
        match self {
            Self::Agents => "concurrent-agents",
            Self::Reads => "concurrent-reads",
            Self::Writes => "concurrent-writes",
            Self::Lists => "concurrent-lists",
        }
    }

    /// The class of an operation. An agent's requests have a class of their own, whatever the operation.
    pub(super) fn of(route: &str, method: &Method, has_pages: bool) -> Self {
        if route.ends_with("/target-state") || route.ends_with("/reports") {
            Self::Agents
        } else if method.is_safe() && has_pages {
            Self::Lists
        } else if method.is_safe() || route.ends_with("/auth/pak") {
            Self::Reads
        } else {
            Self::Writes
        }
    }
}

/// How many requests of each class are served at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtOnce([usize; 4]);

impl Default for AtOnce {
    fn default() -> Self {
        Self([
            limits::CONCURRENT_AGENT_REQUESTS,
            limits::CONCURRENT_READS,
            limits::CONCURRENT_WRITES,
            limits::CONCURRENT_LISTS,
        ])
    }
}

impl AtOnce {
    pub(super) fn set(&mut self, class: WorkClass, requests: usize) {
        if let Some(of_class) = self.0.get_mut(class as usize) {
            *of_class = requests.max(1);
        }
    }
}

/// The places of all classes of one server.
#[derive(Debug)]
pub(super) struct Classes([Places; 4]);

#[derive(Debug)]
struct Places {
    class: WorkClass,
    most: usize,
    places: Arc<Shares>,
    in_flight: Gauge,
    refused: Counter,
}

/// The place of one request. Frees it when dropped.
#[derive(Debug)]
pub(super) struct Entered {
    in_flight: Gauge,
    _place: Share,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
    }
}

impl Classes {
    pub(super) fn new(at_once: AtOnce) -> Self {
        Self(WorkClass::ALL.map(|class| {
            let most = at_once.0.get(class as usize).copied().unwrap_or(1);
            Places {
                class,
                most,
                // A slow client can keep its place for long, so no caller gets more than half.
                places: Shares::new(most, Part::Half, Duration::from_millis(limits::CLASS_WAIT_MILLIS)),
                in_flight: gauge!(super::meter::IN_FLIGHT, "class" => class.name()),
                refused: counter!(super::meter::REFUSED, "limit" => class.limit_name()),
            }
        }))
    }

    /// Waits for a place. Fails if the class stays full, or if its queue is.
    pub(super) async fn enter(&self, class: WorkClass, caller: ActorRef) -> Result<Entered, Problem> {
        let Some(of_class) = self.0.get(class as usize) else {
            return Err(Problem::new(ProblemType::Overloaded));
        };
        match of_class.places.acquire(caller, 1).await {
            Ok(place) => {
                of_class.in_flight.increment(1.0);
                Ok(Entered { in_flight: of_class.in_flight.clone(), _place: place })
            }
            Err(_) => Err(of_class.refusal()),
        }
    }
}

impl Places {
    fn refusal(&self) -> Problem {
        self.refused.increment(1);
        let limit = ExceededLimit { name: self.class.limit_name().to_owned(), maximum: self.most as u64, used: None };
        let detail = format!(
            "the broker serves at most {} {} at once, of one key at most half of them; retry after the delay in the Retry-After \
             header",
            self.most,
            match self.class {
                WorkClass::Agents => "requests of agents",
                class => class.name(),
            }
        );
        Problem::new(ProblemType::Overloaded).detail(detail).limit(limit).retry_after(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use brokkr_core::model::KeyId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn full_class_refuses_its_own_requests_only() {
        let mut at_once = AtOnce::default();
        at_once.set(WorkClass::Lists, 2);
        let classes = Classes::new(at_once);
        let caller = || ActorRef::Admin { key_id: KeyId::generate() };
        let (one, other) = (caller(), caller());
        let first = classes.enter(WorkClass::Lists, one).await.unwrap();
        let refused = classes.enter(WorkClass::Lists, one).await.unwrap_err();
        assert_eq!(refused.document().limit.unwrap().name, "concurrent-lists", "one caller has half");
        let _second = classes.enter(WorkClass::Lists, other).await.unwrap();
        assert!(classes.enter(WorkClass::Lists, caller()).await.is_err());
        for class in [WorkClass::Agents, WorkClass::Reads, WorkClass::Writes] {
            assert!(classes.enter(class, one).await.is_ok(), "{class:?}");
        }
        drop(first);
        assert!(classes.enter(WorkClass::Lists, caller()).await.is_ok());
    }
}
