//! Retention: requests for purged rows fail with `Expired`, and the retained rows have no gap.

use std::time::Duration;

use brokkr_core::model::{Change, Stack, Version};
use brokkr_core::store::conformance::sample;
use brokkr_core::store::{Commit, FeedPosition, Maintenance as _, Retention, Scope, Store, StoreError};
use brokkr_store_postgres::PostgresStore;

use crate::support::Database;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn put(store: &PostgresStore, change: Change, at: brokkr_core::model::Timestamp) -> FeedPosition {
    let commit = Commit { at, ..sample::commit(vec![change]) };
    store.commit(commit).await.unwrap().position
}

async fn feed(store: &PostgresStore, after: FeedPosition) -> Result<usize, StoreError> {
    store.feed(&Scope::All, after, 500).await.map(|page| page.entries.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purged_changes_make_older_positions_expired() {
    let database = Database::new();
    let store = database.store().await;
    let now = brokkr_core::clock::Clock::now(&brokkr_core::clock::SystemClock);
    let old = sample::time(0);
    let system = brokkr_core::model::GeneratorPrincipal {
        id: brokkr_core::model::GeneratorId::SYSTEM,
        ..sample::generator("system")
    };
    let first = put(&store, Change::Generator(system), old).await;
    let stack = sample::stack("web");
    put(&store, Change::Stack(stack.clone()), old).await;
    let token = store.view_snapshot().await.unwrap().token;
    let recent = put(&store, Change::Stack(Stack { version: Version::new(2), ..stack.clone() }), now).await;
    // A change with an old time after a recent one, from a wrong clock: the purge keeps it, so that there is no gap.
    put(&store, Change::Stack(Stack { version: Version::new(3), ..stack }), old).await;

    let too_short = store.purge(&Retention { changes: Some(Duration::from_secs(60)), ..Retention::default() }).await;
    assert!(too_short.is_err(), "the minimum retention of changes is one day");
    // The minimum for one table does not stop the purge of others.
    let keep = Retention { events: Some(DAY), audit: Some(DAY), changes: Some(2 * DAY) };
    assert!(store.purge(&keep).await.is_err());
    assert_eq!(database.query("SELECT count(*) FROM brokkr.change"), "2");
    let keep = Retention { changes: Some(2 * DAY), ..Retention::default() };
    assert_eq!(store.purge(&keep).await.unwrap(), 0);

    assert!(matches!(feed(&store, first).await, Err(StoreError::Expired)));
    let before = FeedPosition { transaction: recent.transaction - 1, sequence: 9, ..recent };
    for position in [FeedPosition::START, before] {
        // Other transactions may delay the feed for a moment.
        crate::support::eventually("public", || async {
            match feed(&store, position).await {
                Ok(2) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    // A reader with a purged position starts again and misses nothing.
    match store.view_tail(&token).await {
        Ok(tail) => assert_eq!(tail.entities.len(), 2),
        Err(error) => assert!(matches!(error, StoreError::Expired), "{error}"),
    }
    assert_eq!(database.query("SELECT count(*) FROM brokkr.audit WHERE action = 'purge.changes'"), "1");
}
