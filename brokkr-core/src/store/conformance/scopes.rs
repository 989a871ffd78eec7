//! Checks of scopes: no caller sees the rows of another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Agent, ApiKey, Change, DeploymentObject, GeneratorPrincipal, GrantId, KeyOwner, Stack, Version};
use crate::store::conformance::fixture::{is_not_found, put, system};
use crate::store::conformance::sample;
use crate::store::{AuditFilter, EntityQuery, EventFilter, Page, Scope, Store, StoreExt as _};

/// A generator sees its own stacks and what belongs to them, itself, its keys, and the agents that serve it.
pub async fn generator_sees_only_its_own_rows(store: Arc<dyn Store>) {
    let (mine, others) = (sample::generator("mine"), sample::generator("others"));
    let stack = |name: &str, owner| Stack { generator_id: owner, ..sample::stack(name) };
    let (own, foreign) = (stack("own", mine.id), stack("foreign", others.id));
    let agent =
        |name: &str, owner| Agent { registrations: BTreeMap::from([(owner, GrantId::DEFAULT)]), ..sample::agent(name) };
    let (serving, stranger) = (agent("serving", mine.id), agent("stranger", others.id));
    let own_key = sample::key(KeyOwner::Generator { id: mine.id }, "own");
    let foreign_key = sample::key(KeyOwner::Generator { id: others.id }, "foreign");
    put(&store, vec![Change::Generator(mine.clone()), Change::Generator(others.clone())]).await;
    let (own_object, foreign_object) = (sample::object(&own, 1), sample::object(&foreign, 1));
    let mut changes = vec![
        Change::Stack(own.clone()),
        Change::Stack(foreign.clone()),
        Change::Agent(serving.clone()),
        Change::Agent(stranger.clone()),
        Change::Key(own_key.clone()),
        Change::Key(foreign_key.clone()),
        Change::DeploymentObject(own_object.clone()),
        Change::DeploymentObject(foreign_object.clone()),
    ];
    for (stack, agent) in [(&own, &serving), (&foreign, &stranger)] {
        changes.push(Change::Target(sample::target(stack, agent)));
        changes.push(Change::Assignment(sample::assignment(stack, agent)));
        changes.push(Change::StackStatus(sample::status(stack, agent)));
        changes.push(Change::Event(sample::event(stack, agent, 0)));
    }
    put(&store, changes).await;

    let scope = &Scope::Generator(mine.id);
    let first = Page::default;
    assert!(store.get::<GeneratorPrincipal>(scope, mine.id).await.is_ok());
    assert!(is_not_found(store.get::<GeneratorPrincipal>(scope, others.id).await));
    assert_eq!(
        store.list::<GeneratorPrincipal>(scope, &EntityQuery::default(), &first()).await.expect("list").items.len(),
        1
    );
    assert!(store.get::<Stack>(scope, own.id).await.is_ok());
    assert!(is_not_found(store.get::<Stack>(scope, foreign.id).await));
    assert!(is_not_found(store.stack_by_name(scope, others.id, &foreign.name).await));
    let stacks = store.list::<Stack>(scope, &EntityQuery::default(), &Page::default()).await.expect("list").items;
    assert_eq!(stacks, [own.clone()]);
    let found = store.stack_find_with_tombstones(scope, &[own.id, foreign.id]).await.expect("find");
    assert_eq!(found, [own.clone()]);
    assert!(store.get::<Agent>(scope, serving.id).await.is_ok());
    assert!(is_not_found(store.get::<Agent>(scope, stranger.id).await));
    let agents = store.list::<Agent>(scope, &EntityQuery::default(), &Page::default()).await.expect("list").items;
    assert_eq!(agents, [serving.clone()]);
    assert!(store.get::<ApiKey>(scope, own_key.id).await.is_ok());
    assert!(is_not_found(store.get::<ApiKey>(scope, foreign_key.id).await));
    let owners = [own_key.owner, foreign_key.owner];
    assert_eq!(store.key_list(scope, &owners, &Page::default()).await.expect("list").items, [own_key]);
    assert!(store.deployment_object_content(scope, own_object.id).await.is_ok());
    assert!(is_not_found(store.deployment_object_content(scope, foreign_object.id).await));
    assert!(is_not_found(store.get::<DeploymentObject>(scope, foreign_object.id).await));
    assert!(is_not_found(store.deployment_object_latest(scope, foreign.id).await));
    assert!(is_not_found(store.deployment_object_list(scope, foreign.id, &Page::default()).await));
    assert!(store.target_find(scope, own.id, serving.id).await.expect("find").is_some());
    assert_eq!(store.target_find(scope, foreign.id, stranger.id).await.expect("find"), None);
    assert!(store.target_list(scope, foreign.id, None, &Page::default()).await.expect("list").items.is_empty());
    assert!(store.assignment_of_stack(scope, foreign.id).await.expect("list").is_empty());
    let agents = [serving.id, stranger.id];
    assert!(store.stack_status_of_stack(scope, foreign.id, &agents).await.expect("list").is_empty());
    assert_eq!(store.stack_status_of_stack(scope, own.id, &agents).await.expect("list").len(), 1);
    assert!(store.stack_progress(scope, foreign.id).await.expect("list").is_empty());
    assert_eq!(store.stack_progress(scope, own.id).await.expect("list").len(), 1);
    let events = store.event_list(scope, &EventFilter::default(), &Page::default()).await.expect("list").items;
    assert!(events.len() == 1 && events.iter().all(|event| event.stack_id == own.id));
    assert!(store.audit_list(scope, &AuditFilter::default(), &Page::default()).await.expect("list").items.is_empty());
}

/// An agent sees itself, the stacks in its target state, and its own reports.
pub async fn agent_sees_only_its_own_rows(store: Arc<dyn Store>) {
    system(&store).await;
    let (me, other) = (sample::agent("me"), sample::agent("other"));
    let (listed, hidden) = (sample::stack("listed"), sample::stack("hidden"));
    let (listed_object, hidden_object) = (sample::object(&listed, 1), sample::object(&hidden, 1));
    put(
        &store,
        vec![
            Change::Agent(me.clone()),
            Change::Agent(other.clone()),
            Change::Stack(listed.clone()),
            Change::Stack(hidden.clone()),
            Change::DeploymentObject(listed_object.clone()),
            Change::DeploymentObject(hidden_object.clone()),
            Change::StackStatus(sample::status(&listed, &other)),
            Change::Event(sample::event(&listed, &other, 0)),
            Change::Event(sample::event(&listed, &me, 1)),
        ],
    )
    .await;
    let scope = &Scope::Agent { id: me.id, stacks: Arc::new(BTreeSet::from([listed.id])) };
    assert!(store.get::<Agent>(scope, me.id).await.is_ok());
    assert!(is_not_found(store.get::<Agent>(scope, other.id).await));
    assert!(store.deployment_object_content(scope, listed_object.id).await.is_ok());
    assert!(is_not_found(store.deployment_object_content(scope, hidden_object.id).await));
    assert!(is_not_found(store.get::<Stack>(scope, hidden.id).await));
    assert!(
        store
            .list::<GeneratorPrincipal>(scope, &EntityQuery::default(), &Page::default())
            .await
            .expect("list")
            .items
            .is_empty()
    );
    let found = store.stack_status_of_stack(scope, listed.id, &[me.id, other.id]).await.expect("list");
    assert!(found.is_empty(), "the status of another agent is visible");
    assert!(
        store.stack_progress(scope, listed.id).await.expect("list").is_empty(),
        "the status of another agent is visible"
    );
    let events = store.event_list(scope, &EventFilter::default(), &Page::default()).await.expect("list").items;
    assert!(events.len() == 1 && events.iter().all(|event| event.agent_id == me.id));
}

/// Deleted entities are not found, except by reads that include tombstones.
pub async fn tombstones_are_not_found(store: Arc<dyn Store>) {
    system(&store).await;
    let stack = sample::stack("web");
    put(&store, vec![Change::Stack(stack.clone()), Change::DeploymentObject(sample::object(&stack, 1))]).await;
    let gone = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..stack.clone() };
    put(&store, vec![Change::Stack(gone.clone())]).await;
    let all = &Scope::All;
    assert!(is_not_found(store.get::<Stack>(all, stack.id).await));
    assert!(is_not_found(store.stack_by_name(all, stack.generator_id, &stack.name).await));
    assert!(store.list::<Stack>(all, &EntityQuery::default(), &Page::default()).await.expect("list").items.is_empty());
    assert!(is_not_found(store.deployment_object_latest(all, stack.id).await));
    assert_eq!(store.stack_find_with_tombstones(all, &[stack.id]).await.expect("find"), [gone]);
}
