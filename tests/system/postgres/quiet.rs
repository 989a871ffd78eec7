//! Unchanged polls cost no queries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::{Broker, BrokerError, Content, NewAgent, Origin};
use brokkr_core::protocol::{PollAnswer, PollRequest};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::{Database, eventually, stays};

/// The number of scans and writes of each table so far.
fn scans(database: &Database) -> BTreeMap<String, i64> {
    let rows = database.query(
        "SELECT relname || ' ' || coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd
         FROM pg_stat_user_tables WHERE schemaname = 'brokkr'",
    );
    rows.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(table, count)| (table.to_owned(), count.parse().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_polls_read_only_tail_and_telemetry_tables() {
    const POLLS: usize = 10_000;
    let database = Database::new();
    let broker = Broker::builder(Arc::new(database.store().await)).start().await.unwrap();
    let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
    let (agent, pak) = broker.agent_create(&broker.system_actor(), new).await.unwrap();
    let pak = pak.pak.unwrap();
    let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
    let PollAnswer::Changed(state) = broker.target_state(&actor, agent.id, PollRequest::default()).await.unwrap()
    else {
        panic!("the first poll knows nothing")
    };
    let request = PollRequest { known: Some(state.digest), ..PollRequest::default() };
    let before = scans(&database);
    let began = std::time::Instant::now();
    for _ in 0..POLLS {
        let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
        let poll = broker.target_state(&actor, agent.id, request).await.unwrap();
        assert!(matches!(poll, PollAnswer::Unchanged { .. }));
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let seconds = began.elapsed().as_secs() as i64 + 1;
    for (table, count) in scans(&database) {
        let more = count - before.get(&table).copied().unwrap_or(0);
        let may = match table.as_str() {
            // The tail reads twice a second, with the current position.
            "change" | "history" | "feed_start" | "run" => 40 * seconds,
            // The flusher writes four times a second, whatever the number of polls, and reads the tables that it updates.
            "agent_activity" | "key_activity" | "agent" | "api_key" => 20 * seconds,
            // Controllers renew their leases, whatever the number of polls.
            "lease" => 20 * seconds,
            // Statistics from before the measurement: connections report them some seconds late.
            _ => 10,
        };
        assert!(more <= may, "{table}: {more} more after {POLLS} polls in {seconds} s, {may} expected at the most");
    }
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_content_requests_cost_one_query_and_check_access() {
    let database = Database::new();
    let start = async || Broker::builder(Arc::new(database.store().await)).start().await.unwrap();
    let (one, other) = (start().await, start().await);
    let system = one.system_actor();
    let agent = async |name: &str| {
        let new = NewAgent { name: name.to_owned(), ..NewAgent::default() };
        let (agent, pak) = one.agent_create(&system, new).await.unwrap();
        (agent.id, pak.pak.unwrap())
    };
    let ((id, pak), (_, stranger)) = (agent("edge").await, agent("stranger").await);
    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
    let manifests = Content::Yaml { bytes: manifest.into(), message: String::new() };
    let applied = one.stack_apply(&system, None, "shop", Ok, Some(manifests)).await.unwrap();
    let (stack, object) = (applied.stack.id, applied.published.unwrap().object);
    one.target_set(&system, stack, id).await.unwrap();
    let actor = |broker: &Broker, pak: &SecretString| {
        broker.authenticate(pak.expose_secret(), Origin::in_process()).map_err(|it| it.to_string())
    };
    let told = one.target_state(&actor(&one, &pak).unwrap(), id, PollRequest::default()).await.unwrap();
    assert!(matches!(told, PollAnswer::Changed(_)));
    eventually("the other broker's view is current", || async {
        actor(&other, &stranger)?;
        match other.target_state(&actor(&other, &pak)?, id, PollRequest::default()).await {
            Ok(PollAnswer::Changed(state)) if state.count == 1 => Ok(()),
            told => Err(format!("{told:?}")),
        }
    })
    .await;

    // Many agents ask the broker that did not publish the content, while the table is locked.
    let mut lock = PgConnection::connect(&database.url("postgres")).await.unwrap();
    lock.execute("BEGIN; LOCK TABLE brokkr.content").await.unwrap();
    let reads: Vec<_> = (0..50)
        .map(|_| {
            let (broker, actor) = (other.clone(), actor(&other, &pak).unwrap());
            tokio::spawn(async move { broker.deployment_object_content(&actor, object.id).await.map(|it| it.bytes) })
        })
        .collect();
    let waiting =
        || database.query("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'brokkr.content'::regclass");
    let is_one = || async {
        let waiting = waiting();
        if waiting.trim() == "1" { Ok(()) } else { Err(waiting) }
    };
    eventually("one query waits", is_one).await;
    stays(Duration::from_millis(500), "one query for all", is_one).await;
    lock.execute("COMMIT").await.unwrap();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), manifest);
    }

    // Both brokers have cached the content, so they need no query.
    database.query("ALTER TABLE brokkr.content RENAME TO away");
    for broker in [&one, &other] {
        let found = broker.deployment_object_content(&actor(broker, &pak).unwrap(), object.id).await.unwrap();
        assert_eq!((found.object.id, &*found.bytes), (object.id, manifest.as_bytes()));
        let denied = broker.deployment_object_content(&actor(broker, &stranger).unwrap(), object.id).await;
        assert!(matches!(denied, Err(BrokerError::NotFound)), "cached content requires access too");
    }
    database.query("ALTER TABLE brokkr.away RENAME TO content");

    one.stack_delete(&system, stack, None).await.unwrap();
    one.target_abandon(&system, stack, id, "lost").await.unwrap();
    eventually("cached content of a deleted stack is not served", || async {
        match one.deployment_object_content(&actor(&one, &pak)?, object.id).await {
            Err(BrokerError::NotFound) => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    one.shutdown().await;
    other.shutdown().await;
}
