//! Checks of quotas: counted, and kept when commits race.

use std::sync::Arc;

use crate::model::{
    ApiKey, Change, DeploymentObject, Digest, GeneratorId, GeneratorPrincipal, KeyOwner, Quota, Stack, StackId, Version,
};
use crate::store::conformance::fixture::{put, put_if};
use crate::store::conformance::sample;
use crate::store::conformance::sample::commit;
use crate::store::{Commit, IdempotencyRecord, Precondition, Store, StoreError};

fn owned(generator: &GeneratorPrincipal, name: &str) -> Stack {
    Stack { generator_id: generator.id, ..sample::stack(name) }
}

fn revision(stack: &Stack, number: u64, size: u64) -> Change {
    Change::DeploymentObject(DeploymentObject {
        size,
        generator_id: stack.generator_id,
        ..sample::object(stack, number)
    })
}

async fn used(store: &Arc<dyn Store>, generator: GeneratorId, quota: Quota) -> u64 {
    store.quota_used(generator, quota).await.expect("the use")
}

/// The use of each quota is that of one generator, and follows its commits.
pub async fn quota_use_is_counted(store: Arc<dyn Store>) {
    let (generator, other) = (sample::generator("team"), sample::generator("other"));
    let (stack, gone) = (owned(&generator, "web"), owned(&generator, "gone"));
    put(&store, vec![Change::Generator(generator.clone()), Change::Generator(other.clone())]).await;
    put(&store, vec![Change::Stack(stack.clone()), Change::Stack(gone.clone())]).await;
    put(&store, vec![Change::Stack(owned(&other, "web"))]).await;
    put(&store, vec![revision(&stack, 1, 100), revision(&gone, 1, 10)]).await;
    put(&store, vec![revision(&stack, 2, 7)]).await;
    let deleted = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..gone };
    put(&store, vec![Change::Stack(deleted)]).await;
    let key = |short: &str| sample::key(KeyOwner::Generator { id: generator.id }, short);
    let revoked = key("second");
    put(&store, vec![Change::Key(key("first")), Change::Key(revoked.clone())]).await;
    put(&store, vec![Change::Key(ApiKey { version: Version::new(2), deleted_at: Some(sample::time(1)), ..revoked })])
        .await;
    for (quota, of_one, of_other) in [
        (Quota::Stacks, 1, 1),
        (Quota::Revisions, 3, 0),
        (Quota::ManifestBytes, 117, 0),
        (Quota::Keys, 1, 0),
        (Quota::IdempotencyRecords, 0, 0),
    ] {
        assert_eq!(used(&store, generator.id, quota).await, of_one, "{quota:?}");
        assert_eq!(used(&store, other.id, quota).await, of_other, "{quota:?}");
        assert_eq!(used(&store, GeneratorId::generate(), quota).await, 0, "{quota:?}");
    }
}

/// Of concurrent commits, exactly as many succeed as the quota allows; a commit that frees what it adds always does.
pub async fn quota_holds_under_races(store: Arc<dyn Store>) {
    let generator = sample::generator("team");
    let stacks: Vec<Stack> = (0..12).map(|n| owned(&generator, &format!("s{n}"))).collect();
    put(&store, vec![Change::Generator(generator.clone())]).await;
    let within = |quota, maximum| Precondition::Within(generator.id, quota, maximum);
    let created = race(&store, within(Quota::Stacks, 10), stacks.iter().cloned().map(Change::Stack)).await;
    assert_eq!(created, 10);
    let swapped = vec![
        Change::Stack(Stack {
            version: Version::new(2),
            deleted_at: Some(sample::time(1)),
            ..created_of(&store, &stacks).await
        }),
        Change::Stack(owned(&generator, "swapped")),
    ];
    put_if(&store, swapped, within(Quota::Stacks, 10)).await.expect("the number of stacks stays");
    let stack = owned(&generator, "revised");
    put(&store, vec![Change::Stack(stack.clone())]).await;
    let revisions = (1..=12).map(|n| revision(&stack, n, 10));
    assert_eq!(race(&store, within(Quota::Revisions, 5), revisions).await, 5);
    let other = owned(&generator, "bytes");
    put(&store, vec![Change::Stack(other.clone())]).await;
    let revisions = (1..=12).map(|n| revision(&other, n, 10));
    assert_eq!(race(&store, within(Quota::ManifestBytes, 89), revisions).await, 3, "50 bytes are used");
    let keys = (0..12).map(|n| Change::Key(sample::key(KeyOwner::Generator { id: generator.id }, &format!("k{n}"))));
    assert_eq!(race(&store, within(Quota::Keys, 4), keys).await, 4);
    let refused = put_if(&store, vec![revision(&other, 100, 40)], within(Quota::ManifestBytes, 119)).await;
    match refused {
        Err(StoreError::QuotaExceeded(it)) => {
            assert_eq!((it.quota, it.used, it.maximum), (Quota::ManifestBytes, 80, 119));
        }
        other => panic!("{other:?}"),
    }
}

/// Answers under idempotency keys count for the caller, by commits and without.
pub async fn quota_of_answers_is_kept(store: Arc<dyn Store>) {
    let generator = sample::generator("team");
    put(&store, vec![Change::Generator(generator.clone())]).await;
    let now = crate::clock::Clock::now(&crate::clock::SystemClock);
    let record = |key: String, actor: String| IdempotencyRecord {
        actor,
        key,
        fingerprint: Digest::of(b"request"),
        outcome: serde_json::json!({}),
        at: now,
    };
    let own = format!("generator:{}", generator.id);
    store.idempotency_keep(record("kept".to_owned(), own.clone())).await.expect("kept");
    store.idempotency_keep(record("kept".to_owned(), "admin:other".to_owned())).await.expect("kept");
    let attempts = (0..8).map(|n| {
        let (store, record) = (store.clone(), record(format!("k{n}"), own.clone()));
        let preconditions = vec![Precondition::Within(generator.id, Quota::IdempotencyRecords, 4)];
        let change = Change::Stack(owned(&generator, &format!("s{n}")));
        let commit = Commit { idempotency: Some(record), preconditions, at: now, ..commit(vec![change]) };
        tokio::spawn(async move { store.commit(commit).await.is_ok() })
    });
    let mut committed = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        committed += u64::from(attempt.await.expect("no panic"));
    }
    assert_eq!(committed, 3);
    assert_eq!(used(&store, generator.id, Quota::IdempotencyRecords).await, 4);
}

/// Commits each change concurrently, under a precondition. Returns how many succeed; the others exceed the quota.
async fn race(store: &Arc<dyn Store>, within: Precondition, changes: impl Iterator<Item = Change>) -> usize {
    let attempts: Vec<_> = changes
        .map(|change| {
            let (store, within) = (store.clone(), within.clone());
            tokio::spawn(async move { put_if(&store, vec![change], within).await })
        })
        .collect();
    let mut succeeded = 0;
    for attempt in attempts {
        match attempt.await.expect("no panic") {
            Ok(_) => succeeded += 1,
            Err(StoreError::QuotaExceeded(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    succeeded
}

/// One of the stacks that was created.
async fn created_of(store: &Arc<dyn Store>, stacks: &[Stack]) -> Stack {
    let ids: Vec<StackId> = stacks.iter().map(|it| it.id).collect();
    let found = store.stack_find_with_tombstones(&crate::store::Scope::All, &ids).await.expect("stacks");
    found.into_iter().next().expect("a stack")
}
