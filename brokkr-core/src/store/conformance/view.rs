//! Checks of the view: a snapshot, then every later change once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Assignment, AssignmentState, Change, EntityKey, KeyOwner, Stack, Version};
use crate::store::Store;
use crate::store::conformance::fixture::{put, system, writers};
use crate::store::conformance::sample;

fn keys(entities: &[Change]) -> Vec<EntityKey> {
    let mut keys: Vec<EntityKey> = entities.iter().map(Change::key).collect();
    keys.sort_unstable();
    keys
}

/// A snapshot contains the living entities of the view's kinds and only the newest deployment object of each stack.
pub async fn snapshot_contains_the_living_entities_of_the_view(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, gone, agent) = (sample::stack("web"), sample::stack("gone"), sample::agent("edge"));
    let key = sample::key(KeyOwner::Admin, "short");
    let (first, second) = (sample::object(&stack, 1), sample::object(&stack, 2));
    let (open, done) = (sample::assignment(&stack, &agent), sample::assignment(&gone, &agent));
    put(
        &store,
        vec![
            Change::Stack(stack.clone()),
            Change::Stack(gone.clone()),
            Change::Agent(agent.clone()),
            Change::Key(key.clone()),
            Change::DeploymentObject(first),
            Change::DeploymentObject(sample::object(&gone, 1)),
            Change::Target(sample::target(&stack, &agent)),
            Change::Assignment(open),
            Change::Assignment(done.clone()),
            Change::Event(sample::event(&stack, &agent, 0)),
            Change::StackStatus(sample::status(&stack, &agent)),
        ],
    )
    .await;
    let tombstone = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..gone };
    let confirmed = Assignment { version: Version::new(2), state: AssignmentState::Gone, ..done };
    let newest = second.id;
    put(&store, vec![Change::DeploymentObject(second), Change::Stack(tombstone), Change::Assignment(confirmed)]).await;
    let snapshot = store.view_snapshot().await.expect("a snapshot");
    let mut expected = vec![
        EntityKey::Generator(stack.generator_id),
        EntityKey::Key(key.id),
        EntityKey::Agent(agent.id),
        EntityKey::Stack(stack.id),
        EntityKey::DeploymentObject(newest),
        EntityKey::Target(stack.id, agent.id),
        EntityKey::Assignment(stack.id, agent.id),
    ];
    expected.sort_unstable();
    assert_eq!(keys(&snapshot.entities), expected);
}

/// The tail after a snapshot contains exactly the later changes.
pub async fn tail_continues_from_the_snapshot(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    put(&store, vec![Change::Stack(stack.clone())]).await;
    let snapshot = store.view_snapshot().await.expect("a snapshot");
    assert!(store.view_tail(&snapshot.token).await.expect("a tail").entities.is_empty());
    let changed = Stack { version: Version::new(2), ..stack.clone() };
    let committed = put(&store, vec![Change::Agent(agent.clone()), Change::Stack(changed.clone())]).await;
    put(&store, vec![Change::Event(sample::event(&stack, &agent, 0))]).await;
    let gone = Stack { version: Version::new(3), deleted_at: Some(sample::time(1)), ..stack.clone() };
    put(&store, vec![Change::Stack(gone.clone())]).await;
    let tail = store.view_tail(&snapshot.token).await.expect("a tail");
    let of_stack: Vec<&Change> = tail.entities.iter().filter(|it| it.key() == EntityKey::Stack(stack.id)).collect();
    assert_eq!(
        of_stack,
        [&Change::Stack(changed), &Change::Stack(gone)],
        "changes of an entity are in the order of versions"
    );
    assert_eq!(tail.entities.len(), 3, "kinds outside of the view are left out");
    assert!(tail.token.contains(committed.position));
    assert!(!snapshot.token.contains(committed.position));
    assert!(tail.token.generation() > snapshot.token.generation());
    assert!(store.view_tail(&tail.token).await.expect("a tail").entities.is_empty());
}

/// Under concurrent writes, snapshot and tails together yield every change once, and generations never decrease.
pub async fn view_misses_nothing_under_load(store: Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const ROUNDS: u64 = 25;
    system(&store).await;
    let snapshot = store.view_snapshot().await.expect("a snapshot");
    let writers = writers(&store, WRITERS, ROUNDS);
    let mut seen: BTreeMap<EntityKey, Vec<u64>> = BTreeMap::new();
    let expected = WRITERS * usize::try_from(ROUNDS).expect("small");
    let reading = async {
        let (mut count, mut token) = (0, snapshot.token);
        while count < expected {
            let tail = store.view_tail(&token).await.expect("a tail");
            assert!(tail.token.generation() >= token.generation(), "the generation decreased");
            token = tail.token;
            count += tail.entities.len();
            for entity in tail.entities {
                if let Change::Stack(it) = &entity {
                    seen.entry(entity.key()).or_default().push(it.version.get());
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), reading).await;
    for writer in writers {
        writer.await.expect("a writer");
    }
    assert!(in_time.is_ok(), "changes are missing: {seen:?}");
    let whole: Vec<u64> = (1..=ROUNDS).collect();
    assert!(seen.len() == WRITERS && seen.values().all(|versions| *versions == whole), "{seen:?}");
}

/// After a commit, the counter of every subscriber changes.
pub async fn subscribers_are_notified_of_commits(store: Arc<dyn Store>) {
    let (mut one, mut two) = (store.subscribe(), store.subscribe());
    one.mark_unchanged();
    two.mark_unchanged();
    system(&store).await;
    for subscriber in [&mut one, &mut two] {
        let notified = tokio::time::timeout(Duration::from_secs(2), subscriber.changed()).await;
        assert!(notified.is_ok_and(|it| it.is_ok()), "a subscriber was not notified");
    }
}
