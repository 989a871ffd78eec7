//! Comparison of two stores after a history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Agent, AgentSilence, ApiKey, Change, EntityKey, Environment, GeneratorId, GeneratorPrincipal, Grant, JoinToken,
    Pin, Stack, StackProgress, StackRelease,
};
use crate::store::conformance::random::dice::Dice;
use crate::store::conformance::random::world::World;
use crate::store::{
    EntityQuery, EventFilter, FeedPosition, Page, Scope, Store, StoreError, StoreExt as _, StoreResult, ViewToken,
};

/// Compares reads of all entities of the history, in different scopes.
pub(super) async fn compare(left: &Arc<dyn Store>, right: &Arc<dyn Store>, world: &World, dice: &mut Dice, seed: u64) {
    let stacks = world.stacks();
    let agents = world.agents();
    let mut scopes: Vec<Scope> = vec![Scope::All];
    scopes.extend(world.generators().iter().take(2).map(|id| Scope::Generator(*id)));
    scopes.extend(agents.first().map(|agent| {
        let listed: BTreeSet<_> = stacks.iter().filter(|_| dice.once_in(2)).map(|stack| stack.id).collect();
        Scope::Agent { id: agent.id, stacks: Arc::new(listed) }
    }));
    for scope in &scopes {
        // Read every entity in the scope of everything, and a sample in narrower scopes.
        let some = |_: &&Change| *scope == Scope::All || dice.once_in(3);
        let changes: Vec<&Change> = world.entities.values().filter(some).collect();
        for change in changes {
            let (one, other) = (read(left, scope, change).await, read(right, scope, change).await);
            for (n, (one, other)) in one.iter().zip(&other).enumerate() {
                assert_eq!(one, other, "seed {seed}, {scope:?}, answer {n} about {:?}", change.key());
            }
        }
        for generator in world.generators().into_iter().filter(|id| *id != GeneratorId::SYSTEM) {
            let (one, other) = (lists(left, scope, generator).await, lists(right, scope, generator).await);
            assert_eq!(one, other, "seed {seed}, {scope:?}, lists of {generator}");
        }
    }
}

/// A result in a comparable form, with errors reduced to their kind.
fn comparable<T: Debug>(result: StoreResult<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(StoreError::NotFound) => "not found".to_owned(),
        Err(error) => format!("unexpected: {error}"),
    }
}

fn by_agent(mut progress: Vec<StackProgress>) -> Vec<StackProgress> {
    progress.sort_by_key(|it| it.agent_id);
    progress
}

/// All reads about an entity.
async fn read(store: &Arc<dyn Store>, scope: &Scope, change: &Change) -> Vec<String> {
    match change {
        Change::Generator(it) => vec![comparable(store.get::<GeneratorPrincipal>(scope, it.id).await)],
        Change::Environment(it) => {
            let named = EntityQuery { name: Some(it.name.clone()), ..EntityQuery::default() };
            vec![
                comparable(store.get::<Environment>(scope, it.id).await),
                comparable(store.list::<Environment>(scope, &named, &Page::first(3)).await),
            ]
        }
        Change::Grant(it) => {
            let named = EntityQuery { name: Some(it.name.clone()), ..EntityQuery::default() };
            vec![
                comparable(store.get::<Grant>(scope, it.id).await),
                comparable(store.list::<Grant>(scope, &named, &Page::first(3)).await),
            ]
        }
        Change::JoinToken(it) => {
            let named = EntityQuery { name: Some(it.name.clone()), ..EntityQuery::default() };
            vec![
                comparable(store.get::<JoinToken>(scope, it.id).await),
                comparable(store.list::<JoinToken>(scope, &named, &Page::first(3)).await),
            ]
        }
        Change::StackRelease(it) => vec![
            comparable(store.get::<StackRelease>(scope, it.id).await),
            comparable(store.entity_version(EntityKey::StackRelease(it.id)).await),
            comparable(store.list::<StackRelease>(scope, &EntityQuery::default(), &Page::first(3)).await),
        ],
        Change::Pin(it) => vec![
            comparable(store.get::<Pin>(scope, it.id).await),
            comparable(store.entity_version(EntityKey::Pin(it.id)).await),
            comparable(store.list::<Pin>(scope, &EntityQuery::default(), &Page::first(3)).await),
        ],
        Change::Key(it) => vec![
            comparable(store.get::<ApiKey>(scope, it.id).await),
            comparable(store.key_list(scope, &[it.owner], &Page::first(3)).await.map(|page| page.next.is_some())),
        ],
        Change::Agent(it) => {
            vec![
                comparable(store.get::<Agent>(scope, it.id).await),
                comparable(store.agent_session(scope, it.id).await),
            ]
        }
        Change::AgentSilence(it) => vec![
            comparable(store.get::<AgentSilence>(scope, it.agent_id).await),
            comparable(store.list::<AgentSilence>(scope, &EntityQuery::default(), &Page::first(2)).await),
        ],
        Change::AgentSession(it) => vec![
            comparable(store.agent_session(scope, it.agent_id).await),
            comparable(store.agent_capabilities(scope, &[it.agent_id]).await),
        ],
        Change::Stack(it) => vec![
            comparable(store.get::<Stack>(scope, it.id).await),
            comparable(store.stack_by_name(scope, it.generator_id, &it.name).await),
            comparable(store.stack_find_with_tombstones(scope, &[it.id]).await),
            comparable(store.deployment_object_latest(scope, it.id).await),
            comparable(store.deployment_object_list(scope, it.id, &Page::first(2)).await),
            comparable(store.target_list(scope, it.id, None, &Page::first(2)).await),
            comparable(store.assignment_of_stack(scope, it.id).await),
            comparable(store.stack_progress(scope, it.id).await.map(by_agent)),
        ],
        Change::DeploymentObject(it) => vec![
            comparable(store.deployment_object_content(scope, it.id).await),
            comparable(store.deployment_object_by_revision(scope, it.stack_id, it.revision).await),
        ],
        Change::Target(it) => vec![comparable(store.target_find(scope, it.stack_id, it.agent_id).await)],
        Change::Assignment(it) => vec![comparable(store.assignment_find(scope, it.agent_id, &[it.stack_id]).await)],
        Change::StackStatus(it) => vec![
            comparable(store.stack_status_find(scope, it.agent_id, &[it.stack_id]).await),
            comparable(store.stack_status_of_stack(scope, it.stack_id, &[it.agent_id]).await),
        ],
        Change::Event(it) => {
            let filter = EventFilter { agent: Some(it.agent_id), stack: Some(it.stack_id), ..EventFilter::default() };
            vec![
                comparable(store.event_known(scope, it.agent_id, &[it.id]).await),
                comparable(store.event_list(scope, &filter, &Page::first(3)).await),
            ]
        }
    }
}

/// Pages of lists of one generator's entities.
async fn lists(store: &Arc<dyn Store>, scope: &Scope, generator: GeneratorId) -> Vec<String> {
    let mut results = Vec::new();
    for labels in ["", "k0=v0", "k1", "!k0,k1!=v0", "k0 notin (v1)"] {
        let labels: crate::model::LabelSelector = labels.parse().unwrap_or_default();
        let filter = EntityQuery { generator: Some(generator), labels: labels.clone(), ..EntityQuery::default() };
        let mut page = Page::first(2);
        loop {
            let listing = store.list::<Stack>(scope, &filter, &page).await;
            page.after = listing.as_ref().ok().and_then(|listing| listing.next);
            results.push(comparable(listing));
            if page.after.is_none() {
                break;
            }
        }
        let of_generator = Scope::Generator(generator);
        results.push(comparable(
            store
                .list::<Agent>(&of_generator, &EntityQuery { labels, ..EntityQuery::default() }, &Page::first(3))
                .await,
        ));
    }
    results
}

/// Follows a store's view and its feed.
pub(super) struct Follower {
    token: ViewToken,
    position: FeedPosition,
}

/// The changes since a follower's last read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// The latest state of each changed entity of the view.
    view: BTreeMap<EntityKey, Change>,
    feed: Vec<Change>,
}

impl Follower {
    /// Starts at the current end of view and feed.
    pub(super) async fn begin(store: &Arc<dyn Store>) -> Self {
        let token = store.view_snapshot().await.expect("a snapshot").token;
        let mut follower = Self { token, position: FeedPosition::START };
        follower.read_feed(store, 1).await;
        follower
    }

    /// Reads the next `count` changes.
    pub(super) async fn news(&mut self, store: &Arc<dyn Store>, changes: usize) -> News {
        let tail = store.view_tail(&self.token).await.expect("a tail");
        self.token = tail.token;
        let view = tail.entities.into_iter().map(|entity| (entity.key(), entity)).collect();
        News { view, feed: self.read_feed(store, changes).await }
    }

    /// A concurrent transaction elsewhere may delay the feed briefly.
    async fn read_feed(&mut self, store: &Arc<dyn Store>, count: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        for _ in 0..10_000 {
            let page = store.feed(&Scope::All, self.position, 50).await.expect("a feed");
            if page.next == self.position {
                if changes.len() >= count {
                    return changes;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            self.position = page.next;
            changes.extend(page.entries.into_iter().map(|entry| entry.change));
        }
        panic!("the feed does not reach {count} changes: {changes:?}");
    }
}
