//! Checks of environments: what names one keeps it, and keys that are limited to some see only their agents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{
    Agent, AgentId, ApiKey, Change, EntityKey, Environment, EnvironmentSet, GeneratorId, GeneratorPrincipal, GrantId,
    JoinToken, KeyOwner, Name, Stack, Version,
};
use crate::store::conformance::fixture::{is_conflict, is_not_found, put, put_if, system};
use crate::store::conformance::sample;
use crate::store::{EntityQuery, EventFilter, Page, Precondition, Scope, Store, StoreExt as _};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn set(text: &str) -> Option<EnvironmentSet> {
    EnvironmentSet::try_from(vec![text.to_owned()]).ok()
}

/// An environment cannot be deleted while a living agent or generator, or a usable key or join token, names it.
pub async fn named_environment_cannot_be_deleted(store: Arc<dyn Store>) {
    system(&store).await;
    let mut environment = sample::environment("dev");
    let id = environment.id;
    let only_if = || Precondition::NamedByNothing(id);
    put(&store, vec![Change::Environment(environment.clone())]).await;
    let agent = Agent { environment: Some(name("dev")), ..sample::agent("edge") };
    let generator = GeneratorPrincipal { environments: set("dev"), ..sample::generator("shop") };
    let key = ApiKey { environments: set("dev"), ..sample::key(KeyOwner::Admin, "jane") };
    let token = JoinToken { environment: Some(name("dev")), ..sample::join_token("site") };
    let of_limited = JoinToken { environment: None, keys_environments: set("dev"), ..sample::join_token("other") };
    let expired = ApiKey { expires_at: Some(sample::time(0)), ..sample::key(KeyOwner::Admin, "joe") };
    let expired = ApiKey { environments: set("dev"), ..expired };
    let (second, at) = (Version::new(2), Some(sample::time(1)));
    for (naming, gone) in [
        (agent.clone().into(), Agent { version: second, environment: None, ..agent }.into()),
        (generator.clone().into(), GeneratorPrincipal { version: second, deleted_at: at, ..generator }.into()),
        (key.clone().into(), ApiKey { version: second, deleted_at: at, ..key }.into()),
        (token.clone().into(), JoinToken { version: second, deleted_at: at, ..token }.into()),
        (of_limited.clone().into(), JoinToken { version: second, deleted_at: at, ..of_limited }.into()),
    ] {
        let naming: Change = naming;
        put(&store, vec![naming.clone()]).await;
        let next = Environment { version: environment.version.next(), ..environment.clone() };
        let refused = put_if(&store, vec![Change::Environment(next.clone())], only_if()).await;
        assert!(is_conflict(refused), "{naming:?} names it");
        put_if(&store, vec![Change::Environment(next.clone()), gone], only_if()).await.expect("named no more");
        environment = next;
    }
    put(&store, vec![Change::Key(expired)]).await;
    let next = Environment { version: environment.version.next(), ..environment.clone() };
    put_if(&store, vec![Change::Environment(next.clone())], only_if()).await.expect("an expired key does not count");

    // In each round, exactly one of the two commits succeeds.
    let key = EntityKey::Environment(environment.id);
    let mut version = next.version;
    for round in 0..20 {
        let agent = Agent { environment: Some(name("dev")), ..sample::agent(&format!("a{round}")) };
        let names = put_if(&store, vec![Change::Agent(agent.clone())], Precondition::Version(key, version));
        let changed = Environment { version: version.next(), ..environment.clone() };
        let deletes = put_if(&store, vec![Change::Environment(changed.clone())], only_if());
        let (named, deleted) = tokio::join!(names, deletes);
        assert!(named.is_ok() != deleted.is_ok(), "round {round}: {named:?}, {deleted:?}");
        if named.is_ok() {
            let gone = Agent { version: second, deleted_at: at, ..agent };
            put(&store, vec![Change::Agent(gone), Change::Environment(changed)]).await;
        }
        version = version.next();
    }
}

/// A key that is limited to environments sees only their agents, and the keys that it may manage.
pub async fn limited_key_sees_only_its_environments(store: Arc<dyn Store>) {
    system(&store).await;
    let shop = sample::generator("shop");
    put(&store, vec![Change::Generator(shop.clone())]).await;
    let agent = |called: &str, owner: GeneratorId| Agent {
        environment: Some(name(called.split('-').next().unwrap_or(called))),
        registrations: BTreeMap::from([(owner, GrantId::DEFAULT)]),
        ..sample::agent(called)
    };
    let (own, far, other) = (agent("dev-1", shop.id), agent("prod-1", shop.id), agent("dev-2", GeneratorId::SYSTEM));
    let stack = Stack { generator_id: shop.id, ..sample::stack("web") };
    let (visible, hidden) = (sample::key(KeyOwner::Admin, "visible"), sample::key(KeyOwner::Admin, "hidden"));
    let agents = || [own.clone(), far.clone(), other.clone()];
    let mut changes = vec![Change::Stack(stack.clone()), visible.clone().into(), hidden.clone().into()];
    changes.extend(agents().map(Change::Agent));
    for agent in [&own, &far] {
        changes.push(Change::Target(sample::target(&stack, agent)));
        changes.push(Change::Assignment(sample::assignment(&stack, agent)));
        changes.push(Change::StackStatus(sample::status(&stack, agent)));
        changes.push(Change::Event(sample::event(&stack, agent, 0)));
    }
    put(&store, changes).await;
    let limited = |generator| Scope::Limited {
        generator,
        agents: Arc::new(BTreeSet::from([own.id, other.id])),
        keys: Arc::new(BTreeSet::from([visible.id])),
    };
    for (scope, expected) in [(limited(None), vec![own.id, other.id]), (limited(Some(shop.id)), vec![own.id])] {
        let (scope, all) = (&scope, EntityQuery::default());
        let seen = store.list::<Agent>(scope, &all, &Page::default()).await.expect("list").items;
        let seen: BTreeSet<AgentId> = seen.into_iter().map(|it| it.id).collect();
        assert_eq!(seen, expected.into_iter().collect());
        assert!(is_not_found(store.get::<Agent>(scope, far.id).await));
        assert!(store.get::<Agent>(scope, own.id).await.is_ok());
        let pairs = store.target_list(scope, stack.id, None, &Page::default()).await.expect("list").items;
        assert_eq!(pairs.iter().map(|it| it.agent_id).collect::<Vec<_>>(), [own.id]);
        assert_eq!(store.target_find(scope, stack.id, far.id).await.expect("find"), None);
        assert_eq!(store.assignment_of_stack(scope, stack.id).await.expect("list").len(), 1);
        assert_eq!(store.stack_status_of_stack(scope, stack.id, &[own.id, far.id]).await.expect("list").len(), 1);
        assert_eq!(store.stack_progress(scope, stack.id).await.expect("list").len(), 1);
        let events = store.event_list(scope, &EventFilter::default(), &Page::default()).await.expect("list").items;
        assert_eq!(events.iter().map(|it| it.agent_id).collect::<Vec<_>>(), [own.id]);
        assert!(store.get::<Stack>(scope, stack.id).await.is_ok(), "stacks as without the limit");
        assert!(store.get::<ApiKey>(scope, visible.id).await.is_ok());
        assert!(is_not_found(store.get::<ApiKey>(scope, hidden.id).await));
        let keys = store.key_list(scope, &[KeyOwner::Admin], &Page::default()).await.expect("list").items;
        assert_eq!(keys.iter().map(|it| it.id).collect::<Vec<_>>(), [visible.id]);
        assert!(store.get::<GeneratorPrincipal>(scope, shop.id).await.is_ok());
    }
    assert!(is_not_found(store.get::<GeneratorPrincipal>(&limited(Some(shop.id)), GeneratorId::SYSTEM).await));
}

/// Lists of one environment contain its agents, join tokens, targets and events, and nothing of others.
pub async fn lists_filter_by_environment(store: Arc<dyn Store>) {
    system(&store).await;
    let agent =
        |called: &str, environment: Option<&str>| Agent { environment: environment.map(name), ..sample::agent(called) };
    let (dev, prod, none) = (agent("a", Some("dev")), agent("b", Some("prod")), agent("c", None));
    let stack = sample::stack("web");
    let token = JoinToken { environment: Some(name("dev")), ..sample::join_token("one") };
    let other = JoinToken { environment: None, ..sample::join_token("two") };
    let mut changes = vec![Change::Stack(stack.clone()), token.clone().into(), other.into()];
    for (n, agent) in (0..).zip([&dev, &prod, &none]) {
        changes.push(Change::Agent(agent.clone()));
        changes.push(Change::Target(sample::target(&stack, agent)));
        changes.push(Change::Event(sample::event(&stack, agent, n)));
        changes.push(Change::Event(sample::event(&stack, agent, n + 10)));
    }
    put(&store, changes).await;
    let all = &Scope::All;
    for (environment, expected) in [("dev", vec![dev.id]), ("prod", vec![prod.id]), ("qa", vec![])] {
        let query = EntityQuery { environment: Some(name(environment)), ..EntityQuery::default() };
        let agents = store.list::<Agent>(all, &query, &Page::default()).await.expect("list").items;
        assert_eq!(agents.iter().map(|it| it.id).collect::<Vec<_>>(), expected, "{environment}");
        let named = name(environment);
        let targets = store.target_list(all, stack.id, Some(&named), &Page::default()).await.expect("list").items;
        assert_eq!(targets.iter().map(|it| it.agent_id).collect::<Vec<_>>(), expected, "{environment}");
        let filter = EventFilter { environment: Some(named), ..EventFilter::default() };
        let (mut events, mut from) = (Vec::new(), Page::first(1));
        loop {
            let listing = store.event_list(all, &filter, &from).await.expect("list");
            events.extend(listing.items);
            from.after = listing.next;
            if from.after.is_none() {
                break;
            }
        }
        assert_eq!(events.len(), expected.len() * 2, "{environment}");
        assert!(events.iter().all(|it| expected.contains(&it.agent_id)));
        let tokens = store.list::<JoinToken>(all, &query, &Page::default()).await.expect("list").items;
        assert_eq!(tokens.len(), usize::from(environment == "dev"));
        assert!(
            store.list::<Stack>(all, &query, &Page::default()).await.expect("list").items.is_empty(),
            "in no environment"
        );
    }
}
