//! The state of a random history, and proposals for its next commit.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    AgentId, AgentStatus, AssignmentState, Change, EntityKey, EnvironmentSet, GeneratorId, GrantId, KeyOwner, Labels,
    Name, ReleaseMode, Revision, Stack, StackId, StackPhase, Version,
};
use crate::store::Precondition;
use crate::store::conformance::random::dice::Dice;
use crate::store::conformance::sample;

/// The current state of every entity of a history.
pub(super) struct World {
    seed: u64,
    pub(super) entities: BTreeMap<EntityKey, Change>,
    events: i64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, entities: BTreeMap::new(), events: 0 }
    }

    pub(super) fn take(&mut self, changes: &[Change]) {
        for change in changes {
            self.entities.insert(change.key(), change.clone());
        }
    }

    fn of<T: Clone>(&self, pick: impl Fn(&Change) -> Option<T>) -> Vec<T> {
        self.entities.values().filter_map(pick).collect()
    }

    pub(super) fn generators(&self) -> Vec<GeneratorId> {
        let mut ids = self.of(|change| match change {
            Change::Generator(it) => Some(it.id),
            _ => None,
        });
        ids.push(GeneratorId::SYSTEM);
        ids
    }

    pub(super) fn stacks(&self) -> Vec<Stack> {
        self.of(|change| match change {
            Change::Stack(it) => Some(it.clone()),
            _ => None,
        })
    }

    pub(super) fn agents(&self) -> Vec<crate::model::Agent> {
        self.of(|change| match change {
            Change::Agent(it) => Some(it.clone()),
            _ => None,
        })
    }

    /// Proposes one to three changes of different entities, most of them valid, and sometimes a precondition.
    pub(super) fn propose(&mut self, dice: &mut Dice) -> (Vec<Change>, Vec<Precondition>) {
        let mut changes: BTreeMap<EntityKey, Change> = BTreeMap::new();
        for _ in 0..=dice.below(3) {
            let change = self.change(dice);
            // At most one named entity per kind: whether a commit may move a name between entities is the store's
            // choice.
            let named = |it: &Change| it.name().is_some() && !matches!(it, Change::Key(_));
            let same_kind = |it: &Change| changes.keys().any(|key| key.kind() == it.key().kind());
            if let Some(change) = change.filter(|it| !named(it) || !same_kind(it)) {
                changes.entry(change.key()).or_insert(change);
            }
        }
        let mut preconditions = Vec::new();
        let known: Vec<(EntityKey, Version)> = self.entities.iter().map(|(key, it)| (*key, it.version())).collect();
        if dice.once_in(3)
            && let Some((key, version)) = dice.pick(&known)
        {
            let version = if dice.once_in(6) { version.next() } else { *version };
            preconditions.push(Precondition::Version(*key, version));
        }
        (changes.into_values().collect(), preconditions)
    }

    /// The next version; rarely a wrong one.
    fn version(&self, key: EntityKey, dice: &mut Dice) -> Version {
        let stored = self.entities.get(&key).map_or(Version::new(0), Change::version);
        match dice.below(25) {
            0 => stored.next().next(),
            1 if stored.get() > 0 => stored,
            _ => stored.next(),
        }
    }

    fn name(&self, kind: &str, dice: &mut Dice) -> String {
        // Few names, so that collisions occur.
        format!("{kind}{}-{}", self.seed, dice.below(8))
    }

    fn labels(dice: &mut Dice) -> Labels {
        let pairs = (0..dice.below(3)).map(|n| (format!("k{n}"), format!("v{}", n % 2)));
        Labels::try_from(pairs.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    }

    pub(super) fn environment_name(dice: &mut Dice) -> Option<Name> {
        dice.pick(&["dev", "prod"])?.parse().ok()
    }

    fn environments(dice: &mut Dice) -> Option<EnvironmentSet> {
        let names = (0..dice.below(3)).filter_map(|_| Self::environment_name(dice));
        names.collect::<BTreeSet<_>>().try_into().ok()
    }

    fn change(&mut self, dice: &mut Dice) -> Option<Change> {
        let (stacks, agents) = (self.stacks(), self.agents());
        match dice.below(15) {
            0 if dice.once_in(3) => Some(self.environment(dice)),
            0 if dice.once_in(3) => Some(self.join_token(dice)),
            0 if dice.once_in(2) => Some(self.grant(dice)),
            0 => Some(self.generator(dice)),
            1 | 2 => Some(self.agent(&agents, dice)),
            3 => self.key(&agents, dice),
            4..=6 => self.stack(&stacks, dice),
            7 | 8 => self.object(dice.pick(&stacks)?, dice),
            9 if dice.once_in(4) => {
                let mut silence = sample::silence(dice.pick(&agents)?);
                silence.version = self.version(EntityKey::AgentSilence(silence.agent_id), dice);
                silence.ended_at = dice.once_in(2).then(|| sample::time(300));
                silence.deleted_at = (silence.version.get() > 1 && dice.once_in(4)).then(|| sample::time(400));
                Some(Change::AgentSilence(silence))
            }
            13 => self.release(dice.pick(&stacks)?, dice),
            14 => self.pin(dice.pick(&stacks)?, dice.pick(&agents)?, dice),
            9 => {
                let mut session = sample::session(dice.pick(&agents)?);
                session.version = self.version(EntityKey::AgentSession(session.agent_id), dice);
                session.sequence = dice.below(1_000) as u64;
                Some(Change::AgentSession(session))
            }
            n => {
                let (stack, agent) = (dice.pick(&stacks)?.clone(), dice.pick(&agents)?.clone());
                self.pair(n, &stack, &agent, dice)
            }
        }
    }

    fn generator(&self, dice: &mut Dice) -> Change {
        let known = self.of(|change| match change {
            Change::Generator(it) => Some(it.clone()),
            _ => None,
        });
        let mut generator = match dice.pick(&known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => sample::generator(&self.name("g", dice)),
        };
        generator.environments = Self::environments(dice);
        generator.version = self.version(EntityKey::Generator(generator.id), dice);
        if generator.version.get() > 1 && dice.once_in(3) {
            generator.deleted_at = Some(sample::time(self.events));
        }
        Change::Generator(generator)
    }

    fn environment(&self, dice: &mut Dice) -> Change {
        let known = self.of(|change| match change {
            Change::Environment(it) => Some(it.clone()),
            _ => None,
        });
        let mut environment = match dice.pick(&known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => sample::environment(&self.name("e", dice)),
        };
        environment.version = self.version(EntityKey::Environment(environment.id), dice);
        environment.protected = dice.once_in(2);
        environment.rank = u32::try_from(dice.below(4)).unwrap_or_default();
        if environment.version.get() > 1 && dice.once_in(3) {
            environment.deleted_at = Some(sample::time(self.events));
        }
        Change::Environment(environment)
    }

    fn grant(&self, dice: &mut Dice) -> Change {
        let known = self.of(|change| match change {
            Change::Grant(it) => Some(it.clone()),
            _ => None,
        });
        let mut grant = match dice.pick(&known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => sample::grant(&self.name("r", dice)),
        };
        grant.version = self.version(EntityKey::Grant(grant.id), dice);
        grant.rules.external_ips = dice.once_in(2);
        if grant.version.get() > 1 && dice.once_in(3) {
            grant.deleted_at = Some(sample::time(self.events));
        }
        Change::Grant(grant)
    }

    fn join_token(&self, dice: &mut Dice) -> Change {
        let known = self.of(|change| match change {
            Change::JoinToken(it) => Some(it.clone()),
            _ => None,
        });
        let mut token = match dice.pick(&known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => sample::join_token(&self.name("j", dice)),
        };
        token.version = self.version(EntityKey::JoinToken(token.id), dice);
        token.uses = u32::try_from(dice.below(10)).unwrap_or_default();
        if token.version.get() > 1 && dice.once_in(3) {
            token.deleted_at = Some(sample::time(self.events));
        }
        Change::JoinToken(token)
    }

    fn agent(&self, known: &[crate::model::Agent], dice: &mut Dice) -> Change {
        let mut agent = match dice.pick(known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => sample::agent(&self.name("a", dice)),
        };
        agent.version = self.version(EntityKey::Agent(agent.id), dice);
        agent.labels = Self::labels(dice);
        agent.environment = dice.once_in(2).then(|| Self::environment_name(dice)).flatten();
        let grants = [GrantId::DEFAULT, GrantId::UNRESTRICTED];
        let registrations = self.generators().into_iter().filter(|_| dice.once_in(2)).collect::<Vec<_>>();
        agent.registrations = registrations.into_iter().zip(grants.into_iter().cycle()).collect();
        if dice.once_in(5) {
            agent.status = AgentStatus::Cordoned;
        }
        agent.suspended = dice.once_in(5).then(sample::suspension);
        if agent.version.get() > 1 {
            agent.deleted_at = dice.once_in(8).then(|| sample::time(1));
        }
        Change::Agent(agent)
    }

    fn key(&self, agents: &[crate::model::Agent], dice: &mut Dice) -> Option<Change> {
        let known = self.of(|change| match change {
            Change::Key(it) => Some(it.clone()),
            _ => None,
        });
        let owner = match dice.below(3) {
            0 => KeyOwner::Admin,
            1 => KeyOwner::Generator { id: *dice.pick(&self.generators())? },
            _ => KeyOwner::Agent { id: dice.pick(agents)?.id },
        };
        let mut key = match dice.pick(&known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => sample::key(owner, &format!("s{}x{}", self.seed, dice.below(30))),
        };
        key.version = self.version(EntityKey::Key(key.id), dice);
        key.environments = Self::environments(dice);
        if dice.below(2) == 0 {
            key.subject = None;
            key.source_networks = ["10.20.0.0/16", "2001:db8::/32"].iter().filter_map(|it| it.parse().ok()).collect();
        }
        if key.version.get() > 1 {
            key.deleted_at = Some(sample::time(2));
        }
        Some(Change::Key(key))
    }

    fn stack(&self, known: &[Stack], dice: &mut Dice) -> Option<Change> {
        let mut stack = match dice.pick(known) {
            Some(known) if dice.once_in(2) => known.clone(),
            _ => Stack { generator_id: *dice.pick(&self.generators())?, ..sample::stack(&self.name("w", dice)) },
        };
        stack.version = self.version(EntityKey::Stack(stack.id), dice);
        stack.labels = Self::labels(dice);
        stack.release = if dice.once_in(2) { ReleaseMode::Gated } else { ReleaseMode::Immediate };
        stack.suspended = dice.once_in(4).then(sample::suspension);
        stack.deletion_protection = dice.once_in(4);
        stack.expires_at = dice.once_in(4).then(|| sample::time(9));
        if dice.once_in(4) {
            stack.name = self.name("w", dice).parse().ok()?;
        }
        if stack.version.get() > 1 && dice.once_in(4) {
            stack.phase = StackPhase::Deleting;
            stack.deleted_at = dice.once_in(2).then(|| sample::time(3));
        }
        Some(Change::Stack(stack))
    }

    fn object(&self, stack: &Stack, dice: &mut Dice) -> Option<Change> {
        let revisions = self.of(|change| match change {
            Change::DeploymentObject(it) if it.stack_id == stack.id => Some(it.revision),
            _ => None,
        });
        let latest = revisions.into_iter().max().unwrap_or(Revision::new(0));
        let revision = if latest.get() > 0 && dice.once_in(8) { latest } else { latest.next() };
        Some(Change::DeploymentObject(sample::object(stack, revision.get())))
    }

    fn release(&self, stack: &Stack, dice: &mut Dice) -> Option<Change> {
        let environments = self.of(|change| match change {
            Change::Environment(it) => Some(it.clone()),
            _ => None,
        });
        let mut release = sample::stack_release(stack, dice.pick(&environments).filter(|_| dice.once_in(2)));
        release.version = self.version(EntityKey::StackRelease(release.id), dice);
        if dice.once_in(2) {
            (release.stable, release.suspended) = (None, None);
        }
        Some(Change::StackRelease(release))
    }

    fn pin(&self, stack: &Stack, agent: &crate::model::Agent, dice: &mut Dice) -> Option<Change> {
        let mut pin = sample::pin(stack, agent);
        pin.version = self.version(EntityKey::Pin(pin.id), dice);
        pin.expires_at = pin.expires_at.filter(|_| dice.once_in(2));
        pin.deleted_at = (pin.version.get() > 1 && dice.once_in(2)).then(|| sample::time(4));
        Some(Change::Pin(pin))
    }

    fn pair(&mut self, kind: usize, stack: &Stack, agent: &crate::model::Agent, dice: &mut Dice) -> Option<Change> {
        let (s, a): (StackId, AgentId) = (stack.id, agent.id);
        match kind {
            10 => {
                let mut target = sample::target(stack, agent);
                target.version = self.version(EntityKey::Target(s, a), dice);
                target.deleted_at = (target.version.get() > 1 && dice.once_in(2)).then(|| sample::time(4));
                Some(Change::Target(target))
            }
            11 => {
                use AssignmentState::{Abandoned, Gone, Listed, Lost, Withdrawn};
                let mut assignment = sample::assignment(stack, agent);
                assignment.version = self.version(EntityKey::Assignment(s, a), dice);
                assignment.state = *dice.pick(&[Listed, Lost, Withdrawn, Gone, Abandoned])?;
                Some(Change::Assignment(assignment))
            }
            _ if dice.once_in(2) => {
                let mut status = sample::status(stack, agent);
                status.version = self.version(EntityKey::StackStatus(s, a), dice);
                status.attempts = dice.below(100) as u64;
                Some(Change::StackStatus(status))
            }
            _ => {
                self.events += 1;
                Some(Change::Event(sample::event(stack, agent, self.events % 7)))
            }
        }
    }
}
