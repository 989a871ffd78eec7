//! The tail that fleet views follow: all new changes, or `Expired`; and never the positions of another server.

use brokkr_core::model::{Change, GeneratorId, GeneratorPrincipal, Stack, Version};
use brokkr_core::store::conformance::sample;
use brokkr_core::store::{FeedPosition, Scope, Store as _, StoreError, StoreExt as _};
use brokkr_store_postgres::PostgresStore;

use crate::support::Database;

async fn put(store: &PostgresStore, changes: Vec<Change>) -> FeedPosition {
    store.commit(sample::commit(changes)).await.unwrap().position
}

async fn with_stack(store: &PostgresStore) -> Stack {
    let stack = sample::stack("web");
    let system = GeneratorPrincipal { id: GeneratorId::SYSTEM, ..sample::generator("system") };
    put(store, vec![Change::Generator(system), Change::Stack(stack.clone())]).await;
    stack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_is_complete_or_expired() {
    const MOST: usize = 20_000;
    let database = Database::new();
    let store = database.store().await;
    with_stack(&store).await;
    for (count, is_whole) in [(MOST - 1, true), (MOST, true), (MOST + 1, false), (2 * MOST, false)] {
        let token = store.view_snapshot().await.unwrap().token;
        database.query(&format!(
            "INSERT INTO brokkr.change (epoch, sequence, kind, generator_id, at, actor, request_id, entity)
             SELECT (SELECT max(number) FROM brokkr.history), n, kind, generator_id, at, actor, request_id, entity
             FROM brokkr.change, generate_series(1, {count}) n WHERE kind = 'stack' AND sequence = 2 ORDER BY transaction LIMIT {count}"
        ));
        match store.view_tail(&token).await {
            Ok(tail) => assert!(is_whole && tail.entities.len() == count, "{count}: {}", tail.entities.len()),
            Err(error) => assert!(!is_whole && matches!(error, StoreError::Expired), "{count}: {error}"),
        }
    }
}

/// As after a restore of a dump into a new server: the data is the same, but transaction ids start again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_of_another_server_are_not_read_as_new() {
    let database = Database::new();
    let store = database.store().await;
    let stack = with_stack(&store).await;
    let old = put(&store, vec![Change::Stack(Stack { version: Version::new(2), ..stack.clone() })]).await;
    drop(store);
    database.query(
        "SET session_replication_role = replica;
         UPDATE brokkr.change SET transaction = (transaction::text::int8 + 1000000000)::text::xid8;
         UPDATE brokkr.feed_start SET epoch = (SELECT max(number) FROM brokkr.history), transaction = '2';
         UPDATE brokkr.history SET place = 'elsewhere', began_in = (began_in::text::int8 + 1000000000)::text::xid8",
    );
    for purged_to in ["2", "1000000001"] {
        database.query(&format!("UPDATE brokkr.feed_start SET transaction = '{purged_to}'"));
        let store = database.store().await;
        let token = store.view_snapshot().await.unwrap().token;
        let newer = Stack { version: stack_version(&store, &stack).await.next(), ..stack.clone() };
        put(&store, vec![Change::Stack(newer.clone())]).await;
        let tail = store.view_tail(&token).await.unwrap();
        assert!(matches!(&tail.entities[..], [Change::Stack(it)] if it.version == newer.version), "{tail:?}");
        assert!(store.view_tail(&tail.token).await.unwrap().entities.is_empty());
        // A reader at the newest position continues with the new changes.
        let old = FeedPosition { transaction: old.transaction + 1_000_000_000, ..old };
        let read = store.feed(&Scope::All, old, 500).await;
        assert!(read.is_ok_and(|page| page.entries.iter().all(|it| it.position.history > old.history)));
    }
}

async fn stack_version(store: &PostgresStore, stack: &Stack) -> Version {
    store.get::<Stack>(&Scope::All, stack.id).await.unwrap().version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn position_of_unknown_history_is_expired() {
    let database = Database::new();
    let store = database.store().await;
    let newest = database.query("SELECT max(number) FROM brokkr.history").parse::<u64>().unwrap();
    let known = FeedPosition { history: newest, transaction: 1, sequence: 1 };
    assert!(store.feed(&Scope::All, known, 1).await.is_ok());
    let unknown = FeedPosition { history: newest + 1, ..known };
    assert!(matches!(store.feed(&Scope::All, unknown, 1).await, Err(StoreError::Expired)));
}
