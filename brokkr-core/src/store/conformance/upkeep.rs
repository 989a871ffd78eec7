//! Checks of leases and retention.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::clock::{Clock as _, SystemClock};
use crate::model::{AgentEvent, AuditRecord, Change, InstanceId};
use crate::store::conformance::fixture::{put, put_if, system};
use crate::store::conformance::sample;
use crate::store::{
    AuditFilter, Commit, EventFilter, Fence, LeaseRecord, Page, Precondition, Retention, Scope, Store, StoreError,
    StoreResult,
};

/// A lease has one holder at a time. Each new holder gets a higher fencing number; a renewal keeps it.
pub async fn lease_has_one_holder(store: Arc<dyn Store>) {
    let (one, other) = (InstanceId::generate(), InstanceId::generate());
    let long = Duration::from_secs(60);
    let take = |name: &'static str, holder, valid_for| {
        let store = store.clone();
        async move { store.lease_take(name, holder, valid_for).await.expect("an answer") }
    };
    let first = take("work", one, long).await.expect("free");
    assert_eq!(take("work", other, long).await, None);
    assert_eq!(take("work", one, long).await.map(|it| it.fencing), Some(first.fencing), "renewed");
    assert!(take("else", other, long).await.is_some(), "another name is another lease");
    store.lease_release("work", other).await.expect("releasing another holder's lease does nothing");
    assert_eq!(take("work", other, long).await, None);
    store.lease_release("work", one).await.expect("released");
    let second = take("work", other, Duration::from_millis(1)).await.expect("free again");
    assert!(second.fencing > first.fencing);
    let mut third = None;
    for _ in 0..1_000 {
        third = take("work", one, long).await;
        if third.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(third.expect("the lease expires").fencing > second.fencing);
    let takers = (0..16).map(|_| tokio::spawn(take("race", InstanceId::generate(), long)));
    let mut winners = 0;
    for taker in takers.collect::<Vec<_>>() {
        winners += usize::from(taker.await.expect("no panic").is_some());
    }
    assert_eq!(winners, 1);
}

/// A commit under a lease succeeds only while the lease is held under the same number.
pub async fn lost_lease_fences_commits(store: Arc<dyn Store>) {
    let (one, other) = (InstanceId::generate(), InstanceId::generate());
    let long = Duration::from_secs(60);
    let under = |fencing: u64, name: &str| {
        let fence = Precondition::Lease(Fence { name: "work".to_owned(), fencing });
        put_if(&store, vec![Change::Generator(sample::generator(name))], fence)
    };
    let is_fenced = |result: StoreResult<_>| matches!(result, Err(StoreError::Fenced(name)) if name == "work");
    assert!(is_fenced(under(1, "never-taken").await));
    let first = store.lease_take("work", one, long).await.expect("an answer").expect("free");
    under(first.fencing, "held").await.expect("the lease is held");
    store.lease_take("work", one, long).await.expect("an answer").expect("renewed");
    under(first.fencing, "renewed").await.expect("a renewal keeps the number");
    assert!(is_fenced(under(first.fencing + 1, "future").await));
    store.lease_release("work", one).await.expect("released");
    assert!(is_fenced(under(first.fencing, "released").await));
    let second = store.lease_take("work", other, long).await.expect("an answer").expect("free");
    assert!(is_fenced(under(first.fencing, "replaced").await));
    under(second.fencing, "replaced").await.expect("nothing of the refused commit is stored");
    let short = store.lease_take("short", one, Duration::from_millis(1)).await.expect("an answer").expect("free");
    let mut refused = false;
    for n in 0..1_000 {
        let fence = Precondition::Lease(Fence { name: "short".to_owned(), fencing: short.fencing });
        let name = format!("short-{n}");
        refused = put_if(&store, vec![Change::Generator(sample::generator(&name))], fence).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(refused, "the lease ended, although nobody took it");
}

/// The last note on a lease is kept, whoever holds the lease; a note takes no lease.
pub async fn notes_on_leases_are_kept(store: Arc<dyn Store>) {
    let holder = InstanceId::generate();
    store.lease_note("noted", json!({"cursor": 1})).await.expect("noted");
    let lease = store.lease_take("noted", holder, Duration::from_secs(60)).await.expect("an answer").expect("free");
    store.lease_note("noted", json!({"cursor": 2})).await.expect("noted");
    store.lease_take("noted", holder, Duration::from_secs(60)).await.expect("an answer").expect("renewed");
    store.lease_note("alone", json!({"epoch": "one"})).await.expect("noted");
    let record = |name: &str, holder, fencing, note| LeaseRecord { name: name.to_owned(), holder, fencing, note };
    let alone = record("alone", None, 0, json!({"epoch": "one"}));
    let noted = record("noted", Some(holder), lease.fencing, json!({"cursor": 2}));
    assert_eq!(store.lease_list().await.expect("a list"), [alone.clone(), noted]);
    store.lease_release("noted", holder).await.expect("released");
    let released = record("noted", None, lease.fencing, json!({"cursor": 2}));
    assert_eq!(store.lease_list().await.expect("a list"), [alone, released]);
}

/// The store's time advances, and is never before that of an earlier commit.
pub async fn time_never_goes_back(store: Arc<dyn Store>) {
    let first = store.view_snapshot().await.expect("a snapshot");
    let later = first.now.plus(Duration::from_secs(3600));
    let generator = Change::Generator(sample::generator("ahead"));
    store.commit(Commit { at: later, ..sample::commit(vec![generator]) }).await.expect("a commit");
    let mut token = first.token;
    for _ in 0..3 {
        let tail = store.view_tail(&token).await.expect("a tail");
        assert!(tail.now >= later, "{:?} is before the commit at {later:?}", tail.now);
        token = tail.token;
    }
    assert!(store.view_snapshot().await.expect("a snapshot").now >= later);
}

/// A purge drops records older than the retention, keeps newer ones, and leaves an audit record.
pub async fn purge_drops_records_older_than_the_retention(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent, now) = (sample::stack("web"), sample::agent("edge"), SystemClock.now());
    let fresh = AgentEvent { recorded_at: now, ..sample::event(&stack, &agent, 0) };
    let old = sample::event(&stack, &agent, 0);
    put(&store, vec![Change::Stack(stack), Change::Agent(agent)]).await;
    put(&store, vec![Change::Event(old.clone())]).await;
    put(&store, vec![Change::Event(fresh.clone())]).await;
    store.record_attempts(vec![AuditRecord { at: now, ..sample::audit("fresh", 0) }]).await.expect("recorded");
    assert_eq!(
        store.purge(&Retention::default()).await.expect("nothing to do"),
        0,
        "default retention keeps everything"
    );
    let year = Duration::from_secs(365 * 24 * 3600);
    let keep = Retention { events: Some(year), audit: Some(year), changes: None };
    for _ in 0..100 {
        if store.purge(&keep).await.expect("purged") == 0 {
            break;
        }
    }
    let events = store.event_list(&Scope::All, &EventFilter::default(), &Page::default()).await.expect("events");
    assert_eq!(events.items, [fresh]);
    let known = store.event_known(&Scope::All, old.agent_id, &[old.id]).await.expect("known");
    assert!(known.is_empty());
    let audit = store.audit_list(&Scope::All, &AuditFilter::default(), &Page::default()).await.expect("audit").items;
    let actions: Vec<&str> = audit.iter().map(|record| record.action.as_str()).collect();
    assert!(actions.contains(&"fresh") && !actions.contains(&"sample"), "{actions:?}");
    assert!(actions.contains(&"purge.events") && actions.contains(&"purge.audit"), "{actions:?}");
}
