//! Checks of lists: complete, stable, filtered literally.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{AuditOutcome, Change, EntityKind, Environment, EventOutcome, GeneratorId, Stack, Version};
use crate::store::conformance::fixture::{is_conflict, is_not_found, put, system};
use crate::store::conformance::sample;
use crate::store::{AuditFilter, EntityQuery, EventFilter, Page, Scope, Store, StoreError, StoreExt as _, UniqueKey};

/// Paging returns every entry once, also while entries are added.
pub async fn lists_are_complete_and_stable(store: Arc<dyn Store>) {
    system(&store).await;
    let stacks: Vec<Stack> = (0..10).map(|n| sample::stack(&format!("s{n}"))).collect();
    put(&store, stacks.iter().cloned().map(Change::Stack).collect()).await;
    let (mut seen, mut page) = (Vec::new(), Page::first(3));
    for round in 0..20 {
        let listed = store.list::<Stack>(&Scope::All, &EntityQuery::default(), &page).await.expect("list");
        assert!(listed.items.len() <= 3);
        seen.extend(listed.items.into_iter().map(|it| it.id));
        put(&store, vec![Change::Stack(sample::stack(&format!("later{round}")))]).await;
        match listed.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
        assert!(round < 19, "paging does not end");
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), seen.len(), "an entry was returned twice");
    assert!(stacks.iter().all(|it| seen.contains(&it.id)), "an entry was skipped");
    let exactly = Page::first(seen.len().min(3));
    let one = EntityQuery { name: Some("s3".parse().expect("a name")), ..EntityQuery::default() };
    let listed = store.list::<Stack>(&Scope::All, &one, &exactly).await.expect("list");
    assert_eq!((listed.items.len(), listed.next), (1, None));
}

/// Filters compare literally: wildcards of pattern languages have no meaning.
pub async fn lists_filter_literally(store: Arc<dyn Store>) {
    system(&store).await;
    let labelled = |name: &str, value: &str| {
        let labels = BTreeMap::from([("env".to_owned(), value.to_owned())]);
        Stack { labels: labels.try_into().expect("labels"), ..sample::stack(name) }
    };
    let (prod, dev) = (labelled("a", "prod"), labelled("b", "dev"));
    put(&store, vec![Change::Stack(prod.clone()), Change::Stack(dev.clone()), Change::Stack(sample::stack("c"))]).await;
    for (selector, expected) in [("env=prod", 1), ("env", 2), ("!env", 1), ("env notin (prod)", 2), ("env in (x)", 0)] {
        let filter = EntityQuery { labels: selector.parse().expect(selector), ..EntityQuery::default() };
        let listed = store.list::<Stack>(&Scope::All, &filter, &Page::default()).await.expect("list");
        assert_eq!(listed.items.len(), expected, "{selector}");
    }
    for text in ["%", "_ample", "sample' OR '1'='1", "\\", "$1", "samp%"] {
        for filter in [
            AuditFilter { action: Some(text.to_owned()), ..AuditFilter::default() },
            AuditFilter { actor: Some(text.to_owned()), ..AuditFilter::default() },
            AuditFilter { object: Some(text.to_owned()), ..AuditFilter::default() },
        ] {
            let listed = store.audit_list(&Scope::All, &filter, &Page::default()).await.expect("list");
            assert!(listed.items.is_empty(), "{text}");
        }
    }
    let denied = AuditFilter { outcome: Some(AuditOutcome::Denied), ..AuditFilter::default() };
    assert!(store.audit_list(&Scope::All, &denied, &Page::default()).await.expect("list").items.is_empty());
}

/// Entities that are stored as documents have versions, unique names, pages and tombstones like all others. Only admins
/// see those without an owner.
pub async fn document_entities_behave_like_others(store: Arc<dyn Store>) {
    system(&store).await;
    let all: Vec<Environment> = ["dev", "staging", "prod"].map(sample::environment).to_vec();
    put(&store, all.iter().cloned().map(Change::Environment).collect()).await;
    let first = store.list::<Environment>(&Scope::All, &EntityQuery::default(), &Page::first(2)).await.expect("list");
    let rest = Page { limit: 2, after: first.next };
    let rest = store.list::<Environment>(&Scope::All, &EntityQuery::default(), &rest).await.expect("list");
    let mut listed = [first.items, rest.items].concat();
    listed.sort_by_key(|it| all.iter().position(|other| other.id == it.id));
    assert_eq!((listed, rest.next), (all.clone(), None));
    let named = EntityQuery { name: Some("prod".parse().expect("a name")), ..EntityQuery::default() };
    let found = store.list::<Environment>(&Scope::All, &named, &Page::default()).await.expect("list").items;
    assert_eq!(found, [all[2].clone()]);
    let own = Scope::Generator(GeneratorId::SYSTEM);
    assert!(is_not_found(store.get::<Environment>(&own, all[0].id).await));
    assert!(
        store
            .list::<Environment>(&own, &EntityQuery::default(), &Page::default())
            .await
            .expect("list")
            .items
            .is_empty()
    );
    let twin = store.commit(sample::commit(vec![Change::Environment(sample::environment("dev"))])).await;
    let taken = UniqueKey::Name(EntityKind::Environment);
    assert!(matches!(twin, Err(StoreError::NotUnique(key)) if key == taken));
    let stale =
        store.commit(sample::commit(vec![Change::Environment(Environment { rank: 7, ..all[0].clone() })])).await;
    assert!(is_conflict(stale));
    let gone = Environment { version: Version::new(2), deleted_at: Some(sample::time(1)), ..all[0].clone() };
    put(&store, vec![Change::Environment(gone)]).await;
    assert!(is_not_found(store.get::<Environment>(&Scope::All, all[0].id).await));
    put(&store, vec![Change::Environment(sample::environment("dev"))]).await;
}

/// Events and audit records are listed newest first. Their time filters include the start and exclude the end.
pub async fn records_are_listed_newest_first(store: Arc<dyn Store>) {
    system(&store).await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    put(&store, vec![Change::Stack(stack.clone()), Change::Agent(agent.clone())]).await;
    for n in [3, 1, 2, 5, 4] {
        let mut event = sample::event(&stack, &agent, n);
        if n == 5 {
            event.outcome = EventOutcome::Failure;
        }
        put(&store, vec![Change::Event(event)]).await;
    }
    let times = async |filter: EventFilter| {
        let (mut out, mut page) = (Vec::new(), Page::first(2));
        loop {
            let listed = store.event_list(&Scope::All, &filter, &page).await.expect("list");
            out.extend(listed.items.iter().map(|it| it.recorded_at));
            match listed.next {
                Some(next) if out.len() < 100 => page.after = Some(next),
                _ => return out,
            }
        }
    };
    assert_eq!(times(EventFilter::default()).await, [5, 4, 3, 2, 1].map(sample::time));
    let between = EventFilter { since: Some(sample::time(2)), until: Some(sample::time(4)), ..EventFilter::default() };
    assert_eq!(times(between).await, [3, 2].map(sample::time));
    let failed = EventFilter { outcome: Some(EventOutcome::Failure), ..EventFilter::default() };
    assert_eq!(times(failed).await, [sample::time(5)]);
    let others = EventFilter { agent: Some(sample::agent("x").id), ..EventFilter::default() };
    assert!(times(others).await.is_empty());
}
