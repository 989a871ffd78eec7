//! Shared helpers of the checks.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::model::{Change, GeneratorId, GeneratorPrincipal, Stack, Version};
use crate::store::conformance::sample;
use crate::store::conformance::sample::commit;
use crate::store::{Commit, Committed, FeedEntry, FeedPosition, Precondition, Scope, Store, StoreError, StoreResult};

pub(super) async fn put(store: &Arc<dyn Store>, changes: Vec<Change>) -> Committed {
    store.commit(commit(changes)).await.expect("a commit that breaks no rule")
}

pub(super) async fn put_if(
    store: &Arc<dyn Store>,
    changes: Vec<Change>,
    only_if: Precondition,
) -> StoreResult<Committed> {
    store.commit(Commit { preconditions: vec![only_if], ..commit(changes) }).await
}

/// Commits the generator that owns the samples.
pub(super) async fn system(store: &Arc<dyn Store>) {
    let system = GeneratorPrincipal { id: GeneratorId::SYSTEM, ..sample::generator("system") };
    put(store, vec![Change::Generator(system)]).await;
}

pub(super) fn is_not_found<T>(result: StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

pub(super) fn is_conflict<T>(result: StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

const MARK: &str = "mark-";

/// Reads the whole feed in small pages, up to everything committed so far. Bounded, so that an endless feed fails the
/// check.
pub(super) async fn whole_feed(store: &Arc<dyn Store>, scope: &Scope, from: FeedPosition) -> Vec<FeedEntry> {
    // A concurrent transaction elsewhere may delay the feed briefly. Once this mark appears, so has everything before
    // it.
    let mark = sample::generator(&format!("{MARK}{}", GeneratorId::generate()));
    let mark = put(store, vec![Change::Generator(mark)]).await.position;
    let (mut entries, mut position) = (Vec::new(), from);
    for _ in 0..10_000 {
        let page = store.feed(scope, position, 7).await.expect("a feed");
        assert!(page.next >= position, "the feed position decreased");
        if page.next == position {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        position = page.next;
        let is_mark =
            |it: &FeedEntry| matches!(&it.change, Change::Generator(it) if it.name.as_str().starts_with(MARK));
        entries.extend(page.entries.into_iter().filter(|entry| !is_mark(entry)));
        if position >= mark {
            return entries;
        }
    }
    panic!("the feed does not end");
}

/// Starts concurrent writers, each of which writes `rounds` versions of its own stack.
pub(super) fn writers(store: &Arc<dyn Store>, count: usize, rounds: u64) -> Vec<JoinHandle<()>> {
    let writer = |n| {
        let (store, stack) = (store.clone(), sample::stack(&format!("s{n}")));
        tokio::spawn(async move {
            for version in 1..=rounds {
                let stack = Stack { version: Version::new(version), ..stack.clone() };
                store.commit(commit(vec![Change::Stack(stack)])).await.expect("a commit");
                tokio::task::yield_now().await;
            }
        })
    };
    (0..count).map(writer).collect()
}
