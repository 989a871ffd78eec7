//! What the worker remembers of each stack, and what of it is worth telling.

use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{
    Condition, ConditionStatus, DeploymentObjectId, EventAction, EventId, Health, ObjectRef, Revision, StackId,
    Timestamp, limits, shorten,
};
use brokkr_core::protocol::{EventReport, StatusReport};
use brokkr_reconcile::{Progress, Reason, StackOutcome};
use tokio::time::Instant;

use super::AgentConfig;
use super::backoff::{asked_pause, pause};
use super::event::{EventReason, Occurrence, Signature};

/// The pause before a stack is looked at again while something takes its time.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How often a text is told anew that differs in nothing but numbers.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Objects that a condition's message names.
const NAMED: usize = 5;

/// The pause between a pass and the next one when others change something meanwhile.
const STIRRED: Duration = Duration::from_millis(100);

/// Whether a pass works on a stack, and what is to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    Rests,
    Runs,
    /// Others changed something meanwhile.
    RunsAndAgain,
    /// Something else is wanted meanwhile.
    RunsAndAnew,
}

/// One stack as the worker sees it.
#[derive(Debug)]
pub(super) struct StackState {
    stack: StackId,
    /// When it is to be looked at again.
    pub(super) due: Instant,
    /// Failures in a row.
    failures: u32,
    observed: Option<Revision>,
    applied: Option<Revision>,
    conditions: Vec<Condition>,
    health: Health,
    /// How often in a row it was looked at while it was on its way.
    looks: u32,
    /// What is waited for or fails, and since when.
    stuck: Option<Stuck>,
    activity: Activity,
    /// When a pass worked on it last.
    ended: Instant,
    /// The last event, without what differs from try to try.
    last_event: Option<Signature>,
    /// The last status that was told.
    told: Option<Told>,
    /// Whether the next success is told although nothing is new about it.
    tell_anew: bool,
}

/// A status that was told.
#[derive(Debug)]
struct Told {
    status: StatusReport,
    at: Instant,
}

/// Something that keeps a stack from its goal.
#[derive(Debug)]
struct Stuck {
    reason: Reason,
    objects: Vec<ObjectRef>,
    since: Instant,
}

/// What is worth telling about one pass.
pub(super) struct News {
    pub(super) event: Option<EventReport>,
    pub(super) status: Option<StatusReport>,
}

impl StackState {
    pub(super) fn new(stack: StackId) -> Self {
        Self {
            stack,
            due: Instant::now(),
            failures: 0,
            observed: None,
            applied: None,
            conditions: Vec::new(),
            health: Health::Unknown,
            looks: 0,
            stuck: None,
            activity: Activity::Rests,
            ended: Instant::now(),
            last_event: None,
            told: None,
            tell_anew: false,
        }
    }

    /// Something else is wanted now: whatever failed before says nothing about it.
    pub(super) fn wanted_anew(&mut self) {
        if self.is_worked_on() {
            self.activity = Activity::RunsAndAnew;
        }
        self.due = Instant::now();
        self.failures = 0;
        self.looks = 0;
        self.stuck = None;
    }

    /// Others seem to have changed something of it: it is looked at soon, unless it is being retried anyway.
    pub(super) fn stirred(&mut self) {
        if self.activity == Activity::Runs {
            self.activity = Activity::RunsAndAgain;
        } else if self.failures == 0 {
            self.due = self.due.min(self.ended + STIRRED);
        }
    }

    /// A pass begins to work on it; unless its outcome says otherwise it is due again then.
    pub(super) fn begins(&mut self, due: Instant) {
        self.activity = Activity::Runs;
        self.due = due;
    }

    /// A pass did not end on its own account, so nothing is known from it.
    pub(super) fn interrupted(&mut self) {
        self.due = Instant::now() + RECHECK_INTERVAL;
    }

    /// No pass works on it any more.
    pub(super) fn ends(&mut self) {
        self.ended = Instant::now();
        match std::mem::replace(&mut self.activity, Activity::Rests) {
            Activity::RunsAndAnew => self.due = self.ended,
            Activity::RunsAndAgain if self.failures == 0 => self.due = self.due.min(self.ended + STIRRED),
            _ => {}
        }
    }

    /// Whether a pass works on it.
    pub(super) fn is_worked_on(&self) -> bool {
        self.activity != Activity::Rests
    }

    /// What was told may not have arrived: the next outcome is told whatever it is.
    pub(super) fn untold(&mut self) {
        self.last_event = None;
        self.told = None;
        self.tell_anew = true;
    }

    /// Takes a pass's outcome in and says what is worth telling.
    pub(super) fn take(
        &mut self,
        outcome: &StackOutcome,
        object_id: Option<DeploymentObjectId>,
        started_at: Timestamp,
        config: &AgentConfig,
    ) -> News {
        let now = SystemClock.now();
        let action = if outcome.removal { EventAction::Remove } else { EventAction::Apply };
        self.observed = outcome.revision;
        self.health = outcome.health;
        let accepted = outcome.applied.then(|| self.accepted(outcome)).flatten();
        let event = match &outcome.progress {
            Progress::Done => {
                let on_its_way = outcome.health == Health::Progressing;
                self.looks = if on_its_way { self.looks + 1 } else { 0 };
                let soon = pause(self.looks, RECHECK_INTERVAL, config.interval);
                self.due = Instant::now() + if on_its_way { soon } else { config.interval };
                self.stuck = None;
                let after_failure = std::mem::take(&mut self.failures) > 0;
                let worth = after_failure || outcome.removal || outcome.writes > 0;
                let done = || {
                    let reason = if outcome.removal { EventReason::Removed } else { EventReason::Applied };
                    Occurrence { reason, message: String::new(), objects: Vec::new() }
                };
                accepted.or_else(|| worth.then(done))
            }
            Progress::Waiting { reason, objects, .. } => {
                // What has taken long will hardly be there in a second.
                let waited = self.stuck_for(*reason, objects);
                self.due = self.by_stalling((waited / 8).min(config.retry_max).max(RECHECK_INTERVAL), config);
                accepted
            }
            Progress::Failed { reason, message, objects } => {
                self.failures += 1;
                self.stuck_for(*reason, objects);
                let (first, max) = (config.retry_first, config.retry_max);
                let pause = asked_pause(outcome.retry_after, self.failures, first, max);
                // The pause that an API server asks for is kept.
                self.due = match outcome.retry_after {
                    Some(_) => Instant::now() + pause,
                    None => self.by_stalling(pause, config),
                };
                let reason = EventReason::Failed(*reason);
                Some(Occurrence { reason, message: message.clone(), objects: objects.clone() })
            }
        };
        let event = event.and_then(|occurrence| {
            let result = occurrence.outcome();
            let Occurrence { reason, message, mut objects } = occurrence;
            objects.truncate(limits::EVENT_OBJECTS);
            let signature = Signature { revision: outcome.revision, action, reason, objects: objects.clone() };
            let drift = reason == EventReason::DriftCorrected;
            if self.last_event.replace(signature.clone()) == Some(signature) && !drift {
                return None;
            }
            Some(EventReport {
                id: EventId::generate(),
                stack_id: self.stack,
                object_id,
                revision: outcome.revision,
                action,
                outcome: result,
                reason: reason.to_string(),
                message,
                objects,
                retained: outcome.retained.iter().take(limits::EVENT_OBJECTS).map(|it| it.object.clone()).collect(),
                started_at,
                finished_at: now,
            })
        });
        let stalled = self.stalled(outcome, config);
        self.set_conditions(outcome, stalled, now);
        News { event, status: self.news() }
    }

    /// What is to be said when the API server has accepted everything: that it has, or what was put right.
    fn accepted(&mut self, outcome: &StackOutcome) -> Option<Occurrence> {
        let anew = std::mem::take(&mut self.tell_anew);
        let first = anew || self.applied != outcome.revision;
        self.applied = outcome.revision;
        let (reason, objects) = if outcome.corrected.is_empty() {
            (EventReason::Applied, Vec::new())
        } else {
            (EventReason::DriftCorrected, outcome.corrected.clone())
        };
        let worth = first || !outcome.corrected.is_empty();
        worth.then(|| Occurrence { reason, message: String::new(), objects })
    }

    /// For how long the same objects have kept the stack from its goal for the same reason.
    fn stuck_for(&mut self, reason: Reason, objects: &[ObjectRef]) -> Duration {
        let is_same = |it: &Stuck| it.reason == reason && it.objects == objects;
        if !self.stuck.as_ref().is_some_and(is_same) {
            self.stuck = Some(Stuck { reason, objects: objects.to_vec(), since: Instant::now() });
        }
        self.stuck.as_ref().map_or(Duration::ZERO, |it| it.since.elapsed())
    }

    /// When to look again after a pause: no later than the stack counts as stalled, so that it is told in time.
    fn by_stalling(&self, pause: Duration, config: &AgentConfig) -> Instant {
        let now = Instant::now();
        let stalls = self.stuck.as_ref().map(|it| it.since + config.stalled_after).filter(|stalls| *stalls > now);
        stalls.map_or(now + pause, |stalls| stalls.min(now + pause))
    }

    /// Why nothing moves any more; `None` while it does.
    fn stalled(&self, outcome: &StackOutcome, config: &AgentConfig) -> Option<String> {
        match &outcome.progress {
            Progress::Failed { reason: Reason::Stalled, message, .. } => Some(message.clone()),
            Progress::Waiting { message, .. } | Progress::Failed { message, .. } => {
                let since = self.stuck.as_ref()?.since;
                (since.elapsed() >= config.stalled_after).then(|| message.clone())
            }
            Progress::Done => None,
        }
    }

    fn set_conditions(&mut self, outcome: &StackOutcome, stalled: Option<String>, now: Timestamp) {
        use ConditionStatus::{False, True, Unknown};
        let nothing = String::new;
        let worst = || outcome.unhealthy.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let applied = match &outcome.progress {
            _ if outcome.applied => (True, "Applied", left_alone(outcome)),
            Progress::Done => (False, "Removed", left_alone(outcome)),
            Progress::Waiting { reason, message, .. } | Progress::Failed { reason, message, .. } => {
                (False, reason.as_str(), message.clone())
            }
        };
        let progressing = match &outcome.progress {
            Progress::Waiting { reason, message, .. } => (True, reason.as_str(), message.clone()),
            Progress::Failed { reason, message, .. } => (False, reason.as_str(), message.clone()),
            Progress::Done if outcome.health == Health::Progressing => (True, "NotReady", worst()),
            Progress::Done => (False, applied.1, nothing()),
        };
        let available = match outcome.health {
            Health::Healthy => (True, "Healthy", nothing()),
            Health::Suspended => (True, "Suspended", worst()),
            Health::Progressing => (False, "Progressing", worst()),
            Health::Degraded => (False, "Degraded", worst()),
            Health::Unknown => (Unknown, "NotChecked", nothing()),
        };
        let degraded = match outcome.health {
            Health::Degraded => (True, "Degraded", worst()),
            _ => (False, "NotDegraded", nothing()),
        };
        let drifted = if !outcome.drifted.is_empty() {
            let objects: Vec<String> = outcome.drifted.iter().take(NAMED).map(ObjectRef::to_string).collect();
            let reason = if outcome.contested.is_empty() { "ChangedByOthers" } else { "Contested" };
            (True, reason, objects.join(", "))
        } else if !outcome.yielded.is_empty() {
            (False, "Yielded", yielded(outcome))
        } else {
            (False, "NoDrift", nothing())
        };
        let stalled = match stalled {
            Some(message) => (True, "NothingMoves", message),
            None => (False, "NotStalled", nothing()),
        };
        let all = [
            ("Applied", applied),
            ("Available", available),
            ("Progressing", progressing),
            ("Degraded", degraded),
            ("Drifted", drifted),
            ("Stalled", stalled),
        ];
        let conditions = all.into_iter().map(|(kind, (status, reason, message))| {
            let mut message = message;
            shorten(&mut message, limits::MESSAGE_BYTES);
            let before = self.conditions.iter().find(|it| it.kind == kind && it.status == status);
            Condition {
                kind: kind.to_owned(),
                status,
                reason: reason.to_owned(),
                message,
                observed_revision: outcome.revision,
                last_transition_at: before.map_or(now, |it| it.last_transition_at),
            }
        });
        self.conditions = conditions.collect();
    }

    /// The status, if it differs from what was told by more than one more try.
    fn news(&mut self) -> Option<StatusReport> {
        let status = self.status();
        // Attempts are told at 1, 2, 4, 8 …: often enough to see, too seldom to be a load.
        let attempts_matter = self.failures == 0 || self.failures.is_power_of_two();
        let told_attempts = self.told.as_ref().map_or(0, |told| told.status.attempts);
        let attempts = if attempts_matter { status.attempts } else { told_attempts };
        let status = StatusReport { attempts, ..status };
        if let Some(told) = &self.told
            && (told.status == status || told.at.elapsed() < SAMPLE_EVERY && is_sample(&told.status, &status))
        {
            return None;
        }
        self.told = Some(Told { status: status.clone(), at: Instant::now() });
        Some(status)
    }

    /// The whole status, whether told or not.
    pub(super) fn status(&self) -> StatusReport {
        StatusReport {
            stack_id: self.stack,
            observed_revision: self.observed,
            applied_revision: self.applied,
            conditions: self.conditions.clone(),
            health: self.health,
            attempts: u64::from(self.failures),
        }
    }
}

/// What stays as it is although the manifests say otherwise, and why.
fn left_alone(outcome: &StackOutcome) -> String {
    let retained = outcome.retained.iter().take(NAMED).map(ToString::to_string);
    let yielded = outcome.yielded.iter().take(NAMED).map(ToString::to_string);
    retained.chain(yielded).collect::<Vec<_>>().join("; ")
}

fn yielded(outcome: &StackOutcome) -> String {
    outcome.yielded.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether two statuses differ only in numbers within texts. How many replicas are ready just now is a sample and no
/// transition; names are no numbers, even where they end in one.
fn is_sample(told: &StatusReport, status: &StatusReport) -> bool {
    let without_counts = |status: &StatusReport| {
        let mut status = status.clone();
        for condition in &mut status.conditions {
            condition.message = condition
                .message
                .split(' ')
                .map(|word| if is_count(word) { "#" } else { word })
                .collect::<Vec<_>>()
                .join(" ");
        }
        status
    };
    without_counts(told) == without_counts(status)
}

/// Whether a word is a number and nothing else, but for what may enclose it.
fn is_count(word: &str) -> bool {
    let digits = word.trim_matches(['(', ')', ',', '.', ';', ':', '/']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(kind: &str, reason: &str, message: &str) -> StatusReport {
        let condition = Condition {
            kind: kind.to_owned(),
            status: ConditionStatus::False,
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_revision: None,
            last_transition_at: SystemClock.now(),
        };
        let mut status = StackState::new(StackId::generate()).status();
        status.conditions.push(condition);
        status
    }

    #[test]
    fn only_changed_counts_are_samples() {
        let a = saying("Available", "Progressing", "Deployment a/web-1: NotReady (1 of 3 replicas are ready)");
        let with = |message: &str| {
            let mut other = a.clone();
            other.conditions[0].message = message.to_owned();
            other
        };
        for sample in [
            "Deployment a/web-1: NotReady (2 of 3 replicas are ready)",
            "Deployment a/web-1: NotReady (13 of 20 replicas are ready)",
        ] {
            assert!(is_sample(&a, &with(sample)), "{sample}");
        }
        for transition in [
            "Deployment a/web-2: NotReady (1 of 3 replicas are ready)",
            "Deployment a/web-1: Updating (1 of 3 replicas are ready)",
            "Deployment a/web-1: NotReady (1 of 3 replicas are available)",
            "",
        ] {
            assert!(!is_sample(&a, &with(transition)), "{transition}");
        }
        let mut reason = a.clone();
        reason.conditions[0].reason = "Degraded".to_owned();
        assert!(!is_sample(&a, &reason));
        let mut health = a.clone();
        health.health = Health::Degraded;
        assert!(!is_sample(&a, &health));
    }
}
