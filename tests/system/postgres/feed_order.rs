//! The order of the feed for two commits about one name: at no position do two living stacks have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokkr_core::model::{Change, Digest, EntityKey, GeneratorId, GeneratorPrincipal, Stack, Version};
use brokkr_core::store::conformance::sample;
use brokkr_core::store::{Commit, IdempotencyRecord, Precondition, Store, StoreError, UniqueKey};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::{Database, eventually, stacks_of_feed};

fn commit(change: Change) -> Commit {
    sample::commit(vec![change])
}

async fn hold(database: &Database, statement: &'static str) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url("postgres")).await.unwrap();
    connection.execute("BEGIN").await.unwrap();
    connection.execute(statement).await.unwrap();
    connection
}

async fn waiting(database: &Database, count: &str) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'brokkr-broker' AND wait_event_type = 'Lock'";
    eventually("commits wait", || async {
        let now = database.query(sql);
        if now == count { Ok(()) } else { Err(now) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_a_name_follows_its_release_in_the_feed() {
    let database = Database::new();
    let store = Arc::new(database.store().await);
    let system = GeneratorPrincipal { id: GeneratorId::SYSTEM, ..sample::generator("system") };
    store.commit(commit(Change::Generator(system))).await.unwrap();
    let old = sample::stack("web");
    store.commit(commit(Change::Stack(old.clone()))).await.unwrap();

    // The first commit takes the name. It has already written its idempotency key when it has to wait.
    let taken = Commit {
        preconditions: vec![Precondition::Version(EntityKey::Generator(GeneratorId::SYSTEM), Version::FIRST)],
        idempotency: Some(IdempotencyRecord {
            actor: "system".to_owned(),
            key: "once".to_owned(),
            fingerprint: Digest::of(b"request"),
            outcome: serde_json::json!({}),
            at: sample::time(0),
        }),
        ..commit(Change::Stack(sample::stack("web")))
    };
    let first = hold(&database, "SELECT FROM brokkr.generator FOR UPDATE").await;
    let taking = tokio::spawn({
        let store = store.clone();
        async move { store.commit(taken).await }
    });
    waiting(&database, "1").await;
    // Then the second commit releases the name. The lock keeps it from ending.
    let second = hold(&database, "LOCK TABLE brokkr.audit IN SHARE MODE").await;
    let gone = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..old };
    let giving = tokio::spawn({
        let store = store.clone();
        async move { store.commit(commit(Change::Stack(gone))).await }
    });
    waiting(&database, "2").await;
    drop(first);
    // The second commit waits for the audit table, independently of the first one.
    let at_the_audit = "SELECT count(*) FROM pg_locks WHERE relation = 'brokkr.audit'::regclass AND NOT granted";
    eventually("the commit waits for the audit table", || async {
        let now = database.query(at_the_audit);
        if now == "1" { Ok(()) } else { Err(now) }
    })
    .await;
    drop(second);
    let gave = giving.await.unwrap().unwrap();
    let last = match taking.await.unwrap() {
        Ok(took) => took.position.max(gave.position),
        Err(StoreError::NotUnique(UniqueKey::StackName)) => gave.position,
        Err(error) => panic!("{error}"),
    };
    let mut living: BTreeMap<String, brokkr_core::model::StackId> = BTreeMap::new();
    for stack in stacks_of_feed(&*store, |position, _| position >= last).await {
        let name = stack.name.to_string();
        if stack.deleted_at.is_some() {
            living.remove(&name);
        } else if let Some(other) = living.insert(name, stack.id) {
            assert_eq!(other, stack.id, "two stacks of one name at the same time");
        }
    }
}
