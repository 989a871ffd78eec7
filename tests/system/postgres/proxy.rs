//! The store and brokers behind a connection pooler in transaction mode.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_control::{Broker, Content, NewAgent, Origin};
use brokkr_core::model::StackSpec;
use brokkr_core::protocol::{PollAnswer, PollRequest};
use brokkr_core::store::{Store, StoreError};
use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{BrokerProcess, PgBouncer, Postgres, ScratchFolder, free_port, program};
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{Database, eventually, stacks_of_feed};

async fn pooled(url: String) -> PostgresStore {
    PostgresStore::connect(PostgresConfig::new(url).pooled(true)).await.unwrap()
}

/// The conformance suite of `Store`.
mod conformance {
    use super::*;

    async fn fresh() -> (Database, Arc<dyn Store>) {
        let database = Database::new();
        let store = Arc::new(pooled(database.proxied()).await);
        (database, store)
    }

    brokkr_core::store_conformance!(fresh().await);
}

fn config_map(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"n": number.to_string()}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pooled_brokers_see_each_others_concurrent_writes() {
    let database = Database::new();
    let broker = async || Broker::builder(Arc::new(pooled(database.proxied()).await)).start().await.unwrap();
    let (one, other) = (broker().await, broker().await);
    let system = one.system_actor();
    let (agent, pak) =
        one.agent_create(&system, NewAgent { name: "edge".to_owned(), ..NewAgent::default() }).await.unwrap();
    let stack = one.stack_create(&system, None, StackSpec::named("web")).await.unwrap().id;
    one.target_set(&system, stack, agent.id).await.unwrap();
    let pak = pak.pak.unwrap();
    let mut request = PollRequest { wait: Duration::from_secs(5), ..PollRequest::default() };
    for revision in 1..=20 {
        let content = Content::Documents { documents: vec![config_map(revision)], message: String::new() };
        one.publish(&system, stack, content).await.unwrap();
        let published = Instant::now();
        eventually("the other broker sees the stack", || async {
            let actor = other.authenticate(pak.expose_secret(), Origin::in_process()).map_err(|it| it.to_string())?;
            match other.target_state(&actor, agent.id, request).await {
                Ok(PollAnswer::Changed(state)) if state.entries[0].revision.unwrap().get() == revision as u64 => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        })
        .await;
        assert!(published.elapsed() < Duration::from_secs(2), "revision {revision}: {:?}", published.elapsed());
        request.known = None;
    }
    // More writers than the proxy has connections.
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let broker = if writer % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                for number in 0..20 {
                    let spec = StackSpec::named(format!("w{writer}-{number}"));
                    broker.stack_create(&broker.system_actor(), None, spec).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(database.query("SELECT count(*) FROM brokkr.stack"), "321");
    // The feed has each stack once.
    let store = pooled(database.proxied()).await;
    let last = one.stack_create(&system, None, StackSpec::named("last")).await.unwrap().id;
    let stacks = stacks_of_feed(&store, |_, stack| stack.id == last).await;
    let distinct: BTreeSet<_> = stacks.iter().map(|it| it.id).collect();
    assert_eq!((stacks.len(), distinct.len()), (322, 322));
    for broker in [one, other] {
        broker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_request_to_another_broker_gets_the_same_answer() {
    brokkr_http::client::install_crypto_provider();
    let database = Database::new();
    let start = |name: &str| {
        let port = free_port().unwrap();
        let arguments = ["--database-pooled"];
        let url = database.proxied();
        BrokerProcess::start(&program("brokkr-broker").unwrap(), port, &arguments, Some(&url), &database.log(name))
            .unwrap()
    };
    let (one, other) = (start("one"), start("other"));
    let admin = one.admin.clone().unwrap();
    let send = async |url: &str, method: Method, path: &str, key: Option<&str>, body: Option<Value>| {
        let mut command = std::process::Command::new("curl");
        command.args(["-s", "-X", method.as_str(), "-H", &format!("Authorization: Bearer {admin}")]);
        command.args(["-H", "content-type: application/json"]);
        if let Some(key) = key {
            command.args(["-H", &format!("Idempotency-Key: {key}")]);
        }
        if let Some(body) = body {
            command.args(["-d", &body.to_string()]);
        }
        let output = command.arg(format!("{url}/api/v1{path}")).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
    };
    let body = json!({"name": "web"});
    let first = send(&one.url, Method::POST, "/stacks", Some("once"), Some(body.clone())).await;
    let again = send(&other.url, Method::POST, "/stacks", Some("once"), Some(body)).await;
    assert!(first["id"].is_string(), "{first}");
    assert_eq!(first, again);
    assert_eq!(database.query("SELECT count(*) FROM brokkr.stack"), "1");
    let path = format!("/stacks/{}/deployment-objects", first["id"].as_str().unwrap());
    let published = send(&other.url, Method::POST, &path, None, Some(json!({"manifests": [config_map(1)]}))).await;
    assert_eq!(published["revision"], 1, "{published}");
    assert_eq!(send(&one.url, Method::GET, &path, None, None).await["items"][0]["id"], published["id"]);
    // No connection listens, which would need a dedicated session.
    let listening =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%'";
    assert_eq!(database.query(listening), "0");
}

/// Behind a proxy, connections survive a crash of the server, and transaction ids may repeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_crash_expires_positions_of_readers() {
    let folder = ScratchFolder::new("proxy-crash").unwrap();
    let mut server = Postgres::start(&folder.path().join("postgres")).unwrap();
    server.create_brokkr("brokkr").unwrap();
    migrate(server.url_of("brokkr_owner", "brokkr"), Some("brokkr_broker")).await.unwrap();
    let proxy = PgBouncer::start(&folder.path().join("proxy"), server.port()).unwrap();
    let store = pooled(proxy.url_of("brokkr")).await;
    let token = store.view_snapshot().await.unwrap().token;
    let token = store.view_tail(&token).await.unwrap().token;
    server.kill().unwrap();
    server.start_again().unwrap();
    assert!(matches!(store.view_tail(&token).await, Err(StoreError::Expired)));
    // A reader can continue from the new position in the same epoch.
    let snapshot = store.view_snapshot().await.unwrap();
    assert_eq!(snapshot.token.epoch(), token.epoch());
    store.view_tail(&snapshot.token).await.unwrap();
}
