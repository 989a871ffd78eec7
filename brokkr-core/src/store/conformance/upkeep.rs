//! Checks of leases and retention.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock as _, SystemClock};
use crate::model::{AgentEvent, AuditRecord, Change, InstanceId};
use crate::store::conformance::fixture::{put, system};
use crate::store::conformance::sample;
use crate::store::{AuditFilter, EventFilter, Page, Retention, Scope, Store};

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
