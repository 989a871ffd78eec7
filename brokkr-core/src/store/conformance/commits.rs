//! Checks of commits: atomic, versioned, unique, immutable, audited.

use std::sync::Arc;

use crate::model::{
    Agent, ApiKey, AuditChanges, AuditOutcome, AuditRecord, Change, DeploymentObject, Digest, EntityKey,
    GeneratorPrincipal, KeyId, KeyOwner, Revision, Stack, StackId, StackProgress, Timestamp, Version,
};
use crate::store::conformance::fixture::{is_conflict, is_not_found, put, put_if, system, whole_feed};
use crate::store::conformance::sample;
use crate::store::conformance::sample::commit;
use crate::store::{
    Activity, AuditFilter, Commit, EntityQuery, EventFilter, FeedPosition, IdempotencyRecord, Page, Precondition,
    Scope, Store, StoreError, StoreExt as _, StoreResult, UniqueKey,
};

/// Entities of every kind read back as committed, including times and bytes.
pub async fn committed_entities_read_back_unchanged(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    let networks = vec!["10.20.0.0/16".parse().expect("a network"), "2001:db8::/32".parse().expect("a network")];
    let key = ApiKey { source_networks: networks, ..sample::key(KeyOwner::Agent { id: agent.id }, "short") };
    let object = sample::object(&stack, 1);
    let (session, target) = (sample::session(&agent), sample::target(&stack, &agent));
    let (assignment, status) = (sample::assignment(&stack, &agent), sample::status(&stack, &agent));
    let event = sample::event(&stack, &agent, 5);
    put(
        &store,
        vec![
            Change::Stack(stack.clone()),
            Change::Agent(agent.clone()),
            Change::Key(key.clone()),
            Change::AgentSession(session.clone()),
            Change::DeploymentObject(object.clone()),
            Change::Target(target.clone()),
            Change::Assignment(assignment.clone()),
            Change::StackStatus(status.clone()),
            Change::Event(event.clone()),
        ],
    )
    .await;
    let all = &Scope::All;
    assert_eq!(store.get::<Stack>(all, stack.id).await.expect("stack"), stack);
    assert_eq!(store.stack_by_name(all, stack.generator_id, &stack.name).await.expect("stack"), stack);
    assert_eq!(store.get::<Agent>(all, agent.id).await.expect("agent"), agent);
    let capabilities = store.agent_capabilities(all, &[agent.id]).await.expect("capabilities");
    assert_eq!(capabilities, [(agent.id, session.capabilities.clone())]);
    assert_eq!(store.agent_session(all, agent.id).await.expect("session"), Some(session));
    assert_eq!(store.get::<ApiKey>(all, key.id).await.expect("key"), key);
    assert_eq!(store.get::<DeploymentObject>(all, object.id).await.expect("object"), object);
    assert_eq!(
        store.deployment_object_content(all, object.id).await.expect("content"),
        (object.clone(), sample::content(object.id))
    );
    assert_eq!(store.deployment_object_latest(all, stack.id).await.expect("latest"), Some(object.clone()));
    let empty = sample::stack("empty");
    put(&store, vec![Change::Stack(empty.clone())]).await;
    assert_eq!(store.deployment_object_latest(all, empty.id).await.expect("nothing yet"), None);
    assert_eq!(store.deployment_object_by_revision(all, stack.id, Revision::FIRST).await.expect("revision"), object);
    assert_eq!(store.target_find(all, stack.id, agent.id).await.expect("target"), Some(target));
    assert_eq!(store.assignment_find(all, agent.id, &[stack.id]).await.expect("assignment"), [assignment.clone()]);
    assert_eq!(store.assignment_of_stack(all, stack.id).await.expect("assignments"), [assignment]);
    assert_eq!(store.stack_status_find(all, agent.id, &[stack.id]).await.expect("status"), [status.clone()]);
    assert_eq!(store.stack_status_of_stack(all, stack.id, &[agent.id]).await.expect("statuses"), [status.clone()]);
    assert_eq!(store.stack_status_of_stack(all, stack.id, &[]).await.expect("statuses"), []);
    let progress = StackProgress {
        agent_id: agent.id,
        applied_revision: status.applied_revision,
        has_failed: status.last_error.is_some(),
    };
    assert_eq!(store.stack_progress(all, stack.id).await.expect("progress"), [progress]);
    let events = store.event_list(all, &EventFilter::default(), &Page::default()).await.expect("events");
    assert_eq!(events.items, [event.clone()]);
    assert_eq!(store.event_known(all, agent.id, &[event.id]).await.expect("known"), [event.id]);
    store.check().await.expect("the store serves");
}

/// If one change of a commit is refused, none of its changes, audit records and feed entries exist.
pub async fn refused_commit_changes_nothing(store: Arc<dyn Store>) {
    system(&store).await;
    let (good, bad) = (sample::stack("good"), Stack { version: Version::new(7), ..sample::stack("bad") });
    let before = whole_feed(&store, &Scope::All, FeedPosition::START).await;
    let audit = audit_of(&store).await;
    for changes in [
        vec![Change::Stack(good.clone()), Change::Stack(bad.clone())],
        vec![Change::Stack(bad.clone()), Change::Stack(good.clone())],
    ] {
        assert!(is_conflict(store.commit(commit(changes)).await));
        assert!(is_not_found(store.get::<Stack>(&Scope::All, good.id).await));
        assert!(is_not_found(store.get::<Stack>(&Scope::All, bad.id).await));
    }
    assert_eq!(audit_of(&store).await, audit);
    assert_eq!(whole_feed(&store, &Scope::All, FeedPosition::START).await, before);
}

/// A change is accepted only if its version is the stored version plus one.
pub async fn version_must_be_the_stored_one_plus_one(store: Arc<dyn Store>) {
    system(&store).await;
    let stack = sample::stack("web");
    let with = |version: u64| Change::Stack(Stack { version: Version::new(version), ..stack.clone() });
    assert!(is_conflict(store.commit(commit(vec![with(2)])).await), "an unknown entity has version 0");
    put(&store, vec![with(1)]).await;
    assert!(is_conflict(store.commit(commit(vec![with(1)])).await));
    assert!(is_conflict(store.commit(commit(vec![with(3)])).await));
    put(&store, vec![with(2)]).await;
    assert_eq!(store.get::<Stack>(&Scope::All, stack.id).await.expect("stack").version, Version::new(2));
}

/// Of concurrent commits with the same version, exactly one succeeds.
pub async fn exactly_one_of_concurrent_writers_succeeds(store: Arc<dyn Store>) {
    system(&store).await;
    let stack = sample::stack("web");
    put(&store, vec![Change::Stack(stack.clone())]).await;
    for round in 2..6 {
        let writers: Vec<_> = (0..16)
            .map(|n| {
                let store = store.clone();
                let description = format!("writer {n}");
                let stack = Stack { version: Version::new(round), description, ..stack.clone() };
                tokio::spawn(async move { store.commit(commit(vec![Change::Stack(stack)])).await.is_ok() })
            })
            .collect();
        let mut winners = 0;
        for writer in writers {
            winners += usize::from(writer.await.expect("a writer"));
        }
        assert_eq!(winners, 1, "round {round}");
    }
}

/// A precondition on an entity that the commit does not change is checked too.
pub async fn failed_precondition_is_a_conflict(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    put(&store, vec![Change::Stack(stack.clone()), Change::Agent(agent.clone())]).await;
    let target = || vec![Change::Target(sample::target(&stack, &agent))];
    let version = |version| Precondition::Version(EntityKey::Stack(stack.id), Version::new(version));
    assert!(is_conflict(put_if(&store, target(), version(2)).await));
    put(&store, vec![Change::Stack(Stack { version: Version::new(2), ..stack.clone() })]).await;
    assert!(is_conflict(put_if(&store, target(), version(1)).await));
    assert_eq!(store.target_find(&Scope::All, stack.id, agent.id).await.expect("a read"), None);
    put_if(&store, target(), version(2)).await.expect("the version is right now");
    let unknown = Precondition::Version(EntityKey::Stack(sample::stack("x").id), Version::FIRST);
    assert!(is_conflict(put_if(&store, vec![Change::Agent(sample::agent("other"))], unknown).await));
}

/// If a stack is created while its generator is deleted, one of the two commits is refused.
pub async fn generator_with_stacks_cannot_be_deleted(store: Arc<dyn Store>) {
    system(&store).await;
    let generator = sample::generator("team");
    put(&store, vec![Change::Generator(generator.clone())]).await;
    let owner = EntityKey::Generator(generator.id);
    let only_if = Precondition::OwnsNoStacks(generator.id);
    let with = |version, deleted_at| GeneratorPrincipal { version, deleted_at, ..generator.clone() };
    let owned = |name: &str| Stack { generator_id: generator.id, ..sample::stack(name) };
    let stack = owned("first");
    put(&store, vec![Change::Stack(stack.clone())]).await;
    let gone = with(Version::new(2), Some(sample::time(1)));
    let refused = put_if(&store, vec![Change::Generator(gone.clone())], only_if.clone()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(key)) if key == owner), "{refused:?}");
    assert_eq!(store.get::<GeneratorPrincipal>(&Scope::All, generator.id).await.expect("it").version, Version::FIRST);
    let last = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..stack };
    let kept = with(Version::new(2), None);
    put_if(&store, vec![Change::Generator(kept), Change::Stack(last)], only_if.clone())
        .await
        .expect("the commit deletes the last stack too");

    // In each round, exactly one of the two commits succeeds.
    for round in 2..22 {
        let version = Version::new(round);
        let stack = owned(&format!("s{round}"));
        let creates = put_if(&store, vec![Change::Stack(stack.clone())], Precondition::Version(owner, version));
        let deletes = put_if(&store, vec![Change::Generator(with(version.next(), None))], only_if.clone());
        let (created, deleted) = tokio::join!(creates, deletes);
        assert!(created.is_ok() != deleted.is_ok(), "round {round}: {created:?}, {deleted:?}");
        if created.is_ok() {
            let gone = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..stack };
            put(&store, vec![Change::Stack(gone), Change::Generator(with(version.next(), None))]).await;
        }
    }
}

fn unique(result: Result<crate::store::Committed, StoreError>) -> Option<UniqueKey> {
    match result {
        Err(StoreError::NotUnique(key)) => Some(key),
        _ => None,
    }
}

/// A name is taken while its entity lives, and free afterwards.
pub async fn names_are_unique_among_living_entities(store: Arc<dyn Store>) {
    system(&store).await;
    let (generator, agent, stack) = (sample::generator("team"), sample::agent("edge"), sample::stack("web"));
    put(&store, vec![Change::Generator(generator.clone()), Change::Agent(agent.clone()), Change::Stack(stack.clone())])
        .await;
    let again = |change| commit(vec![change]);
    let generators = store.commit(again(Change::Generator(sample::generator("team")))).await;
    assert_eq!(unique(generators), Some(UniqueKey::GeneratorName));
    let agents = store.commit(again(Change::Agent(sample::agent("edge")))).await;
    assert_eq!(unique(agents), Some(UniqueKey::AgentName));
    let stacks = store.commit(again(Change::Stack(sample::stack("web")))).await;
    assert_eq!(unique(stacks), Some(UniqueKey::StackName));
    let others = Stack { generator_id: generator.id, ..sample::stack("web") };
    put(&store, vec![Change::Stack(others)]).await;
    let gone = Stack { version: Version::new(2), deleted_at: Some(sample::time(1)), ..stack };
    put(&store, vec![Change::Stack(gone)]).await;
    put(&store, vec![Change::Stack(sample::stack("web"))]).await;
}

/// A short id stays taken after its key is revoked.
pub async fn short_id_of_a_revoked_key_stays_taken(store: Arc<dyn Store>) {
    let key = sample::key(KeyOwner::Admin, "short");
    put(&store, vec![Change::Key(key.clone())]).await;
    let again = || commit(vec![Change::Key(sample::key(KeyOwner::Admin, "short"))]);
    assert_eq!(unique(store.commit(again()).await), Some(UniqueKey::KeyShortId));
    let revoked = crate::model::ApiKey { version: Version::new(2), deleted_at: Some(sample::time(1)), ..key };
    put(&store, vec![Change::Key(revoked)]).await;
    assert_eq!(unique(store.commit(again()).await), Some(UniqueKey::KeyShortId));
}

/// A revision is unique within its stack.
pub async fn revisions_are_unique_per_stack(store: Arc<dyn Store>) {
    system(&store).await;
    let (one, two) = (sample::stack("one"), sample::stack("two"));
    put(&store, vec![Change::Stack(one.clone()), Change::Stack(two.clone())]).await;
    put(&store, vec![Change::DeploymentObject(sample::object(&one, 1))]).await;
    put(&store, vec![Change::DeploymentObject(sample::object(&two, 1))]).await;
    let again = store.commit(commit(vec![Change::DeploymentObject(sample::object(&one, 1))])).await;
    assert_eq!(unique(again), Some(UniqueKey::StackRevision(Revision::FIRST)));
}

/// Deployment objects and events cannot be committed again.
pub async fn immutable_entities_cannot_be_changed(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    let object = sample::object(&stack, 1);
    let event = sample::event(&stack, &agent, 0);
    let changes = vec![Change::Stack(stack.clone()), Change::Agent(agent), Change::DeploymentObject(object.clone())];
    put(&store, changes).await;
    put(&store, vec![Change::Event(event.clone())]).await;
    let mut touched = object.clone();
    touched.message = "touched".to_owned();
    touched.revision = Revision::new(2);
    let again = store.commit(commit(vec![Change::DeploymentObject(touched)])).await;
    assert!(is_conflict(again));
    let mut other = event.clone();
    other.reason = "Touched".to_owned();
    assert!(is_conflict(store.commit(commit(vec![Change::Event(other)])).await));
    let there = store.deployment_object_content(&Scope::All, object.id).await.expect("object");
    assert_eq!(there, (object.clone(), sample::content(object.id)));
    let events = store.event_list(&Scope::All, &EventFilter::default(), &Page::default()).await.expect("events");
    assert_eq!(events.items, [event]);
}

/// A commit without changes, without audit records, or with two changes of one entity is malformed.
pub async fn malformed_commit_is_refused(store: Arc<dyn Store>) {
    system(&store).await;
    let stack = sample::stack("web");
    let refused = |result| matches!(result, Err(StoreError::Malformed(_)));
    assert!(refused(store.commit(commit(Vec::new())).await));
    let unaudited = Commit { audit: Vec::new(), ..commit(vec![Change::Stack(stack.clone())]) };
    assert!(refused(store.commit(unaudited).await));
    let second = Stack { version: Version::new(2), ..stack.clone() };
    assert!(refused(store.commit(commit(vec![Change::Stack(stack), Change::Stack(second)])).await));
}

async fn audit_of(store: &Arc<dyn Store>) -> Vec<AuditRecord> {
    store.audit_list(&Scope::All, &AuditFilter::default(), &Page::default()).await.expect("audit").items
}

/// The audit records of a commit read back as given.
pub async fn every_commit_is_audited(store: Arc<dyn Store>) {
    let mut record = sample::audit("generator.create", 9);
    record.object_kind = Some(crate::model::EntityKind::Generator);
    record.object_id = Some("x".to_owned());
    record.detail = Some("more".to_owned());
    let patch = vec![serde_json::json!({"op": "replace", "path": "/description", "value": "a \u{1F600} \\ text"})];
    record.changes = Some(AuditChanges { patch, truncated: true });
    let other = sample::audit("second", 8);
    let changes = vec![Change::Generator(sample::generator("team"))];
    let commit = Commit { audit: vec![record.clone(), other.clone()], ..commit(changes) };
    store.commit(commit).await.expect("a commit");
    assert_eq!(audit_of(&store).await, [record, other]);
}

/// Denied and failed attempts are recorded with their count, and add nothing to the feed.
pub async fn attempts_are_recorded(store: Arc<dyn Store>) {
    let denied =
        AuditRecord { outcome: AuditOutcome::Denied, count: 1_000_000_007, ..sample::audit("authenticate", 1) };
    store.record_attempts(vec![denied.clone()]).await.expect("recorded");
    assert_eq!(audit_of(&store).await, [denied]);
    assert!(whole_feed(&store, &Scope::All, FeedPosition::START).await.is_empty(), "attempts change nothing");
}

/// The newest time of activity is kept, in whatever order times arrive.
pub async fn activity_keeps_the_newest_times(store: Arc<dyn Store>) {
    system(&store).await;
    let agent = sample::agent("edge");
    let key = sample::key(agent.id.into(), "short");
    put(&store, vec![Change::Agent(agent.clone()), Change::Key(key.clone())]).await;
    assert_eq!(store.agent_last_seen(&Scope::All, &[agent.id]).await.expect("seen"), []);
    for n in [5, 9, 7] {
        let activity = Activity { agents: vec![(agent.id, sample::time(n))], keys: vec![(key.id, sample::time(n))] };
        store.record_activity(activity).await.expect("recorded");
    }
    let seen = store.agent_last_seen(&Scope::All, &[agent.id]).await.expect("seen");
    assert_eq!(seen, [(agent.id, sample::time(9))]);
    let used = store.key_last_used(&Scope::All, &[key.id, KeyId::generate()]).await.expect("used");
    assert_eq!(used, [(key.id, sample::time(9))]);
    assert_eq!(store.get::<Agent>(&Scope::All, agent.id).await.expect("agent").version, Version::FIRST);
}

/// Commits change neither epoch nor secret.
pub async fn epoch_and_secret_are_constant(store: Arc<dyn Store>) {
    let before = store.view_snapshot().await.expect("a snapshot").token;
    let secret = store.secret().await.expect("a secret");
    assert_ne!(secret, [0; 32]);
    put(&store, vec![Change::Generator(sample::generator("any"))]).await;
    assert_eq!(store.view_tail(&before).await.expect("a tail").token.epoch(), before.epoch());
    assert_eq!(store.view_snapshot().await.expect("a snapshot").token.epoch(), before.epoch());
    assert_eq!(store.secret().await.expect("a secret"), secret);
}

fn taken<T>(result: StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::NotUnique(UniqueKey::IdempotencyKey)))
}

/// An idempotency key is taken by a commit, for one caller, and for a limited time.
pub async fn idempotency_key_is_taken_once(store: Arc<dyn Store>) {
    system(&store).await;
    let record = |actor: &str, at| IdempotencyRecord {
        actor: actor.to_owned(),
        key: "once".to_owned(),
        fingerprint: Digest::of(b"request"),
        outcome: serde_json::json!({"answer": 42}),
        at,
    };
    let attempt = |name: &str, actor: &str, at: Timestamp| {
        let change = Change::Stack(sample::stack(name));
        let commit = Commit { idempotency: Some(record(actor, at)), at, ..commit(vec![change]) };
        let store = store.clone();
        async move { store.commit(commit).await }
    };
    let (now, day) = (sample::time(0), 24 * 3600);
    let attempts = (0..8).map(|n| tokio::spawn(attempt(&format!("twin{n}"), "admin:a", now)));
    let mut committed = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        let result = attempt.await.expect("no panic");
        committed += usize::from(result.is_ok());
        assert!(result.is_ok() || taken(result), "the other attempts find the key taken");
    }
    assert_eq!(committed, 1, "exactly one of the concurrent attempts is committed");
    let stacks = store.list::<Stack>(&Scope::All, &EntityQuery::default(), &Page::default()).await.expect("stacks");
    assert_eq!(stacks.items.len(), 1);
    let before = sample::time(-1);
    assert_eq!(store.idempotency_find("admin:a", "once", before).await.expect("found"), Some(record("admin:a", now)));
    assert_eq!(store.idempotency_find("admin:a", "once", now).await.expect("found"), None, "too old");
    assert_eq!(
        store.idempotency_find("admin:b", "once", before).await.expect("found"),
        None,
        "the key belongs to another caller"
    );
    assert!(attempt("other", "admin:b", now).await.is_ok(), "keys of different callers are independent");
    assert!(taken(attempt("again", "admin:a", sample::time(day - 1)).await));
    assert!(attempt("later", "admin:a", sample::time(day)).await.is_ok(), "the key is free again after a day");
    let keep = |key: &str, at| {
        let (store, record) = (store.clone(), IdempotencyRecord { key: key.to_owned(), ..record("admin:a", at) });
        async move { store.idempotency_keep(record).await }
    };
    assert!(taken(keep("once", sample::time(day + 1)).await), "taken by a commit");
    assert!(keep("nothing", now).await.is_ok());
    assert!(taken(keep("nothing", sample::time(day - 1)).await));
    let found = store.idempotency_find("admin:a", "nothing", before).await.expect("found");
    assert_eq!(found.map(|it| it.at), Some(now));
    assert!(keep("nothing", sample::time(day)).await.is_ok(), "the key is free again after a day");
    let large = serde_json::json!({"answer": "x".repeat(100_000)});
    for key in ["large", "equal"] {
        let record = IdempotencyRecord { key: key.to_owned(), outcome: large.clone(), ..record("admin:a", now) };
        store.idempotency_keep(record).await.expect("the key is free");
    }
    let commit_of = |name: &str, key: &str| {
        let record = IdempotencyRecord { key: key.to_owned(), outcome: large.clone(), ..record("admin:a", now) };
        Commit { idempotency: Some(record), at: now, ..commit(vec![Change::Stack(sample::stack(name))]) }
    };
    assert!(store.commit(commit_of("large", "of-commit")).await.is_ok());
    assert!(taken(store.commit(commit_of("larger", "of-commit")).await));
    for key in ["large", "equal", "of-commit"] {
        let found = store.idempotency_find("admin:a", key, before).await.expect("found");
        assert_eq!(found.map(|it| it.outcome), Some(large.clone()), "equal large answers of several keys");
    }
    let refused = Commit {
        idempotency: Some(IdempotencyRecord { key: "fresh".to_owned(), ..record("admin:a", now) }),
        preconditions: vec![Precondition::Version(EntityKey::Stack(StackId::generate()), Version::FIRST)],
        ..commit(vec![Change::Stack(sample::stack("no"))])
    };
    assert!(is_conflict(store.commit(refused).await));
    assert_eq!(
        store.idempotency_find("admin:a", "fresh", before).await.expect("found"),
        None,
        "a refused commit records no answer"
    );
}
