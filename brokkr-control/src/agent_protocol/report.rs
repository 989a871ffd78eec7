//! Records reports: agents' outcomes become events, statuses and confirmed removals, in one commit.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    AgentEvent, AgentId, AgentSession, Assignment, AssignmentState, Change, EntityKey, EventAction, EventId,
    EventOutcome, LastError, OutcomeKey, Revision, Stack, StackId, StackStatus, Timestamp, Version, limits,
    validate_text,
};
use brokkr_core::protocol::{EventReport, RejectedEvent, Report, ReportAnswer, StatusReport};
use brokkr_core::store::Scope;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::view::CATCH_UP;

/// Number of superseded agent processes that the session remembers.
const SUPERSEDED_KEPT: usize = 16;

impl Broker {
    /// Records an agent's report. Idempotent.
    ///
    /// # Errors
    ///
    /// [`BrokerError::InstanceSuperseded`] if a newer process uses the agent's key, [`BrokerError::WrongCluster`] if the
    /// agent is bound to a different cluster, [`BrokerError::Invalid`] for an invalid report.
    pub async fn report(&self, actor: &Actor, agent: AgentId, report: &Report) -> BrokerResult<ReportAnswer> {
        const NAME: &str = "agent.report";
        self.authorise(actor, Action::Report, NAME, Some(EntityKey::Agent(agent)))?;
        if actor.agent_id() != Some(agent) {
            self.failed(actor, NAME, Some(EntityKey::Agent(agent)), &BrokerError::NotFound);
            return Err(BrokerError::NotFound);
        }
        self.parts.activity.agent_seen(agent, self.now());
        let (answer, gone) = self
            .decide(actor, NAME, Some(EntityKey::Agent(agent)), || async {
                validate(report)?;
                self.take_report(agent, report).await
            })
            .await?;
        for stack in gone {
            self.complete_removal_if_deleting(actor, stack).await?;
        }
        Ok(answer)
    }

    async fn take_report(
        &self,
        agent: AgentId,
        report: &Report,
    ) -> BrokerResult<Decision<(ReportAnswer, Vec<StackId>)>> {
        let store = &self.parts.store;
        let now = self.now();
        let before = store.agent_session(&Scope::All, agent).await?;
        if let Some(before) = &before
            && before.instance_id == report.instance_id
            && report.sequence <= before.sequence
        {
            let answer = ReportAnswer { duplicates: report.events.len(), ..ReportAnswer::default() };
            return Ok(Decision::nothing((answer, Vec::new())));
        }
        let mut session = next_session(agent, before, report, now)?;

        // Reads everything that the report refers to, in one batch.
        let mut named: BTreeSet<StackId> = report.events.iter().map(|it| it.stack_id).collect();
        named.extend(report.status.iter().map(|it| it.stack_id));
        named.extend(report.held.iter().flatten());
        let named: Vec<StackId> = named.into_iter().collect();
        let stacks = store.stack_find_with_tombstones(&Scope::All, &named).await?;
        let assignments = store.assignment_find(&Scope::All, agent, &named).await?;
        let assignments: BTreeMap<StackId, Assignment> = assignments.into_iter().map(|it| (it.stack_id, it)).collect();
        // An agent may report on stacks that it was assigned and on stacks of its generators.
        let serves = self.parts.view.agent(agent).map(|it| it.registrations.clone()).unwrap_or_default();
        let known = |it: &Stack| assignments.contains_key(&it.id) || serves.contains_key(&it.generator_id);
        let stacks: BTreeMap<StackId, Stack> = stacks.into_iter().filter(known).map(|it| (it.id, it)).collect();
        let statuses = store.stack_status_find(&Scope::All, agent, &named).await?;
        let statuses = statuses.into_iter().map(|it| (it.stack_id, it)).collect();
        let event_ids: Vec<EventId> = report.events.iter().map(|it| it.id).collect();
        let known = store.event_known(&Scope::All, agent, &event_ids).await?.into_iter().collect();

        let mut fold = Fold { agent, now, stacks, assignments, statuses, known, ..Fold::default_for(agent, now) };
        for event in &report.events {
            fold.event(event);
        }
        for status in &report.status {
            fold.status(status);
        }
        if let Some(held) = &report.held {
            session.unknown_stacks =
                held.iter().filter(|id| !fold.stacks.contains_key(id)).copied().take(100).collect();
            // The agent reports its inventory only once, so a stale view here would not be corrected later.
            self.parts.view.refreshed(CATCH_UP).await?;
            for stack in held {
                let pair = self.parts.view.pair(*stack, agent);
                fold.held(*stack, pair.is_some_and(|pair| pair.desired.revision().is_some()));
            }
        }
        let gone = fold.gone.clone();
        let answer = fold.answer.clone();
        let detail = format!(
            "{} events, {} duplicates, {} rejected, {} statuses",
            answer.accepted,
            answer.duplicates,
            answer.rejected.len(),
            report.status.len()
        );
        let mut changes = vec![Change::AgentSession(session)];
        changes.extend(fold.into_changes());
        Ok(Decision::commit((answer, gone), changes).detail(detail))
    }
}

/// The session after this report. Refuses a superseded process and a different cluster.
fn next_session(
    agent: AgentId,
    before: Option<AgentSession>,
    report: &Report,
    now: Timestamp,
) -> BrokerResult<AgentSession> {
    let capabilities = report.capabilities.as_ref().map(|it| it.iter().cloned().collect());
    let Some(mut session) = before else {
        return Ok(AgentSession {
            agent_id: agent,
            cluster_uid: report.cluster_uid.clone(),
            instance_id: report.instance_id,
            sequence: report.sequence,
            superseded: Vec::new(),
            capabilities: capabilities.unwrap_or_default(),
            unknown_stacks: Vec::new(),
            version: Version::FIRST,
            started_at: now,
            updated_at: now,
        });
    };
    if session.cluster_uid != report.cluster_uid {
        return Err(BrokerError::WrongCluster);
    }
    if session.instance_id != report.instance_id {
        if session.superseded.contains(&report.instance_id) {
            return Err(BrokerError::InstanceSuperseded);
        }
        session.superseded.push(session.instance_id);
        let surplus = session.superseded.len().saturating_sub(SUPERSEDED_KEPT);
        session.superseded.drain(..surplus);
        session.instance_id = report.instance_id;
        session.started_at = now;
    }
    session.sequence = report.sequence;
    session.capabilities = capabilities.unwrap_or(session.capabilities);
    session.version = session.version.next();
    session.updated_at = now;
    Ok(session)
}

/// Folds the parts of a report into the affected rows.
struct Fold {
    agent: AgentId,
    now: Timestamp,
    stacks: BTreeMap<StackId, Stack>,
    assignments: BTreeMap<StackId, Assignment>,
    statuses: BTreeMap<StackId, StackStatus>,
    known: BTreeSet<EventId>,
    events: Vec<AgentEvent>,
    touched_assignments: BTreeMap<StackId, Assignment>,
    touched_statuses: BTreeMap<StackId, StackStatus>,
    gone: Vec<StackId>,
    answer: ReportAnswer,
}

impl Fold {
    fn default_for(agent: AgentId, now: Timestamp) -> Self {
        Self {
            agent,
            now,
            stacks: BTreeMap::new(),
            assignments: BTreeMap::new(),
            statuses: BTreeMap::new(),
            known: BTreeSet::new(),
            events: Vec::new(),
            touched_assignments: BTreeMap::new(),
            touched_statuses: BTreeMap::new(),
            gone: Vec::new(),
            answer: ReportAnswer::default(),
        }
    }

    /// The stack's status on this agent; `None` if the stack does not concern the agent.
    fn status_mut(&mut self, id: StackId) -> Option<&mut StackStatus> {
        let stack = self.stacks.get(&id)?;
        self.assignments.get(&id)?;
        let (agent, now) = (self.agent, self.now);
        let before = self.statuses.get(&id);
        Some(self.touched_statuses.entry(id).or_insert_with(|| match before {
            Some(before) => StackStatus { version: before.version.next(), updated_at: now, ..before.clone() },
            None => StackStatus {
                agent_id: agent,
                stack_id: id,
                generator_id: stack.generator_id,
                observed_revision: None,
                applied_revision: None,
                conditions: Vec::new(),
                health: Default::default(),
                attempts: 0,
                last_error: None,
                retained: Vec::new(),
                last_outcome: None,
                version: Version::FIRST,
                updated_at: now,
            },
        }))
    }

    fn event(&mut self, event: &EventReport) {
        if !self.known.insert(event.id) {
            self.answer.duplicates += 1;
            return;
        }
        let Some(generator_id) = self.stacks.get(&event.stack_id).map(|stack| stack.generator_id) else {
            return self.reject(event.id, "stack-unknown");
        };
        let (agent, now) = (self.agent, self.now);
        let Some(status) = self.status_mut(event.stack_id) else {
            return self.reject(event.id, "stack-unknown");
        };
        let outcome = OutcomeKey {
            revision: event.revision,
            action: event.action,
            outcome: event.outcome,
            reason: event.reason.clone(),
            objects: event.objects.clone(),
        };
        status.last_error = match event.outcome {
            EventOutcome::Success => None,
            EventOutcome::Failure => {
                let since =
                    status.last_error.as_ref().filter(|it| it.reason == event.reason).map_or(now, |it| it.since);
                Some(LastError {
                    reason: event.reason.clone(),
                    message: event.message.clone(),
                    objects: event.objects.clone(),
                    since,
                })
            }
        };
        status.retained.clone_from(&event.retained);
        let repeated = status.last_outcome.replace(outcome.clone()) == Some(outcome);
        if (event.action, event.outcome) == (EventAction::Remove, EventOutcome::Success) {
            self.confirm_removal(event.stack_id);
        }
        if repeated {
            self.answer.duplicates += 1;
            return;
        }
        self.answer.accepted += 1;
        self.events.push(AgentEvent {
            id: event.id,
            agent_id: agent,
            stack_id: event.stack_id,
            generator_id,
            object_id: event.object_id,
            revision: event.revision,
            action: event.action,
            outcome: event.outcome,
            reason: event.reason.clone(),
            message: event.message.clone(),
            objects: event.objects.clone(),
            retained: event.retained.clone(),
            started_at: event.started_at,
            finished_at: event.finished_at,
            recorded_at: now,
        });
    }

    fn reject(&mut self, id: EventId, problem: &str) {
        self.answer.rejected.push(RejectedEvent { id, problem: problem.to_owned() });
    }

    fn status(&mut self, report: &StatusReport) {
        // Ignore the status of stacks that are deleted or were never assigned: no operation could return it.
        let Some(status) = self.status_mut(report.stack_id) else {
            return;
        };
        status.observed_revision = report.observed_revision;
        status.applied_revision = report.applied_revision;
        status.conditions.clone_from(&report.conditions);
        status.health = report.health;
        status.attempts = report.attempts;
    }

    fn set_assignment(&mut self, id: StackId, state: AssignmentState) {
        let Some(generator_id) = self.stacks.get(&id).map(|stack| stack.generator_id) else {
            return;
        };
        let before = self.assignments.get(&id);
        if before.is_some_and(|it| it.state == state) {
            self.touched_assignments.remove(&id);
            return;
        }
        let assignment = Assignment {
            agent_id: self.agent,
            stack_id: id,
            generator_id,
            state,
            version: before.map_or(Version::FIRST, |it| it.version.next()),
            created_at: before.map_or(self.now, |it| it.created_at),
            updated_at: self.now,
        };
        self.touched_assignments.insert(id, assignment);
    }

    fn confirm_removal(&mut self, id: StackId) {
        self.set_assignment(id, AssignmentState::Gone);
        self.gone.push(id);
    }

    /// Lists a stack again that the agent holds without a revision to apply: for removal, or to hold what is undecided.
    fn held(&mut self, id: StackId, wanted: bool) {
        let Some(stack) = self.stacks.get(&id) else {
            return;
        };
        let open = self.assignments.get(&id).is_some_and(Assignment::is_open);
        if wanted || open || self.gone.contains(&id) {
            return;
        }
        // Deleting a stack is an explicit order to remove it. A missing match is not, so the removal is unconfirmed.
        let state = if stack.is_active() { AssignmentState::Lost } else { AssignmentState::Withdrawn };
        self.set_assignment(id, state);
    }

    fn into_changes(self) -> impl Iterator<Item = Change> {
        let assignments = self.touched_assignments.into_values().map(Change::Assignment);
        let statuses = self.touched_statuses.into_values().map(Change::StackStatus);
        assignments.chain(statuses).chain(self.events.into_iter().map(Change::Event))
    }
}

/// Validates that every store can represent the number.
fn number(field: &str, number: Option<u64>, least: u64) -> Result<(), Invalid> {
    let most = i64::MAX as u64;
    if number.is_none_or(|number| (least..=most).contains(&number)) {
        return Ok(());
    }
    let message = format!("expected a number from {least} to {most}");
    Err(Invalid::new(InvalidCode::NumberOutOfRange, message).within(field))
}

fn count(field: &str, count: usize, max: usize) -> Result<(), Invalid> {
    if count <= max {
        return Ok(());
    }
    let message = format!("{count} entries; at most {max} are allowed");
    Err(Invalid::new(InvalidCode::FieldInvalid, message).within(field))
}

/// Validates sizes, texts and numbers. Ids and enums are validated by their types.
fn validate(report: &Report) -> Result<(), Invalid> {
    number("sequence", Some(report.sequence), 0)?;
    count("events", report.events.len(), limits::REPORT_ENTRIES)?;
    count("status", report.status.len(), limits::REPORT_ENTRIES)?;
    count("held", report.held.as_ref().map_or(0, Vec::len), limits::HELD_STACKS)?;
    count("capabilities", report.capabilities.as_ref().map_or(0, Vec::len), limits::CAPABILITIES)?;
    if report.cluster_uid.is_empty() {
        return Err(Invalid::new(InvalidCode::FieldInvalid, "expected the UID of the Namespace kube-system")
            .within("cluster_uid"));
    }
    short("cluster_uid", &report.cluster_uid)?;
    for (n, capability) in report.capabilities.iter().flatten().enumerate() {
        short(&n.to_string(), capability).map_err(|error| error.within("capabilities"))?;
    }
    for (n, event) in report.events.iter().enumerate() {
        validate_event(event).map_err(|error| error.within(&n.to_string()).within("events"))?;
    }
    for (n, status) in report.status.iter().enumerate() {
        validate_status(status).map_err(|error| error.within(&n.to_string()).within("status"))?;
    }
    Ok(())
}

fn short(field: &str, text: &str) -> Result<(), Invalid> {
    validate_text(text, limits::SHORT_TEXT_CHARACTERS).map_err(|error| error.within(field))
}

fn message(text: &str) -> Result<(), Invalid> {
    validate_text(text, limits::MESSAGE_CHARACTERS).map_err(|error| error.within("message"))
}

fn validate_event(event: &EventReport) -> Result<(), Invalid> {
    number("revision", event.revision.map(Revision::get), 1)?;
    short("reason", &event.reason)?;
    message(&event.message)?;
    for (field, objects) in [("objects", &event.objects), ("retained", &event.retained)] {
        count(field, objects.len(), limits::EVENT_OBJECTS)?;
        for (n, object) in objects.iter().enumerate() {
            let texts = [("group", &object.group), ("kind", &object.kind), ("name", &object.name)];
            for (part, text) in texts.into_iter().chain(object.namespace.as_ref().map(|it| ("namespace", it))) {
                short(part, text).map_err(|error| error.within(&n.to_string()).within(field))?;
            }
        }
    }
    Ok(())
}

fn validate_status(status: &StatusReport) -> Result<(), Invalid> {
    number("observed_revision", status.observed_revision.map(Revision::get), 1)?;
    number("applied_revision", status.applied_revision.map(Revision::get), 1)?;
    number("attempts", Some(status.attempts), 0)?;
    count("conditions", status.conditions.len(), limits::CONDITIONS)?;
    for (n, condition) in status.conditions.iter().enumerate() {
        number("observed_revision", condition.observed_revision.map(Revision::get), 1)
            .and_then(|()| short("type", &condition.kind))
            .and_then(|()| short("reason", &condition.reason))
            .and_then(|()| message(&condition.message))
            .map_err(|error| error.within(&n.to_string()).within("conditions"))?;
    }
    Ok(())
}
