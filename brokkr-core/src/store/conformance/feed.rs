//! Checks of the feed: every change once, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Change, EntityKey, Stack};
use crate::store::conformance::fixture::{put, system, whole_feed, writers};
use crate::store::conformance::sample;
use crate::store::{FeedPosition, Scope, Store};

/// The feed contains every change once, in the order of the commits and of the changes within them.
pub async fn feed_contains_every_change_once_in_order(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    put(&store, vec![Change::Stack(stack.clone()), Change::Agent(agent.clone())]).await;
    let published = Change::DeploymentObject(sample::object(&stack, 1));
    let last = put(&store, vec![published.clone(), Change::Target(sample::target(&stack, &agent))]).await;
    let entries = whole_feed(&store, &Scope::All, FeedPosition::START).await;
    let keys: Vec<EntityKey> = entries.iter().skip(1).map(|entry| entry.change.key()).collect();
    let expected = [
        EntityKey::Stack(stack.id),
        EntityKey::Agent(agent.id),
        published.key(),
        EntityKey::Target(stack.id, agent.id),
    ];
    assert_eq!(keys, expected);
    assert!(entries.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!(entries.last().map(|entry| entry.position), Some(last.position));
    assert_eq!(entries.get(3).map(|entry| &entry.change), Some(&published), "the entry contains the deployment object");
    let middle = entries.get(1).map(|entry| entry.position).unwrap_or_default();
    let rest = whole_feed(&store, &Scope::All, middle).await;
    assert_eq!(rest.as_slice(), entries.get(2..).unwrap_or_default());
}

/// A generator's feed contains only its own entities.
pub async fn feed_is_scoped(store: Arc<dyn Store>) {
    system(&store).await;
    let mine = sample::generator("mine");
    let own = Stack { generator_id: mine.id, ..sample::stack("own") };
    put(&store, vec![Change::Generator(mine.clone())]).await;
    put(&store, vec![Change::Stack(sample::stack("foreign")), Change::Agent(sample::agent("edge"))]).await;
    put(&store, vec![Change::Stack(own.clone())]).await;
    let entries = whole_feed(&store, &Scope::Generator(mine.id), FeedPosition::START).await;
    let keys: Vec<EntityKey> = entries.iter().map(|entry| entry.change.key()).collect();
    assert_eq!(keys, [EntityKey::Generator(mine.id), EntityKey::Stack(own.id)]);
}

/// Under concurrent writes, a reader that continues from its last position sees every change once, and the versions of
/// each entity in order.
pub async fn feed_misses_nothing_under_load(store: Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const ROUNDS: u64 = 25;
    system(&store).await;
    let writers = writers(&store, WRITERS, ROUNDS);
    let mut seen: BTreeMap<EntityKey, Vec<u64>> = BTreeMap::new();
    let mut position = FeedPosition::START;
    let expected = WRITERS * usize::try_from(ROUNDS).expect("small") + 1;
    let reading = async {
        let mut count = 0;
        while count < expected {
            let page = store.feed(&Scope::All, position, 5).await.expect("a feed");
            count += page.entries.len();
            position = page.next;
            for entry in page.entries {
                seen.entry(entry.change.key()).or_default().push(entry.change.version().get());
            }
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(30), reading).await;
    for writer in writers {
        writer.await.expect("a writer");
    }
    assert!(in_time.is_ok(), "changes are missing: {seen:?}");
    let whole: Vec<u64> = (1..=ROUNDS).collect();
    let stacks = seen.iter().filter(|(key, _)| matches!(key, EntityKey::Stack(_)));
    assert!(
        stacks.clone().count() == WRITERS && stacks.into_iter().all(|(_, versions)| *versions == whole),
        "{seen:?}"
    );
}
