//! The tables of the in-memory store, and the checking and applying of commits.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::model::Generation;
use crate::model::{
    Agent, AgentEvent, AgentId, AgentSession, ApiKey, Assignment, AuditId, AuditRecord, Change, DeploymentObject,
    DeploymentObjectId, Digest, EntityKey, EnvironmentId, EnvironmentSet, Epoch, EventId, GeneratorId,
    GeneratorPrincipal, InstanceId, KeyId, Name, Revision, Stack, StackId, StackStatus, Storage, Target, Timestamp,
    Version,
};
use crate::store::memory::answers::Answers;
use crate::store::memory::seen::Seen;
use crate::store::{
    Activity, Commit, FeedEntry, FeedPage, FeedPosition, Precondition, Scope, StoreError, StoreResult, UniqueKey,
    ViewToken,
};

/// The number of changes that the feed keeps.
const FEED_KEPT: usize = 100_000;

/// A lease and its holder.
#[derive(Default)]
pub(super) struct Held {
    /// The holder and the end of the lease; `None` if it is only noted.
    pub(super) by: Option<(InstanceId, Instant)>,
    pub(super) fencing: u64,
    pub(super) note: Value,
}

impl Held {
    /// The holder, unless the lease has ended.
    pub(super) fn holder(&self) -> Option<InstanceId> {
        self.by.filter(|(_, until)| *until > Instant::now()).map(|(holder, _)| holder)
    }
}

#[derive(Default)]
pub(super) struct State {
    /// The history number of the feed's positions, different for each store.
    number: u64,
    pub(super) generators: BTreeMap<GeneratorId, GeneratorPrincipal>,
    pub(super) keys: BTreeMap<KeyId, ApiKey>,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) sessions: HashMap<AgentId, AgentSession>,
    pub(super) stacks: BTreeMap<StackId, Stack>,
    pub(super) objects: HashMap<DeploymentObjectId, DeploymentObject>,
    pub(super) contents: HashMap<Digest, Bytes>,
    pub(super) revisions: BTreeMap<(StackId, Revision), DeploymentObjectId>,
    pub(super) targets: BTreeMap<(StackId, AgentId), Target>,
    pub(super) assignments: BTreeMap<(StackId, AgentId), Assignment>,
    pub(super) statuses: BTreeMap<(StackId, AgentId), StackStatus>,
    pub(super) events: BTreeMap<(Timestamp, EventId, AgentId), AgentEvent>,
    pub(super) event_ids: HashSet<(AgentId, EventId)>,
    /// Entities of the kinds that are stored as documents.
    pub(super) documents: BTreeMap<EntityKey, Change>,
    pub(super) audit: BTreeMap<(Timestamp, AuditId), AuditRecord>,
    pub(super) agents_seen: HashMap<AgentId, Timestamp>,
    pub(super) keys_used: HashMap<KeyId, Timestamp>,
    pub(super) answers: Answers,
    pub(super) leases: BTreeMap<String, Held>,
    feed: VecDeque<FeedEntry>,
    commits: u64,
    /// The latest time that was read or committed: time never goes back.
    latest_time: Option<Timestamp>,
}

impl State {
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// The stored version of an entity; `None` if it never existed.
    pub(super) fn version(&self, key: &EntityKey) -> Option<Version> {
        match key {
            EntityKey::Generator(id) => self.generators.get(id).map(|it| it.version),
            EntityKey::Key(id) => self.keys.get(id).map(|it| it.version),
            EntityKey::Agent(id) => self.agents.get(id).map(|it| it.version),
            EntityKey::AgentSession(id) => self.sessions.get(id).map(|it| it.version),
            EntityKey::Stack(id) => self.stacks.get(id).map(|it| it.version),
            EntityKey::DeploymentObject(id) => self.objects.get(id).map(|_| Version::FIRST),
            EntityKey::Target(stack, agent) => self.targets.get(&(*stack, *agent)).map(|it| it.version),
            EntityKey::Assignment(stack, agent) => self.assignments.get(&(*stack, *agent)).map(|it| it.version),
            EntityKey::StackStatus(stack, agent) => self.statuses.get(&(*stack, *agent)).map(|it| it.version),
            EntityKey::Environment(_)
            | EntityKey::Grant(_)
            | EntityKey::JoinToken(_)
            | EntityKey::AgentSilence(_)
            | EntityKey::StackRelease(_)
            | EntityKey::Pin(_) => self.documents.get(key).map(Change::version),
            EntityKey::Event(agent, id) => self.event_ids.contains(&(*agent, *id)).then_some(Version::FIRST),
        }
    }

    /// Checks a commit completely, without changing anything.
    pub(super) fn check(&self, commit: &Commit) -> StoreResult<()> {
        for precondition in &commit.preconditions {
            match precondition {
                Precondition::Version(key, version) if self.version(key) != Some(*version) => {
                    return Err(StoreError::Conflict(*key));
                }
                Precondition::OwnsNoStacks(owner) if self.owns_stacks_after(*owner, commit) => {
                    return Err(StoreError::Conflict(EntityKey::Generator(*owner)));
                }
                Precondition::NamedByNothing(id) if self.names_after(*id, commit) => {
                    return Err(StoreError::Conflict(EntityKey::Environment(*id)));
                }
                Precondition::Within(generator, quota, maximum) => {
                    let used = self.quota_used(*generator, *quota);
                    commit.check_quota(*generator, *quota, used, *maximum)?;
                }
                Precondition::Lease(fence) if !self.is_held(fence) => {
                    return Err(StoreError::Fenced(fence.name.clone()));
                }
                Precondition::Version(..) | Precondition::OwnsNoStacks(_) => {}
                Precondition::NamedByNothing(_) | Precondition::Lease(_) => {}
            }
        }
        for change in &commit.changes {
            let key = change.key();
            if self.version(&key).unwrap_or(Version::new(0)).next() != change.version() {
                return Err(StoreError::Conflict(key));
            }
        }
        for change in &commit.changes {
            if let Change::DeploymentObject(it) = change
                && !commit.contents.contains_key(&it.digest)
                && !self.contents.contains_key(&it.digest)
            {
                return Err(StoreError::Malformed("the commit lacks the content of a deployment object"));
            }
        }
        commit.idempotency.iter().try_for_each(|record| self.answers.check(record))?;
        self.check_unique(commit)
    }

    fn owns_stacks_after(&self, owner: GeneratorId, commit: &Commit) -> bool {
        let lives = |it: &Stack| it.generator_id == owner && it.deleted_at.is_none();
        let changed: HashSet<EntityKey> = commit.changes.iter().map(Change::key).collect();
        let stays = |it: &Stack| lives(it) && !changed.contains(&EntityKey::Stack(it.id));
        self.stacks.values().any(stays) || commit.changes.iter().any(|it| matches!(it, Change::Stack(it) if lives(it)))
    }

    /// Whether something names the environment after the commit.
    fn names_after(&self, id: EnvironmentId, commit: &Commit) -> bool {
        let Some(name) = commit.changed_environment(id) else { return false };
        let changed: HashSet<EntityKey> = commit.changes.iter().map(Change::key).collect();
        let names = |change: &Change| names_environment(change, name, commit.at);
        let all = (self.agents.values().cloned().map(Change::Agent))
            .chain(self.generators.values().cloned().map(Change::Generator))
            .chain(self.keys.values().cloned().map(Change::Key))
            .chain(self.documents.values().cloned());
        all.filter(|it| !changed.contains(&it.key())).any(|it| names(&it)) || commit.changes.iter().any(names)
    }

    fn check_unique(&self, commit: &Commit) -> StoreResult<()> {
        // Count entities that the commit changes in their new state.
        let changed: HashSet<EntityKey> = commit.changes.iter().map(Change::key).collect();
        let mut new = HashSet::new();
        let mut revisions = HashSet::new();
        let mut short_ids = HashSet::new();
        for change in &commit.changes {
            let unique = match change {
                _ if change.is_tombstone() => continue,
                Change::Generator(it) => self
                    .generators
                    .values()
                    .any(|other| {
                        other.deleted_at.is_none()
                            && other.name == it.name
                            && !changed.contains(&EntityKey::Generator(other.id))
                    })
                    .then_some(UniqueKey::GeneratorName)
                    .or_else(|| {
                        (!new.insert(("generator", None, it.name.to_string()))).then_some(UniqueKey::GeneratorName)
                    }),
                Change::Agent(it) => self
                    .agents
                    .values()
                    .any(|other| {
                        other.deleted_at.is_none()
                            && other.name == it.name
                            && !changed.contains(&EntityKey::Agent(other.id))
                    })
                    .then_some(UniqueKey::AgentName)
                    .or_else(|| (!new.insert(("agent", None, it.name.to_string()))).then_some(UniqueKey::AgentName)),
                Change::Stack(it) => self
                    .stacks
                    .values()
                    .any(|other| {
                        other.deleted_at.is_none()
                            && other.generator_id == it.generator_id
                            && other.name == it.name
                            && !changed.contains(&EntityKey::Stack(other.id))
                    })
                    .then_some(UniqueKey::StackName)
                    .or_else(|| {
                        (!new.insert(("stack", Some(it.generator_id), it.name.to_string())))
                            .then_some(UniqueKey::StackName)
                    }),
                Change::Key(it) => self
                    .keys
                    .values()
                    .any(|other| other.short_id == it.short_id && other.id != it.id)
                    .then_some(UniqueKey::KeyShortId)
                    .or_else(|| (!short_ids.insert(&it.short_id)).then_some(UniqueKey::KeyShortId)),
                Change::DeploymentObject(object) => self
                    .revisions
                    .contains_key(&(object.stack_id, object.revision))
                    .then_some(UniqueKey::StackRevision(object.revision))
                    .or_else(|| {
                        let taken = !revisions.insert((object.stack_id, object.revision));
                        taken.then_some(UniqueKey::StackRevision(object.revision))
                    }),
                document if document.key().kind().storage() == Storage::Document => {
                    let (kind, owner) = (document.key().kind(), document.generator());
                    let is_same = |other: &Change| {
                        other.key().kind() == kind && other.generator() == owner && other.name() == document.name()
                    };
                    let is_taken = document.name().is_some()
                        && self
                            .documents
                            .values()
                            .any(|other| !other.is_tombstone() && is_same(other) && !changed.contains(&other.key()));
                    let twins = commit.changes.iter().filter(|other| !other.is_tombstone() && is_same(other)).count();
                    (is_taken || document.name().is_some() && twins > 1).then_some(UniqueKey::Name(kind))
                }
                Change::Environment(_)
                | Change::Grant(_)
                | Change::JoinToken(_)
                | Change::AgentSilence(_)
                | Change::StackRelease(_)
                | Change::Pin(_)
                | Change::AgentSession(_)
                | Change::Target(_)
                | Change::Assignment(_)
                | Change::StackStatus(_)
                | Change::Event(_) => None,
            };
            if let Some(unique) = unique {
                return Err(StoreError::NotUnique(unique));
            }
        }
        Ok(())
    }

    /// Applies a checked commit and returns the position of its last change.
    pub(super) fn apply(&mut self, commit: Commit) -> FeedPosition {
        self.commits += 1;
        self.latest_time = self.latest_time.max(Some(commit.at));
        let mut position = FeedPosition { history: self.number, transaction: self.commits, sequence: 0 };
        for change in commit.changes {
            position.sequence += 1;
            self.feed.push_back(FeedEntry {
                position,
                at: commit.at,
                actor: commit.actor,
                request_id: commit.request_id,
                change: change.clone(),
            });
            self.fold(change);
        }
        while self.feed.len() > FEED_KEPT {
            self.feed.pop_front();
        }
        self.contents.extend(commit.contents);
        if let Some(record) = commit.idempotency {
            self.answers.keep(record);
        }
        self.add_audit(commit.audit);
        position
    }

    fn fold(&mut self, change: Change) {
        match change {
            Change::Generator(it) => drop(self.generators.insert(it.id, it)),
            Change::Key(it) => drop(self.keys.insert(it.id, it)),
            Change::Agent(it) => drop(self.agents.insert(it.id, it)),
            Change::AgentSession(it) => drop(self.sessions.insert(it.agent_id, it)),
            Change::Stack(it) => drop(self.stacks.insert(it.id, it)),
            Change::DeploymentObject(it) => {
                self.revisions.insert((it.stack_id, it.revision), it.id);
                self.objects.insert(it.id, it);
            }
            Change::Target(it) => drop(self.targets.insert((it.stack_id, it.agent_id), it)),
            Change::Assignment(it) => drop(self.assignments.insert((it.stack_id, it.agent_id), it)),
            Change::StackStatus(it) => drop(self.statuses.insert((it.stack_id, it.agent_id), it)),
            Change::Environment(_)
            | Change::Grant(_)
            | Change::JoinToken(_)
            | Change::AgentSilence(_)
            | Change::StackRelease(_)
            | Change::Pin(_) => {
                drop(self.documents.insert(change.key(), change));
            }
            Change::Event(it) => {
                self.event_ids.insert((it.agent_id, it.id));
                self.events.insert((it.recorded_at, it.id, it.agent_id), it);
            }
        }
    }

    pub(super) fn add_audit(&mut self, records: Vec<AuditRecord>) {
        self.audit.extend(records.into_iter().map(|record| ((record.at, record.id), record)));
    }

    pub(super) fn touch(&mut self, activity: Activity) {
        for (id, at) in activity.agents {
            let seen = self.agents_seen.entry(id).or_insert(at);
            *seen = at.max(*seen);
        }
        for (id, at) in activity.keys {
            let used = self.keys_used.entry(id).or_insert(at);
            *used = at.max(*used);
        }
    }

    /// The time, given that of the clock.
    pub(super) fn time(&mut self, now: Timestamp) -> Timestamp {
        let latest = self.latest_time.map_or(now, |latest| latest.max(now));
        self.latest_time = Some(latest);
        latest
    }

    pub(super) fn token(&self, epoch: Epoch) -> ViewToken {
        ViewToken::new(epoch, Generation::new(self.commits + 1), Seen { commits: self.commits })
    }

    /// The stored changes of transactions from `first` on.
    pub(super) fn changes_since(&self, first: u64) -> StoreResult<impl Iterator<Item = &FeedEntry>> {
        self.kept_from(FeedPosition { history: self.number, transaction: first, sequence: 0 })
    }

    fn kept_from(&self, position: FeedPosition) -> StoreResult<impl Iterator<Item = &FeedEntry>> {
        // The oldest stored transaction may be incomplete.
        if self.feed.len() >= FEED_KEPT && self.feed.front().is_some_and(|oldest| position <= oldest.position) {
            return Err(StoreError::Expired);
        }
        let start = self.feed.partition_point(|entry| entry.position < position);
        Ok(self.feed.range(start..))
    }

    pub(super) fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage> {
        if after != FeedPosition::START && (after.history != self.number || after.transaction > self.commits) {
            return Err(StoreError::Expired);
        }
        let from = FeedPosition { sequence: after.sequence.saturating_add(1), ..after };
        let mut next = after;
        let mut entries = Vec::new();
        for entry in self.kept_from(from)? {
            if entries.len() == limit {
                break;
            }
            next = entry.position;
            let visible = match scope {
                Scope::All => true,
                Scope::Generator(id) => entry.change.generator() == Some(*id),
                Scope::Limited { .. } | Scope::Agent { .. } => false,
            };
            if visible {
                entries.push(entry.clone());
            }
        }
        Ok(FeedPage { entries, next })
    }

    pub(super) fn view_entities(&self) -> Vec<Change> {
        let latest =
            self.stacks.values().filter(|stack| stack.deleted_at.is_none()).filter_map(|stack| self.latest(stack.id));
        let all = (self.generators.values().cloned().map(Change::Generator))
            .chain(self.keys.values().cloned().map(Change::Key))
            .chain(self.agents.values().cloned().map(Change::Agent))
            .chain(self.stacks.values().cloned().map(Change::Stack))
            .chain(latest.cloned().map(Change::DeploymentObject))
            .chain(self.targets.values().cloned().map(Change::Target))
            .chain(self.assignments.values().cloned().map(Change::Assignment));
        let documents = self.documents.values().filter(|it| it.key().kind().is_in_view()).cloned();
        all.chain(documents).filter(|entity| !entity.is_gone()).collect()
    }

    /// The newest deployment object of a stack.
    pub(super) fn latest(&self, stack: StackId) -> Option<&DeploymentObject> {
        let all = (stack, Revision::new(0))..=(stack, Revision::new(u64::MAX));
        let (_, id) = self.revisions.range(all).next_back()?;
        self.objects.get(id)
    }
}

/// Whether an entity names an environment: a living agent or generator, or a key or join token that is usable.
fn names_environment(change: &Change, name: &Name, at: Timestamp) -> bool {
    let among = |set: &Option<EnvironmentSet>| set.as_ref().is_some_and(|set| set.contains(Some(name)));
    match change {
        Change::Agent(it) => it.deleted_at.is_none() && it.environment.as_ref() == Some(name),
        Change::Generator(it) => it.deleted_at.is_none() && among(&it.environments),
        Change::Key(it) => it.is_usable(at) && among(&it.environments),
        Change::JoinToken(it) => {
            it.is_usable(at) && (it.environment.as_ref() == Some(name) || among(&it.keys_environments))
        }
        _ => false,
    }
}
