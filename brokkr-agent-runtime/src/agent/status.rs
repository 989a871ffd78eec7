//! What the worker remembers of each stack, and what of it is worth telling.

use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{
    Condition, ConditionStatus, DeploymentObjectId, EventAction, EventId, EventOutcome, Health, ObjectRef, Revision,
    StackId, Timestamp, limits,
};
use brokkr_core::protocol::{EventReport, StatusReport};
use brokkr_core::reconcile::{Progress, StackOutcome};
use tokio::time::Instant;

use super::AgentConfig;
use super::backoff::pause;

/// What is repeated while something takes its time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    /// The last event, without what differs from try to try.
    last_event: Option<Signature>,
    /// The last status that was told.
    told: Option<StatusReport>,
    /// Whether the next success is told although nothing is new about it.
    tell_anew: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    revision: Option<Revision>,
    action: EventAction,
    outcome: EventOutcome,
    reason: String,
    objects: Vec<ObjectRef>,
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
            last_event: None,
            told: None,
            tell_anew: false,
        }
    }

    /// Something else is wanted now: whatever failed before says nothing about it.
    pub(super) fn wanted_anew(&mut self) {
        self.due = Instant::now();
        self.failures = 0;
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
        let event = match &outcome.progress {
            Progress::Done => {
                let after_failure = std::mem::take(&mut self.failures) > 0;
                let anew = std::mem::take(&mut self.tell_anew);
                let first = anew || self.applied != outcome.revision || outcome.removal;
                self.applied = outcome.revision;
                self.due = Instant::now() + config.interval;
                let (reason, objects) = if !outcome.corrected.is_empty() {
                    ("DriftCorrected", outcome.corrected.clone())
                } else if outcome.removal {
                    ("Removed", Vec::new())
                } else {
                    ("Applied", Vec::new())
                };
                let worth = first || after_failure || outcome.writes > 0;
                worth.then(|| (EventOutcome::Success, reason.to_owned(), String::new(), objects))
            }
            Progress::Waiting { .. } => {
                self.due = Instant::now() + LOOK_AGAIN;
                None
            }
            Progress::Failed { reason, message, objects } => {
                self.failures += 1;
                self.due = Instant::now() + pause(self.failures, config.retry_first, config.retry_max);
                Some((EventOutcome::Failure, reason.clone(), message.clone(), objects.clone()))
            }
        };
        let event = event.and_then(|(result, reason, message, mut objects)| {
            objects.truncate(limits::EVENT_OBJECTS);
            let signature = Signature {
                revision: outcome.revision,
                action,
                outcome: result,
                reason: reason.clone(),
                objects: objects.clone(),
            };
            let drift = reason == "DriftCorrected";
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
                reason,
                message,
                objects,
                retained: outcome.retained.iter().take(limits::EVENT_OBJECTS).cloned().collect(),
                started_at,
                finished_at: now,
            })
        });
        self.set_conditions(outcome, now);
        News { event, status: self.news() }
    }

    fn set_conditions(&mut self, outcome: &StackOutcome, now: Timestamp) {
        use ConditionStatus::{False, True};
        let (applied, progressing) = match &outcome.progress {
            Progress::Done if outcome.removal => ((False, "Removed", String::new()), (False, "Removed", String::new())),
            Progress::Done => ((True, "Applied", String::new()), (False, "Applied", String::new())),
            Progress::Waiting { reason, message, .. } => {
                ((False, reason.as_str(), message.clone()), (True, reason.as_str(), message.clone()))
            }
            Progress::Failed { reason, message, .. } => {
                ((False, reason.as_str(), message.clone()), (False, reason.as_str(), String::new()))
            }
        };
        let drifted = if !outcome.drifted.is_empty() {
            let objects: Vec<String> = outcome.drifted.iter().take(5).map(ObjectRef::to_string).collect();
            (True, "ChangedByOthers", objects.join(", "))
        } else {
            (False, "NoDrift", String::new())
        };
        let all = [("Applied", applied), ("Progressing", progressing), ("Drifted", drifted)];
        let conditions = all.into_iter().map(|(kind, (status, reason, message))| {
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
        let told_attempts = self.told.as_ref().map_or(0, |told| told.attempts);
        let attempts = if attempts_matter { status.attempts } else { told_attempts };
        let status = StatusReport { attempts, ..status };
        if self.told.as_ref() == Some(&status) {
            return None;
        }
        self.told = Some(status.clone());
        Some(status)
    }

    /// The whole status, whether told or not.
    pub(super) fn status(&self) -> StatusReport {
        StatusReport {
            stack_id: self.stack,
            observed_revision: self.observed,
            applied_revision: self.applied,
            conditions: self.conditions.clone(),
            health: Health::Unknown,
            attempts: u64::from(self.failures),
        }
    }
}
