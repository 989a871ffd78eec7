//! Controllers on three replicas: one acts, and a holder that freezes loses its lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::Broker;
use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::model::{AuditOutcome, StackId, StackSpec, limits};
use brokkr_core::store::{AuditFilter, AuditReader as _, Page, Scope, StackReader as _};

use crate::support::{Database, FreezingStore, Side, eventually};

const EXPIRY: &str = "stack-expiry";
const LEASE: &str = "controller/stack-expiry";

/// Three brokers on one database, with leases of a second and a common clock.
struct Replicas {
    database: Database,
    clock: Arc<ManualClock>,
    stores: Vec<Arc<FreezingStore>>,
    brokers: Vec<Broker>,
}

impl Replicas {
    async fn start() -> Self {
        let (database, clock) = (Database::new(), Arc::new(ManualClock::new(SystemClock.now())));
        let (mut stores, mut brokers) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let store = Arc::new(FreezingStore::new(Arc::new(database.store().await)));
            let builder = Broker::builder(store.clone()).clock(clock.clone()).controller_lease(Duration::from_secs(1));
            brokers.push(builder.start().await.unwrap());
            stores.push(store);
        }
        Self { database, clock, stores, brokers }
    }

    /// The replica that runs the expiry, once there is one.
    async fn leader(&self) -> usize {
        eventually("a replica runs the controller", || async {
            let leads = |broker: &Broker| broker.controller_states()[EXPIRY].leads;
            self.brokers.iter().position(leads).ok_or(())
        })
        .await
    }

    /// Creates stacks that expire in two hours.
    async fn stacks(&self, count: usize) -> Vec<StackId> {
        let (broker, mut ids) = (&self.brokers[0], Vec::new());
        for n in 0..count {
            let end = self.clock.now().plus(Duration::from_secs(2 * 3600));
            let spec = StackSpec::named(format!("preview-{n}")).expires_at(end);
            ids.push(broker.stack_create(&broker.system_actor(), None, spec).await.unwrap().id);
        }
        ids
    }

    /// Lets time pass until every stack is gone.
    async fn until_gone(&self, stacks: &[StackId]) {
        eventually("every stack is gone", || async {
            self.clock.advance(Duration::from_secs(60));
            let found = self.reader().stack_find_with_tombstones(&Scope::All, stacks).await.unwrap();
            let left: Vec<_> = found.into_iter().filter(|it| it.deleted_at.is_none()).collect();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }

    /// A store that does not freeze.
    fn reader(&self) -> &FreezingStore {
        self.stores.iter().find(|it| !it.is_frozen()).unwrap()
    }

    /// How often each action on a stack has succeeded.
    async fn actions(&self) -> BTreeMap<(String, String), usize> {
        let page = Page::first(limits::PAGE_MAX);
        let audit = self.reader().audit_list(&Scope::All, &AuditFilter::default(), &page).await.unwrap();
        let mut actions = BTreeMap::new();
        for record in audit.items.into_iter().filter(|it| it.outcome == AuditOutcome::Success) {
            if let Some(id) = record.object_id.filter(|_| record.action.starts_with("stack.")) {
                *actions.entry((record.action, id)).or_default() += 1;
            }
        }
        actions
    }
}

/// Checks that each stack was announced, expired and removed exactly once.
async fn expired_once(replicas: &Replicas, stacks: &[StackId], case: &str) {
    let expected: BTreeMap<_, _> = ["stack.create", "stack.expiring", "stack.expired", "stack.removed"]
        .iter()
        .flat_map(|action| stacks.iter().map(|id| (((*action).to_owned(), id.to_string()), 1)))
        .collect();
    assert_eq!(replicas.actions().await, expected, "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_acts_and_hands_over_when_it_stops() {
    let replicas = Replicas::start().await;
    let leader = replicas.leader().await;
    let leading = |broker: &Broker| broker.controller_states()[EXPIRY].leads;
    assert_eq!(replicas.brokers.iter().filter(|it| leading(it)).count(), 1);
    let first = replicas.stacks(3).await;
    replicas.until_gone(&first).await;
    expired_once(&replicas, &first, "the first holder").await;
    replicas.brokers[leader].shutdown().await;
    eventually("another replica runs the controller", || async {
        let next = replicas.brokers.iter().position(leading);
        next.filter(|next| *next != leader).ok_or(next)
    })
    .await;
    // Each replica knows the holder.
    for (n, broker) in replicas.brokers.iter().enumerate().filter(|(n, _)| *n != leader) {
        let all = broker.controller_list(&broker.system_actor()).await.unwrap();
        let expiry = all.iter().find(|it| it.name == EXPIRY).unwrap();
        assert!(expiry.holder.is_some(), "replica {n}: {expiry:?}");
    }
    drop(replicas.database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holder_that_freezes_at_any_commit_is_replaced_and_fenced() {
    // Announcement, expiry and removal of two stacks.
    for passing in 0..6 {
        tokio::join!(frozen_at(passing, Side::Before), frozen_at(passing, Side::After));
    }
}

/// Freezes the holder at a commit, lets another replica finish, and thaws it.
async fn frozen_at(passing: usize, side: Side) {
    let case = format!("frozen {side:?} commit {passing}");
    let replicas = Replicas::start().await;
    let leader = replicas.leader().await;
    let stacks = replicas.stacks(2).await;
    let frozen = &replicas.stores[leader];
    frozen.freeze_at(LEASE, passing, side);
    replicas.until_gone(&stacks).await;
    assert!(frozen.is_frozen(), "{case}");
    expired_once(&replicas, &stacks, &case).await;
    eventually("another replica runs the controller", || async {
        let states = replicas.brokers.iter().map(|it| it.controller_states()[EXPIRY].leads).collect::<Vec<_>>();
        if states.iter().enumerate().any(|(n, leads)| *leads && n != leader) { Ok(()) } else { Err(states) }
    })
    .await;
    // The old holder continues with the commit that it was about to make.
    frozen.thaw();
    eventually("one replica runs the controller", || async {
        let states = replicas.brokers.iter().map(|it| it.controller_states()[EXPIRY].leads).collect::<Vec<_>>();
        if states.iter().filter(|leads| **leads).count() == 1 { Ok(()) } else { Err(states) }
    })
    .await;
    if side == Side::Before {
        eventually(&format!("{case}: the late commit is refused"), || async {
            if frozen.fenced() > 0 { Ok(()) } else { Err(frozen.fenced()) }
        })
        .await;
    }
    expired_once(&replicas, &stacks, &case).await;
    for broker in &replicas.brokers {
        broker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_rest_in_a_new_epoch_until_it_is_confirmed() {
    let (database, clock) = (Database::new(), Arc::new(ManualClock::new(SystemClock.now())));
    let store = Arc::new(database.store().await);
    let broker = Broker::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
    let admin = broker.system_actor();
    let spec = |name: &str| StackSpec::named(name).expires_at(clock.now().plus(Duration::from_secs(10)));
    eventually("the controller runs", || async {
        let state = broker.controller_states()[EXPIRY].clone();
        if state.leads && state.paused.is_none() { Ok(()) } else { Err(state) }
    })
    .await;
    store.begin_history("a test").await.unwrap();
    let stack = broker.stack_create(&admin, None, spec("preview")).await.unwrap();
    eventually("the controller rests", || async {
        let state = broker.controller_states()[EXPIRY].clone();
        if state.paused.as_deref().is_some_and(|it| it.contains("epoch")) { Ok(()) } else { Err(state) }
    })
    .await;
    clock.advance(Duration::from_secs(60));
    assert!(broker.stack_get(&admin, stack.id).await.is_ok());
    broker.controllers_confirm_epoch(&admin).await.unwrap();
    eventually("the stack is gone", || async {
        clock.advance(Duration::from_secs(1));
        match broker.stack_get(&admin, stack.id).await {
            Err(_) => Ok(()),
            Ok(stack) => Err(stack),
        }
    })
    .await;
    broker.shutdown().await;
}
