//! Refused and failed attempts, queued for the audit. Equal attempts share one record with a count.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::clock::Clock;
use brokkr_core::entropy::Entropy;
use brokkr_core::model::{ActorRef, AuditOutcome, AuditRecord, EntityKey, Timestamp, limits};

use crate::error::BrokerError;
use crate::origin::Origin;

/// The period of [`limits::DENIALS_PER_ACTOR`] and [`limits::DENIALS_ANONYMOUS`].
const PERIOD: Duration = Duration::from_secs(60);

/// Who made an attempt, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) actor: ActorRef,
    pub(crate) subject: Option<&'a str>,
    pub(crate) origin: &'a Origin,
}

/// Attempts with equal fields share one audit record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    actor: ActorRef,
    action: &'static str,
    object: Option<EntityKey>,
    problem: Cow<'static, str>,
    source: Option<IpAddr>,
}

/// What takes the place of the action of attempts of too many kinds.
const VARIOUS: &str = "various";

/// Queue of attempts. Bounded in memory and in the rows that it writes. Beyond its share of records, the attempts of an actor
/// are counted by source, action and problem; if those are too many, by action and problem; and then altogether. Sums are
/// written once a minute. No attempt loses its actor, and the counts are exact: there are never more actors than keys.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    queue: Mutex<Queue>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<Kind, AuditRecord>,
    /// Attempts beyond the shares, without their objects. Written when the period ends.
    summed: BTreeMap<Kind, AuditRecord>,
    /// The sums of each actor.
    sums: HashMap<ActorRef, usize>,
    /// New records of each actor in this period.
    spent: HashMap<ActorRef, usize>,
    period_began: Timestamp,
}

impl Queue {
    /// The records that an actor may still add in this period.
    fn has_share(&self, actor: ActorRef) -> bool {
        let share = if actor == ActorRef::Anonymous { limits::DENIALS_ANONYMOUS } else { limits::DENIALS_PER_ACTOR };
        self.waiting.len() < limits::DENIALS_QUEUED && self.spent.get(&actor).is_none_or(|spent| *spent < share)
    }

    /// Adds a record, or its count to the record of equal attempts.
    fn add(&mut self, kind: Kind, record: AuditRecord) {
        if let Some(there) = self.waiting.get_mut(&kind) {
            there.count += record.count;
        } else if self.has_share(kind.actor) {
            *self.spent.entry(kind.actor).or_default() += 1;
            self.waiting.insert(kind, record);
        } else {
            self.sum_up(kind, record);
        }
    }

    fn sum_up(&mut self, mut kind: Kind, mut record: AuditRecord) {
        kind.object = None;
        (record.object_kind, record.object_id) = (None, None);
        if !self.has_sum(&kind) {
            (kind.source, record.source) = (None, None);
        }
        if !self.has_sum(&kind) {
            let problem = if record.outcome == AuditOutcome::Denied { "various denials" } else { "various failures" };
            (kind.action, kind.problem) = (VARIOUS, problem.into());
            (record.action, record.detail) = (VARIOUS.to_owned(), Some(problem.to_owned()));
        }
        let actor = kind.actor;
        match self.summed.entry(kind) {
            Entry::Occupied(mut there) => there.get_mut().count += record.count,
            Entry::Vacant(place) => {
                place.insert(record);
                *self.sums.entry(actor).or_default() += 1;
            }
        }
    }

    /// Whether there is a sum for these attempts, or room for one. Half of an actor's sums are kept for attempts without source.
    fn has_sum(&self, kind: &Kind) -> bool {
        let most = if kind.source.is_some() { limits::DENIALS_PER_ACTOR / 2 } else { limits::DENIALS_PER_ACTOR };
        let is_free = || self.sums.get(&kind.actor).is_none_or(|sums| *sums < most);
        self.summed.contains_key(kind) || self.summed.len() < limits::DENIALS_QUEUED && is_free()
    }

    /// Begins a new period if this one has ended. Sums are written then.
    fn turn(&mut self, now: Timestamp) -> bool {
        let ended = now.since(self.period_began) >= PERIOD;
        if ended {
            self.spent.clear();
            self.period_began = now;
        }
        ended
    }
}

impl AttemptLog {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let queue = Queue {
            waiting: BTreeMap::new(),
            summed: BTreeMap::new(),
            sums: HashMap::new(),
            spent: HashMap::new(),
            period_began: clock.now(),
        };
        Self { queue: Mutex::new(queue), clock, entropy }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, by: By<'_>, action: &'static str, object: Option<EntityKey>, error: &BrokerError) {
        let outcome = match error {
            BrokerError::Unauthenticated
            | BrokerError::Forbidden
            | BrokerError::NotFound
            | BrokerError::AgentRetired => AuditOutcome::Denied,
            _ => AuditOutcome::Failed,
        };
        self.record_problem(by, action, object, error.slug().into(), outcome);
    }

    /// Records an attempt with a problem text. Callers use few distinct texts, because each makes a separate record.
    pub(crate) fn record_problem(
        &self,
        by: By<'_>,
        action: &'static str,
        object: Option<EntityKey>,
        problem: Cow<'static, str>,
        outcome: AuditOutcome,
    ) {
        let now = self.clock.now();
        let record = AuditRecord {
            id: self.entropy.uuid(now).into(),
            at: now,
            actor: by.actor,
            subject: by.subject.map(str::to_owned),
            action: action.to_owned(),
            object_kind: object.as_ref().map(EntityKey::kind),
            object_id: object.as_ref().map(EntityKey::to_string),
            request_id: by.origin.request_id,
            source: by.origin.address.map(|address| address.to_string()),
            outcome,
            detail: Some(problem.clone().into_owned()),
            changes: None,
            count: 1,
        };
        let kind = Kind { actor: by.actor, action, object, problem, source: by.origin.address };
        self.queue().add(kind, record);
    }

    /// Takes the queued records; the sums only when their period has ended, or with `all`.
    pub(crate) fn take(&self, all: bool) -> BTreeMap<Kind, AuditRecord> {
        let now = self.clock.now();
        let mut queue = self.queue();
        let mut records = std::mem::take(&mut queue.waiting);
        if queue.turn(now) || all {
            queue.sums.clear();
            for (kind, record) in std::mem::take(&mut queue.summed) {
                match records.entry(kind) {
                    Entry::Occupied(mut there) => there.get_mut().count += record.count,
                    Entry::Vacant(place) => drop(place.insert(record)),
                }
            }
        }
        records
    }

    /// Returns records that could not be written to the queue and adds up the counts.
    pub(crate) fn put_back(&self, records: BTreeMap<Kind, AuditRecord>) {
        let mut queue = self.queue();
        for (kind, record) in records {
            if let Some(there) = queue.waiting.get_mut(&kind) {
                there.count += record.count;
            } else if queue.waiting.len() < limits::DENIALS_QUEUED {
                queue.waiting.insert(kind, record);
            } else {
                queue.sum_up(kind, record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::ManualClock;
    use brokkr_core::entropy::SystemEntropy;
    use brokkr_core::model::StackId;

    use super::*;

    fn log() -> (AttemptLog, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(brokkr_core::clock::SystemClock.now()));
        (AttemptLog::new(clock.clone(), Arc::new(SystemEntropy)), clock)
    }

    fn at(address: &str) -> Origin {
        Origin { address: Some(address.parse().expect("an address")), ..Origin::in_process() }
    }

    fn by(actor: ActorRef, origin: &Origin) -> By<'_> {
        By { actor, subject: None, origin }
    }

    fn total<'a>(records: impl IntoIterator<Item = &'a AuditRecord>) -> u64 {
        records.into_iter().map(|it| it.count).sum()
    }

    #[test]
    fn sources_are_recorded_apart() {
        let (log, _) = log();
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
            log.record(by(ActorRef::Anonymous, &at(address)), "authenticate", None, &BrokerError::Unauthenticated);
        }
        let records = log.take(false);
        let counts: Vec<_> = records.values().map(|it| (it.source.as_deref(), it.count)).collect();
        assert_eq!(counts, [(Some("192.0.2.1"), 2), (Some("192.0.2.2"), 1)]);
    }

    #[test]
    fn actor_beyond_its_share_keeps_its_name_and_adds_one_record_a_minute() {
        let (log, clock) = log();
        let origin = Origin::in_process();
        let flood = by(ActorRef::System, &origin);
        let mut written = Vec::new();
        for _ in 0..20 {
            for _ in 0..200 {
                let object = Some(EntityKey::Stack(StackId::generate()));
                log.record(flood, "stack.read", object, &BrokerError::Forbidden);
            }
            written.extend(log.take(false).into_values());
        }
        assert_eq!(written.len(), limits::DENIALS_PER_ACTOR);
        log.record(by(ActorRef::Anonymous, &at("192.0.2.1")), "authenticate", None, &BrokerError::Unauthenticated);
        let others: Vec<_> = log.take(false).into_values().collect();
        assert_eq!(others[0].source.as_deref(), Some("192.0.2.1"), "the flood does not cost others their records");
        clock.advance(PERIOD);
        let sums: Vec<_> = log.take(false).into_values().collect();
        assert_eq!((sums.len(), sums[0].actor, &sums[0].object_id), (1, ActorRef::System, &None));
        assert_eq!(total(&written) + total(&sums), 4_000, "every attempt is counted");
        log.record(flood, "stack.read", Some(EntityKey::Stack(StackId::generate())), &BrokerError::Forbidden);
        assert_eq!(log.take(false).len(), 1, "a new period has a new share");
    }

    #[test]
    fn sources_and_kinds_beyond_every_share_are_counted_under_the_actor() {
        let (log, clock) = log();
        let problems: Vec<String> = (0..3 * limits::DENIALS_PER_ACTOR).map(|n| format!("problem {n}")).collect();
        let agent = ActorRef::Agent { id: brokkr_core::model::AgentId::generate(), key_id: None };
        let mut made = 0;
        for (n, problem) in problems.iter().cycle().take(2_000).enumerate() {
            let origin = at(&format!("10.0.{}.{}", n / 250, n % 250));
            let actor = if n % 4 == 0 { ActorRef::Anonymous } else { agent };
            made += u64::from(actor == agent);
            log.record_problem(by(actor, &origin), "request", None, problem.clone().into(), AuditOutcome::Failed);
        }
        clock.advance(PERIOD);
        let records = log.take(false);
        let of_agent: Vec<_> = records.values().filter(|it| it.actor == agent).collect();
        assert_eq!(total(of_agent.iter().copied()), made, "every attempt is counted under its actor");
        assert_eq!(total(records.values()), 2_000);
        assert!(of_agent.len() <= 2 * limits::DENIALS_PER_ACTOR + 1, "{}", of_agent.len());
        let sums = of_agent.iter().filter(|it| it.count > 1).collect::<Vec<_>>();
        assert!(sums.iter().any(|it| it.action == VARIOUS), "{sums:?}");
        assert!(log.take(true).is_empty());
    }

    #[test]
    fn sum_keeps_the_source_of_a_flood() {
        let (log, clock) = log();
        for n in 0..2 * limits::DENIALS_PER_ACTOR {
            let object = Some(EntityKey::Stack(StackId::generate()));
            let origin = at(if n % 2 == 0 { "192.0.2.1" } else { "192.0.2.2" });
            log.record(by(ActorRef::System, &origin), "stack.read", object, &BrokerError::Forbidden);
        }
        drop(log.take(false));
        clock.advance(PERIOD);
        let sums = log.take(false);
        let counts: Vec<_> = sums.values().map(|it| (it.source.as_deref(), it.count)).collect();
        assert_eq!(counts, [(Some("192.0.2.1"), 50), (Some("192.0.2.2"), 50)]);
    }

    #[test]
    fn full_queue_counts_everything_and_stays_bounded() {
        let (log, _) = log();
        let origin = Origin::in_process();
        let actors: Vec<_> = (0..3 * limits::DENIALS_QUEUED)
            .map(|_| ActorRef::Admin { key_id: brokkr_core::model::KeyId::generate() })
            .collect();
        for (n, actor) in actors.iter().copied().enumerate() {
            log.record(by(actor, &origin), "stack.read", None, &BrokerError::Forbidden);
            if n % 700 == 0 {
                log.put_back(log.take(false));
            }
        }
        let records = log.take(true);
        assert!(records.len() <= actors.len(), "{}", records.len());
        assert!(records.values().all(|it| actors.contains(&it.actor)), "every attempt keeps its actor");
        assert_eq!(total(records.values()), 3 * limits::DENIALS_QUEUED as u64);
    }
}
