//! Two brokers on one database, one with an outdated view. Its answers may be late, or errors, but it loses no
//! acknowledged write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::{Actor, AgentPatch, Broker, Content, NewAgent, Origin};
use brokkr_core::model::{AgentId, AgentStatus, Change, InstanceId, Stack, StackId, StackSpec};
use brokkr_core::protocol::{EntryAction, PollAnswer, PollRequest, Report, TargetEntry};
use brokkr_core::store::{FeedPosition, Scope, Store, StoreExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::{Database, eventually, stays};

struct Two {
    database: Database,
    store: Arc<dyn Store>,
    one: Broker,
    other: Broker,
}

fn content(name: &str) -> Content {
    let manifest = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
    Content::Yaml { bytes: manifest.into(), message: String::new() }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("tier".to_owned(), "web".to_owned())])
}

impl Two {
    async fn start() -> Self {
        let database = Database::new();
        let start = async || Broker::builder(Arc::new(database.store().await)).start().await.unwrap();
        let (one, other) = (start().await, start().await);
        let store = Arc::new(database.store().await);
        Self { database, store, one, other }
    }

    async fn stop(self) {
        self.one.shutdown().await;
        self.other.shutdown().await;
    }

    fn admin(&self) -> Actor {
        self.one.system_actor()
    }

    /// Creates a stack and waits until the other broker sees it.
    async fn stack(&self, name: &str) -> Stack {
        self.other.stack_apply(&self.admin(), None, name, Ok, Some(content("a"))).await.unwrap().stack
    }

    /// Creates an agent and waits until the other broker sees it.
    async fn agent(&self, labels: BTreeMap<String, String>) -> (AgentId, SecretString) {
        let new = NewAgent { name: "edge".to_owned(), labels, ..NewAgent::default() };
        let (agent, pak) = self.other.agent_create(&self.admin(), new).await.unwrap();
        (agent.id, pak.pak.unwrap())
    }

    /// Freezes both views until the lock is dropped or closed. Everything else continues.
    async fn hold(&self) -> PgConnection {
        let mut lock = PgConnection::connect(&self.database.url("postgres")).await.unwrap();
        lock.execute("BEGIN; LOCK TABLE brokkr.run").await.unwrap();
        lock
    }

    /// Starts an operation on the first broker and waits for its commit. The operation itself waits for the frozen view.
    async fn commits<T, F>(&self, does: impl FnOnce(Broker) -> F) -> tokio::task::JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let count = || self.database.query("SELECT count(*) FROM brokkr.change");
        let before = count();
        let task = tokio::spawn(does(self.one.clone()));
        eventually("the operation is committed", || async {
            let now = count();
            if now == before { Err(now) } else { Ok(()) }
        })
        .await;
        task
    }

    async fn entries(&self, broker: &Broker, agent: AgentId, pak: &SecretString) -> Result<Vec<TargetEntry>, String> {
        let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).map_err(|it| it.to_string())?;
        match broker.target_state(&actor, agent, PollRequest::default()).await {
            Ok(PollAnswer::Changed(state)) => Ok(state.entries.clone()),
            told => Err(format!("{told:?}")),
        }
    }

    /// The states of the assignment in the feed, once the feed is complete: any open transaction on the server may delay it.
    async fn assignments(&self) -> Vec<String> {
        let page = eventually("the feed is complete", async || {
            let page = self.store.feed(&Scope::All, FeedPosition::START, 1000).await.unwrap();
            let there = self.database.query("SELECT count(*) FROM brokkr.change");
            if page.entries.len().to_string() == there.trim() { Ok(page) } else { Err(there) }
        })
        .await;
        let states = page.entries.into_iter().filter_map(|entry| match entry.change {
            Change::Assignment(it) => Some(format!("{:?}", it.state)),
            _ => None,
        });
        states.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publication_by_another_broker_is_the_latest_revision() {
    let two = Two::start().await;
    let stack = two.stack("shop").await.id;
    let lock = two.hold().await;
    let admin = two.admin();
    let next = two.commits(async move |one| one.publish(&admin, stack, content("b")).await).await;
    let back = two.other.publish(&two.admin(), stack, content("a")).await.unwrap();
    drop(lock);
    assert!(next.await.unwrap().unwrap().created);
    assert!(back.created, "the first publication is no longer the latest");
    assert_eq!(back.object.revision.get(), 3);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cordoned_agent_gets_no_new_stacks() {
    let two = Two::start().await;
    let (agent, pak) = two.agent(labels()).await;
    let spec = StackSpec { labels: labels(), ..StackSpec::named("shop") };
    two.other.stack_apply(&two.admin(), None, "shop", |_| Ok(spec.clone()), Some(content("a"))).await.unwrap();
    let actor = two.other.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
    let lock = two.hold().await;
    let admin = two.admin();
    let cordon = |_: &_| Ok(AgentPatch { status: Some(AgentStatus::Cordoned), ..AgentPatch::default() });
    let cordoned = two.commits(async move |one| one.agent_update(&admin, agent, None, cordon).await).await;
    let poll = tokio::spawn({
        let (other, actor) = (two.other.clone(), actor.clone());
        async move { other.target_state(&actor, agent, PollRequest::default()).await }
    });
    let count = || two.database.query("SELECT count(*) FROM brokkr.assignment");
    stays(Duration::from_millis(500), "no stack is listed", || async {
        let count = count();
        if count.trim() == "0" { Ok(()) } else { Err(count) }
    })
    .await;
    drop(lock);
    cordoned.await.unwrap().unwrap();
    if let Ok(PollAnswer::Changed(state)) = poll.await.unwrap() {
        assert_eq!(state.count, 0, "{state:?}");
    }
    assert_eq!(count().trim(), "0");
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_target_withdraws_only_unmatched_assignments() {
    // The change through the other broker, whether the pair matches afterwards, and the expected state of the assignment.
    for (before, after, expected) in
        [(BTreeMap::new(), labels(), vec!["Listed"]), (labels(), BTreeMap::new(), vec!["Listed", "Withdrawn"])]
    {
        let two = Two::start().await;
        let (agent, pak) = two.agent(labels()).await;
        let spec = |labels: &BTreeMap<_, _>| StackSpec { labels: labels.clone(), ..StackSpec::named("shop") };
        let applied =
            two.other.stack_apply(&two.admin(), None, "shop", |_| Ok(spec(&before)), Some(content("a"))).await;
        let stack = applied.unwrap().stack.id;
        two.other.target_set(&two.admin(), stack, agent).await.unwrap();
        assert_eq!(two.entries(&two.other, agent, &pak).await.unwrap().len(), 1);
        let cordon = |_: &_| Ok(AgentPatch { status: Some(AgentStatus::Cordoned), ..AgentPatch::default() });
        two.other.agent_update(&two.admin(), agent, None, cordon).await.unwrap();
        let lock = two.hold().await;
        let (admin, after) = (two.admin(), spec(&after));
        let edit = async move |one: Broker| one.stack_update(&admin, stack, None, |_| Ok(after.clone())).await;
        let edited = two.commits(edit).await;
        two.other.target_remove(&two.admin(), stack, agent).await.unwrap();
        drop(lock);
        edited.await.unwrap().unwrap();
        assert_eq!(two.assignments().await, expected);
        two.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependency_cycle_over_two_brokers_is_refused() {
    let two = Two::start().await;
    for round in 0..20 {
        let (a, b) = (two.stack(&format!("a{round}")).await.id, two.stack(&format!("b{round}")).await.id);
        let (admin, depends) =
            (two.admin(), |on: StackId| move |spec: StackSpec| Ok(StackSpec { depends_on: vec![on], ..spec }));
        let (first, second) = tokio::join!(
            two.one.stack_update(&admin, a, None, depends(b)),
            two.other.stack_update(&admin, b, None, depends(a)),
        );
        assert!(first.is_ok() != second.is_ok(), "round {round}: {first:?}, {second:?}");
    }
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removals_stay_listed_after_the_view_reloads() {
    let two = Two::start().await;
    let (agent, pak) = two.agent(BTreeMap::new()).await;
    let stack = two.stack("shop").await.id;
    let admin = two.admin();
    two.other.target_set(&admin, stack, agent).await.unwrap();
    assert_eq!(two.entries(&two.other, agent, &pak).await.unwrap().len(), 1);
    // An admin abandons the agent, the stack is deleted, and the agent returns with its objects.
    two.other.stack_delete(&admin, stack, None).await.unwrap();
    two.other.target_abandon(&admin, stack, agent, "lost").await.unwrap();
    let gone = two.store.get::<Stack>(&Scope::All, stack).await;
    assert!(gone.is_err(), "{gone:?}");
    let actor = two.other.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
    let report = Report {
        instance_id: InstanceId::generate(),
        sequence: 1,
        cluster_uid: "one".to_owned(),
        held: Some(vec![stack]),
        events: Vec::new(),
        status: Vec::new(),
        capabilities: None,
    };
    two.other.report(&actor, agent, &report).await.unwrap();
    let is_told = |entries: &[TargetEntry]| entries.iter().any(|it| it.action == EntryAction::Remove && it.confirmed);
    assert!(is_told(&two.entries(&two.other, agent, &pak).await.unwrap()));
    let ended = two.database.query(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE usename = 'brokkr_broker' AND datname = current_database()",
    );
    assert_ne!(ended.trim(), "0");
    // A later commit proves that the view has reloaded.
    eventually("another stack can be created", || async {
        let name = "next";
        let applied =
            two.other.stack_apply(&admin, None, name, Ok, Some(content("a"))).await.map_err(|it| it.to_string())?;
        two.other.target_set(&admin, applied.stack.id, agent).await.map(drop).map_err(|it| it.to_string())
    })
    .await;
    eventually("the target state lists both removals", || async {
        match two.entries(&two.other, agent, &pak).await {
            Ok(entries) if entries.iter().any(|it| it.action == EntryAction::Apply) => {
                assert!(is_told(&entries), "{stack} is forgotten: {entries:?}");
                Ok(())
            }
            told => Err(told),
        }
    })
    .await;
    two.stop().await;
}
