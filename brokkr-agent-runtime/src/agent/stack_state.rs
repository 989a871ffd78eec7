//! The worker's state per stack, and which changes of it to report.

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
use super::condition_texts::{NAMED, behind, drift, left_alone};
use super::event::{EventReason, Occurrence, Signature};

/// The first pause before the worker reconciles a progressing stack again.
const RECHECK_PAUSE: Duration = Duration::from_secs(1);

/// Minimum interval between two reports that differ only in numbers.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// The condition that says whether others changed objects.
const DRIFTED: &str = "Drifted";

/// The pause between two passes over a stack that other clients changed meanwhile.
const CHANGE_PAUSE: Duration = Duration::from_millis(100);

/// Whether a pass works on a stack, and when the next pass follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    Idle,
    Running,
    /// Other clients changed objects meanwhile: the next pass follows soon.
    RunningObjectsChanged,
    /// The goal changed meanwhile: the next pass follows immediately.
    RunningGoalChanged,
}

/// The worker's state of one stack.
#[derive(Debug)]
pub(super) struct StackState {
    stack: StackId,
    /// When the next pass is due.
    pub(super) due: Instant,
    /// Failures in a row.
    failures: u32,
    observed: Option<Revision>,
    applied: Option<Revision>,
    conditions: Vec<Condition>,
    health: Health,
    /// Passes in a row that found the stack progressing.
    progressing_passes: u32,
    /// The current wait or failure, and its start.
    stuck: Option<Stuck>,
    activity: Activity,
    /// When the last pass over the stack ended.
    ended: Instant,
    /// The last event, without the parts that change between attempts.
    last_event: Option<Signature>,
    /// The last reported status.
    reported: Option<Reported>,
    /// Whether to report the next success even if nothing changed.
    report_next_success: bool,
}

/// A reported status.
#[derive(Debug)]
struct Reported {
    status: StatusReport,
    at: Instant,
}

/// A wait or failure that keeps a stack from its goal.
#[derive(Debug)]
struct Stuck {
    reason: Reason,
    objects: Vec<ObjectRef>,
    since: Instant,
}

/// The news of one pass to report.
pub(super) struct StackReport {
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
            progressing_passes: 0,
            stuck: None,
            activity: Activity::Idle,
            ended: Instant::now(),
            last_event: None,
            reported: None,
            report_next_success: false,
        }
    }

    /// Handles a changed goal: earlier failures no longer count.
    pub(super) fn goal_changed(&mut self) {
        if self.is_worked_on() {
            self.activity = Activity::RunningGoalChanged;
        }
        self.due = Instant::now();
        self.failures = 0;
        self.progressing_passes = 0;
        self.stuck = None;
    }

    /// Handles changes of other clients: the stack is due soon, unless a retry is pending.
    pub(super) fn objects_changed(&mut self) {
        if self.activity == Activity::Running {
            self.activity = Activity::RunningObjectsChanged;
        } else if self.failures == 0 {
            self.due = self.due.min(self.ended + CHANGE_PAUSE);
        }
    }

    /// A pass over the stack starts. The stack is due again at `due`, unless the outcome says otherwise.
    pub(super) fn begins(&mut self, due: Instant) {
        self.activity = Activity::Running;
        self.due = due;
    }

    /// The pass was interrupted, so its outcome says nothing.
    pub(super) fn interrupted(&mut self) {
        self.due = Instant::now() + RECHECK_PAUSE;
    }

    /// The pass over the stack has ended.
    pub(super) fn ends(&mut self) {
        self.ended = Instant::now();
        match std::mem::replace(&mut self.activity, Activity::Idle) {
            Activity::RunningGoalChanged => self.due = self.ended,
            Activity::RunningObjectsChanged if self.failures == 0 => self.due = self.due.min(self.ended + CHANGE_PAUSE),
            _ => {}
        }
    }

    /// Whether a pass works on the stack.
    pub(super) fn is_worked_on(&self) -> bool {
        self.activity != Activity::Idle
    }

    /// Earlier reports may be lost, so the next outcome is reported in any case.
    pub(super) fn report_again(&mut self) {
        self.last_event = None;
        self.reported = None;
        self.report_next_success = true;
    }

    /// Records the outcome of a pass, and returns the news to report.
    pub(super) fn take(
        &mut self,
        outcome: &StackOutcome,
        object_id: Option<DeploymentObjectId>,
        started_at: Timestamp,
        config: &AgentConfig,
    ) -> StackReport {
        let now = SystemClock.now();
        let action = if outcome.removal { EventAction::Remove } else { EventAction::Apply };
        self.observed = outcome.revision;
        self.health = outcome.health;
        let accepted = outcome.applied.then(|| self.accepted(outcome)).flatten();
        let event = match &outcome.progress {
            Progress::Done => {
                let on_its_way = outcome.health == Health::Progressing;
                self.progressing_passes = if on_its_way { self.progressing_passes + 1 } else { 0 };
                let soon = pause(self.progressing_passes, RECHECK_PAUSE, config.interval);
                self.due = Instant::now() + if on_its_way { soon } else { config.interval };
                self.stuck = None;
                let after_failure = std::mem::take(&mut self.failures) > 0;
                let is_reportable = after_failure || outcome.removal || outcome.writes > 0;
                let done = || {
                    let reason = if outcome.removal { EventReason::Removed } else { EventReason::Applied };
                    Occurrence { reason, message: String::new(), objects: Vec::new() }
                };
                accepted.or_else(|| is_reportable.then(done))
            }
            Progress::Waiting { reason, objects, .. } => {
                // A problem that has lasted long rarely resolves within a second.
                let waited = self.stuck_for(*reason, objects);
                self.due = self.due_before_stalled((waited / 8).min(config.retry_max).max(RECHECK_PAUSE), config);
                accepted
            }
            Progress::Failed { reason, message, objects } => {
                self.failures += 1;
                self.stuck_for(*reason, objects);
                let (first, max) = (config.retry_first, config.retry_max);
                let pause = asked_pause(outcome.retry_after, self.failures, first, max);
                // A pause that the API server requested is never shortened.
                self.due = match outcome.retry_after {
                    Some(_) => Instant::now() + pause,
                    None => self.due_before_stalled(pause, config),
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
        StackReport { event, status: self.changed_status() }
    }

    /// Records the drift of a stack that stays as it is. All else that is known of it stays, too.
    pub(super) fn take_held(&mut self, outcome: &StackOutcome, config: &AgentConfig) -> Option<StatusReport> {
        self.due = Instant::now() + config.interval;
        let (status, reason, message) = drift(outcome);
        let now = SystemClock.now();
        let before = self.conditions.iter().find(|it| it.kind == DRIFTED);
        let is_same = before.is_some_and(|it| it.status == status);
        let drifted = Condition {
            kind: DRIFTED.to_owned(),
            status,
            reason: reason.to_owned(),
            message,
            observed_revision: self.applied,
            last_transition_at: before.filter(|_| is_same).map_or(now, |it| it.last_transition_at),
        };
        let is_unknown = self.conditions.is_empty() && status != ConditionStatus::True;
        self.conditions.retain(|it| it.kind != DRIFTED);
        self.conditions.push(drifted);
        // After a restart nothing is known that a report should replace.
        if is_unknown { None } else { self.changed_status() }
    }

    /// Returns the event for an outcome with all objects accepted: applied, or drift corrected.
    fn accepted(&mut self, outcome: &StackOutcome) -> Option<Occurrence> {
        let must_report = std::mem::take(&mut self.report_next_success);
        let first = must_report || self.applied != outcome.revision;
        self.applied = outcome.revision;
        let (reason, objects) = if outcome.corrected.is_empty() {
            (EventReason::Applied, Vec::new())
        } else {
            (EventReason::DriftCorrected, outcome.corrected.clone())
        };
        let is_reportable = first || !outcome.corrected.is_empty();
        is_reportable.then(|| Occurrence { reason, message: String::new(), objects })
    }

    /// Returns how long the stack has had the same problem with the same objects.
    fn stuck_for(&mut self, reason: Reason, objects: &[ObjectRef]) -> Duration {
        let is_same = |it: &Stuck| it.reason == reason && it.objects == objects;
        if !self.stuck.as_ref().is_some_and(is_same) {
            self.stuck = Some(Stuck { reason, objects: objects.to_vec(), since: Instant::now() });
        }
        self.stuck.as_ref().map_or(Duration::ZERO, |it| it.since.elapsed())
    }

    /// Returns when a pass is due after a pause: no later than the stack becomes stalled, so that the report is in time.
    fn due_before_stalled(&self, pause: Duration, config: &AgentConfig) -> Instant {
        let now = Instant::now();
        let stalls = self.stuck.as_ref().map(|it| it.since + config.stalled_after).filter(|stalls| *stalls > now);
        stalls.map_or(now + pause, |stalls| stalls.min(now + pause))
    }

    /// Returns why the stack is stalled; `None` if it is not.
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
            Health::Healthy => {
                (True, "Healthy", behind(self.applied, outcome.applied, outcome.revision, &outcome.progress))
            }
            Health::Suspended => (True, "Suspended", worst()),
            Health::Progressing => (False, "Progressing", worst()),
            Health::Degraded => (False, "Degraded", worst()),
            Health::Unknown => (Unknown, "NotChecked", nothing()),
        };
        let degraded = match outcome.health {
            Health::Degraded => (True, "Degraded", worst()),
            _ => (False, "NotDegraded", nothing()),
        };
        let drifted = drift(outcome);
        let stalled = match stalled {
            Some(message) => (True, "NoProgress", message),
            None => (False, "NotStalled", nothing()),
        };
        let all = [
            ("Applied", applied),
            ("Available", available),
            ("Progressing", progressing),
            ("Degraded", degraded),
            (DRIFTED, drifted),
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

    /// Returns the status if it differs from the reported one by more than the number of attempts.
    fn changed_status(&mut self) -> Option<StatusReport> {
        let status = self.status();
        // Reports attempts at 1, 2, 4, 8 …: progress stays visible without a report per attempt.
        let attempts_matter = self.failures == 0 || self.failures.is_power_of_two();
        let reported_attempts = self.reported.as_ref().map_or(0, |reported| reported.status.attempts);
        let attempts = if attempts_matter { status.attempts } else { reported_attempts };
        let status = StatusReport { attempts, ..status };
        if let Some(reported) = &self.reported
            && (reported.status == status
                || reported.at.elapsed() < SAMPLE_EVERY && is_sample(&reported.status, &status))
        {
            return None;
        }
        self.reported = Some(Reported { status: status.clone(), at: Instant::now() });
        Some(status)
    }

    /// Returns the current status, reported or not.
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

/// Whether two statuses differ only in numbers within messages. The current number of ready replicas is a sample, not a
/// transition. A number at the end of a name does not count.
fn is_sample(reported: &StatusReport, status: &StatusReport) -> bool {
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
    without_counts(reported) == without_counts(status)
}

/// Whether a word is a number, apart from enclosing punctuation.
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
