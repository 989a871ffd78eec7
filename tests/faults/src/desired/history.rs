//! One history: the same steps in the broker and in the model.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brokkr_control::{
    Actor, AgentPatch, Broker, BrokerError, BrokerResult, Content, EnvironmentPatch, NewAgent, NewEnvironment, NewPin,
    Origin, Rollback,
};
use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{
    AgentId, AgentStatus, Digest, EnvironmentId, EventAction, EventId, EventOutcome, InstanceId, ReleaseMode, Revision,
    StackId, StackSpec,
};
use brokkr_core::protocol::{EntryAction, EventReport, PollAnswer, PollRequest, Report, TargetState};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::model::{AGENTS, ENVIRONMENTS, Heard, Model, STACKS};
use crate::Result;

/// Time for the broker to decide about losses.
const SETTLES: Duration = Duration::from_secs(10);

pub(super) struct History<'a> {
    broker: &'a Broker,
    actor: Actor,
    dice: fastrand::Rng,
    model: Model,
    tier: String,
    stacks: Vec<StackId>,
    agents: Vec<(AgentId, Actor, InstanceId)>,
    environments: Vec<(EnvironmentId, String)>,
    sequence: u64,
    content: u32,
    /// What each agent was told last, with the digest of its target state.
    before: BTreeMap<usize, (Vec<String>, Digest)>,
}

impl<'a> History<'a> {
    pub(super) async fn begin(broker: &'a Broker, seed: u64) -> Result<Self> {
        let actor = broker.system_actor();
        let tier = format!("t{seed}");
        let mut history = Self {
            broker,
            dice: fastrand::Rng::with_seed(seed),
            model: Model::default(),
            stacks: Vec::new(),
            agents: Vec::new(),
            environments: Vec::new(),
            sequence: 0,
            content: 0,
            before: BTreeMap::new(),
            actor,
            tier,
        };
        for number in 0..ENVIRONMENTS {
            let new = NewEnvironment { name: format!("h{seed}e{number}"), ..NewEnvironment::default() };
            let environment = broker.environment_create(&history.actor, new).await?;
            history.environments.push((environment.id, environment.name.to_string()));
        }
        for number in 0..STACKS {
            let spec = StackSpec::named(format!("h{seed}s{number}")).label("tier", history.tier.clone());
            history.stacks.push(broker.stack_create(&history.actor, None, spec).await?.id);
        }
        for number in 0..AGENTS {
            let (agent, key) =
                broker.agent_create(&history.actor, NewAgent::named(format!("h{seed}a{number}"))).await?;
            let key = key.pak.ok_or("the key of a new agent")?;
            let own = broker.authenticate(key.expose_secret(), Origin::in_process())?;
            history.agents.push((agent.id, own, InstanceId::generate()));
        }
        Ok(history)
    }

    /// Deletes the agents, so that later histories are not slowed down.
    pub(super) async fn end(self) -> Result<()> {
        for (agent, ..) in &self.agents {
            self.broker.agent_delete(&self.actor, *agent).await?;
        }
        Ok(())
    }

    /// Makes one random step. Returns its description and what went wrong.
    pub(super) async fn step(&mut self) -> Result<(String, Vec<String>)> {
        let (stack, agent) = (self.dice.usize(..STACKS), self.dice.usize(..AGENTS));
        let environment = self.dice.usize(..ENVIRONMENTS);
        let place = Some(environment).filter(|_| self.dice.u8(..3) > 0);
        let what = match self.dice.u8(..20) {
            0..4 => self.publish(stack).await,
            4 | 5 => self.release(stack, place).await,
            6 => self.roll_back(stack, place).await,
            7 | 8 => self.pin(stack, agent).await,
            9 => self.suspend(stack, agent, place).await,
            10 => self.protect(environment).await,
            11 => self.gate(stack).await,
            12 | 13 => self.label(agent).await,
            14 => self.target(stack, agent).await,
            15 if self.dice.u8(..4) == 0 => self.delete(stack).await,
            15 | 16 => self.remove(agent).await,
            _ => self.poll(agent).await,
        };
        let what = what.map_err(|error| format!("a step was refused: {error}"))?;
        self.model.lose();
        Ok((what, self.compare().await?))
    }

    fn name(&self, place: Option<usize>) -> Option<&str> {
        place.and_then(|it| self.environments.get(it)).map(|(_, name)| name.as_str())
    }

    async fn publish(&mut self, stack: usize) -> BrokerResult<String> {
        if self.model.stacks[stack].is_deleted {
            return nothing();
        }
        self.content += 1;
        let name = format!("c{}", self.content);
        let documents = vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})];
        let content = Content::Documents { documents, message: String::new() };
        self.broker.publish(&self.actor, self.stacks[stack], content).await?;
        self.model.stacks[stack].contents.push(self.content);
        Ok(format!("publish {stack}"))
    }

    /// A random revision of a stack that is not deleted.
    fn revision(&mut self, stack: usize) -> Option<u64> {
        let newest = self.model.stacks[stack].newest().filter(|_| !self.model.stacks[stack].is_deleted)?;
        Some(self.dice.u64(1..=newest))
    }

    async fn release(&mut self, stack: usize, place: Option<usize>) -> BrokerResult<String> {
        let Some(revision) = self.revision(stack) else { return nothing() };
        let (id, number) = (self.stacks[stack], Revision::new(revision));
        self.broker.stable_set(&self.actor, id, self.name(place), number, "why").await?;
        self.model.release(stack, place, revision);
        Ok(format!("release {revision} of {stack} in {place:?}"))
    }

    async fn roll_back(&mut self, stack: usize, place: Option<usize>) -> BrokerResult<String> {
        let Some(revision) = self.revision(stack) else { return nothing() };
        let environment = self.name(place).map(str::to_owned);
        let rollback = Rollback { environment, ..Rollback::to(Revision::new(revision)) };
        let result = self.broker.rollback(&self.actor, self.stacks[stack], rollback).await;
        let is_gated = place.is_some() || self.model.stacks[stack].is_gated;
        let was_stable = self.model.stable.get(&(stack, place)).is_some_and(|all| all.contains(&revision));
        match result {
            Err(BrokerError::NeedsRollout) if is_gated && !was_stable => {}
            Ok(_) if is_gated && was_stable => self.model.release(stack, place, revision),
            Ok(_) if !is_gated => {
                let contents = &mut self.model.stacks[stack].contents;
                let old = contents.get(usize::try_from(revision).unwrap_or_default() - 1).copied();
                if contents.last().copied() != old {
                    contents.extend(old);
                }
            }
            Ok(_) => return Err(BrokerError::Internal("a rollback went to a revision that was never stable".into())),
            Err(error) => return Err(error),
        }
        Ok(format!("rollback of {stack} to {revision} in {place:?}"))
    }

    async fn pin(&mut self, stack: usize, agent: usize) -> BrokerResult<String> {
        let (id, of) = (self.stacks[stack], self.agents[agent].0);
        if self.model.pins.remove(&(stack, agent)).is_some() && !self.model.stacks[stack].is_deleted {
            self.broker.pin_remove(&self.actor, id, of).await?;
            return Ok(format!("unpin {stack} from {agent}"));
        }
        let Some(revision) = self.revision(stack) else { return nothing() };
        let pin = NewPin { revision: Revision::new(revision), reason: "why".to_owned(), expires_at: None };
        self.broker.pin_set(&self.actor, id, of, pin).await?;
        self.model.pins.insert((stack, agent), revision);
        Ok(format!("pin {stack} on {agent} to {revision}"))
    }

    async fn suspend(&mut self, stack: usize, agent: usize, place: Option<usize>) -> BrokerResult<String> {
        let (id, of, actor) = (self.stacks[stack], self.agents[agent].0, self.actor.clone());
        if self.dice.u8(..3) == 0 {
            let is_suspended = !self.model.agents[agent].is_suspended;
            match is_suspended {
                true => self.broker.agent_suspend(&actor, of, "why").await?,
                false => self.broker.agent_resume(&actor, of).await?,
            }
            self.model.agents[agent].is_suspended = is_suspended;
            return Ok(format!("suspend agent {agent}: {is_suspended}"));
        }
        if self.model.stacks[stack].is_deleted {
            return nothing();
        }
        let is_suspended = match place {
            None => !self.model.stacks[stack].is_suspended,
            Some(_) => !self.model.suspended_in.contains(&(stack, place)),
        };
        let environment = self.name(place);
        match is_suspended {
            true => self.broker.stack_suspend(&actor, id, environment, "why").await?,
            false => self.broker.stack_resume(&actor, id, environment).await?,
        }
        match place {
            None => self.model.stacks[stack].is_suspended = is_suspended,
            Some(_) if is_suspended => drop(self.model.suspended_in.insert((stack, place))),
            Some(_) => drop(self.model.suspended_in.remove(&(stack, place))),
        }
        Ok(format!("suspend {stack} in {place:?}: {is_suspended}"))
    }

    async fn protect(&mut self, environment: usize) -> BrokerResult<String> {
        let protected = !self.model.protected[environment];
        let edit = |it: &brokkr_core::model::Environment| {
            let (description, values) = (it.description.clone(), it.values.clone());
            Ok(EnvironmentPatch { description, rank: it.rank, values, protected })
        };
        self.broker.environment_update(&self.actor, self.environments[environment].0, None, edit).await?;
        for stack in (0..STACKS).filter(|_| protected) {
            let follows = |agent: usize| {
                self.model.agents[agent].environment == Some(environment) && self.model.is_wanted(stack, agent)
            };
            let model = &self.model.stacks[stack];
            if !model.is_gated && !model.is_deleted && (0..AGENTS).any(follows) {
                self.model.keep_present(stack, Some(environment));
            }
        }
        self.model.protected[environment] = protected;
        Ok(format!("protect {environment}: {protected}"))
    }

    async fn gate(&mut self, stack: usize) -> BrokerResult<String> {
        if self.model.stacks[stack].is_deleted {
            return nothing();
        }
        let is_gated = !self.model.stacks[stack].is_gated;
        let release = if is_gated { ReleaseMode::Gated } else { ReleaseMode::Immediate };
        let edit = |spec: StackSpec| Ok(StackSpec { release, ..spec });
        self.broker.stack_update(&self.actor, self.stacks[stack], None, edit).await?;
        for agent in (0..AGENTS).filter(|_| is_gated) {
            if self.model.heard.contains_key(&(stack, agent)) {
                self.model.keep_present(stack, self.model.agents[agent].environment);
            }
        }
        self.model.stacks[stack].is_gated = is_gated;
        Ok(format!("gate {stack}: {is_gated}"))
    }

    async fn label(&mut self, agent: usize) -> BrokerResult<String> {
        let model = &mut self.model.agents[agent];
        match self.dice.u8(..4) {
            0 => model.is_labelled = !model.is_labelled,
            1 => model.is_labelled = true,
            2 => model.environment = Some(self.dice.usize(..=ENVIRONMENTS)).filter(|it| *it < ENVIRONMENTS),
            _ => model.is_cordoned = self.dice.u8(..3) == 0,
        }
        let model = model.clone();
        let tier = Some(("tier", self.tier.as_str())).filter(|_| model.is_labelled);
        let labels: BTreeMap<String, String> =
            tier.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let environment = Some(self.name(model.environment).map(str::to_owned));
        let status = if model.is_cordoned { AgentStatus::Cordoned } else { AgentStatus::Active };
        let edit = |_: &brokkr_core::model::Agent| {
            let (labels, environment) = (Some(labels.clone()), environment.clone());
            Ok(AgentPatch { labels, environment, status: Some(status), ..AgentPatch::default() })
        };
        self.broker.agent_update(&self.actor, self.agents[agent].0, None, edit).await?;
        Ok(format!("agent {agent} becomes {model:?}"))
    }

    async fn target(&mut self, stack: usize, agent: usize) -> BrokerResult<String> {
        let (id, of) = (self.stacks[stack], self.agents[agent].0);
        if self.model.stacks[stack].is_deleted {
            return nothing();
        }
        if self.model.targets.insert((stack, agent)) {
            self.broker.target_set(&self.actor, id, of).await?;
            return Ok(format!("target {stack} at {agent}"));
        }
        self.broker.target_remove(&self.actor, id, of).await?;
        self.model.targets.remove(&(stack, agent));
        if !self.model.is_wanted(stack, agent)
            && let Some(heard) = self.model.heard.get_mut(&(stack, agent))
        {
            *heard = Heard::Withdrawn;
        }
        Ok(format!("remove the target of {stack} at {agent}"))
    }

    async fn delete(&mut self, stack: usize) -> BrokerResult<String> {
        if self.model.stacks[stack].is_deleted {
            return nothing();
        }
        self.broker.stack_delete(&self.actor, self.stacks[stack], None).await?;
        self.model.stacks[stack].is_deleted = true;
        Ok(format!("delete {stack}"))
    }

    async fn poll(&mut self, agent: usize) -> BrokerResult<String> {
        let (id, actor, _) = &self.agents[agent];
        let request = PollRequest { knows_hold: true, ..PollRequest::default() };
        self.broker.target_state(actor, *id, request).await?;
        self.model.polled(agent);
        Ok(format!("agent {agent} polls"))
    }

    /// The agent reports the removals that it was told.
    async fn remove(&mut self, agent: usize) -> BrokerResult<String> {
        let now = SystemClock.now();
        let event = |stack: usize| EventReport {
            id: EventId::generate(),
            stack_id: self.stacks[stack],
            object_id: None,
            revision: None,
            action: EventAction::Remove,
            outcome: EventOutcome::Success,
            reason: "Removed".to_owned(),
            message: String::new(),
            objects: Vec::new(),
            retained: Vec::new(),
            started_at: now,
            finished_at: now,
        };
        let events = self.model.removed(agent).into_iter().map(event).collect();
        self.sequence += 1;
        let (id, actor, instance_id) = &self.agents[agent];
        let report = Report {
            instance_id: *instance_id,
            sequence: self.sequence,
            cluster_uid: id.to_string(),
            held: None,
            events,
            status: Vec::new(),
            capabilities: None,
        };
        self.broker.report(actor, *id, &report).await?;
        Ok(format!("agent {agent} confirms removals"))
    }

    async fn state(&self, agent: usize) -> Result<TargetState> {
        let id = self.agents[agent].0;
        match self.broker.target_state(&self.actor, id, PollRequest::default()).await? {
            PollAnswer::Changed(state) => Ok((*state).clone()),
            PollAnswer::Unchanged { .. } => Err("an answer without a target state".into()),
        }
    }

    /// The target state after the broker has decided about losses, which it does soon after it is asked; else the last one.
    async fn settled(&self, agent: usize) -> Result<TargetState> {
        let began = Instant::now();
        loop {
            let state = self.state(agent).await?;
            let is_told = |stack: usize| told(&state, self.stacks[stack]) == self.model.told(stack, agent);
            if (0..STACKS).all(is_told) || began.elapsed() > SETTLES {
                return Ok(state);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Compares what each agent is told with the model, and its digest with the one before.
    async fn compare(&mut self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for agent in 0..AGENTS {
            let state = self.settled(agent).await?;
            wrong.extend(state.defect(self.agents[agent].0).map(str::to_owned));
            let mut all = Vec::new();
            for stack in 0..STACKS {
                let (told, expected) = (told(&state, self.stacks[stack]), self.model.told(stack, agent));
                if told != expected {
                    wrong.push(format!("agent {agent} is told to {told} stack {stack}; expected {expected}"));
                }
                all.push(expected);
            }
            let digest = state.digest;
            if let Some((before, old)) = self.before.insert(agent, (all.clone(), digest))
                && (before == all) != (old == digest)
            {
                wrong.push(format!("agent {agent}: the digest changes with {before:?} and {all:?}, or does not"));
            }
        }
        Ok(wrong)
    }
}

/// A step that is not possible now.
fn nothing() -> BrokerResult<String> {
    Ok("nothing to do".to_owned())
}

fn told(state: &TargetState, stack: StackId) -> String {
    let Some(entry) = state.entries.iter().find(|entry| entry.stack_id == stack) else {
        return "nothing".to_owned();
    };
    match (entry.action, entry.confirmed) {
        (EntryAction::Apply, _) => format!("apply {}", entry.revision.map_or(0, Revision::get)),
        (EntryAction::Hold, _) => "hold".to_owned(),
        (EntryAction::Remove, true) => "remove!".to_owned(),
        (EntryAction::Remove, false) => "remove".to_owned(),
    }
}
