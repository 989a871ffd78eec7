//! `brokkr-broker demo`: a broker, agents and clusters in one process.

mod changes;
mod clusters;
mod overview;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_control::{Actor, Broker, BrokerError, Content, NewAgent};
use brokkr_core::model::{StackId, StackSpec};
use brokkr_core::store::{MemoryStore, Store};
use brokkr_http::client::{Client, HttpControlPlane};
use brokkr_http::server::{Server, shutdown_signal};
use brokkr_reconcile::cluster::Fenceable;
use bytes::Bytes;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics;
use clusters::ClusterArgs;
use overview::{CONVERGENCE, Wanted, converge, table};

/// Default address. If the port is in use, the demo listens on any free port.
const LISTEN: &str = "127.0.0.1:3000";
const ANY_PORT: &str = "127.0.0.1:0";
const STACK: &str = "greeter";
const APPLICATION: &[u8] = include_bytes!("../../../manifests/application.yaml");

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Exit after convergence: with code 0, or after 60 s with code 1 and the reason.
    #[arg(long)]
    once: bool,
    /// Address to listen on [default: 127.0.0.1:3000, or any free port if that one is in use].
    #[arg(long)]
    listen: Option<String>,
    #[command(flatten)]
    clusters: ClusterArgs,
}

pub(crate) async fn run(args: DemoArgs) -> Result<(), Box<dyn Error>> {
    let clusters = args.clusters.connect().await?;
    let recorded = metrics::install()?;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = Broker::builder(store.clone()).start().await?;
    let admin_key = broker.ensure_admin_key(None).await?.ok_or("the new store returned no admin key")?;
    let mut server = Server::builder(broker.clone());
    if !args.once
        && let Some(listener) = metrics::listener(None).await?
    {
        server = server.metrics(listener, move || recorded.render());
    }
    let server = server.listener(listen(&args).await?)?;
    let url = format!("http://{}", server.local_addr()?);

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(server.run(stop.clone().cancelled_owned()));
    tasks.spawn(changes::print(store, stop.clone()));

    println!("Brokkr demo: one broker, {} agents. Changes:", clusters.len());
    let admin = broker.system_actor();
    for (name, cluster) in &clusters {
        start_agent(&broker, &admin, name, cluster.clone(), &url, &stop, &tasks).await?;
    }
    let (stack, objects) = publish(&broker, &admin).await?;
    let wanted = if args.clusters.are_real() { Wanted::Applied } else { Wanted::Available };
    let (overview, converged) = converge(&broker, &admin, stack, clusters.len(), wanted).await?;
    println!("\n{}\n", table(STACK, objects, &overview));
    if !args.once {
        match &converged {
            Ok(()) => println!("converged: {0} of {0} agents, {objects} objects each", clusters.len()),
            Err(reason) => println!("not converged: {reason}"),
        }
        explain(&url, &admin_key, stack);
        shutdown_signal().await;
    }
    // Real clusters continue to exist, so remove the application from them.
    let cleaned = if args.clusters.are_real() { remove(&broker, &admin, stack).await } else { Ok(()) };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    cleaned?;
    if args.once {
        converged?;
        println!("converged: {0} of {0} agents, {objects} objects each", clusters.len());
    }
    Ok(())
}

/// Binds `--listen`. Default: the port on which other commands expect a broker, or any free port if it is in use. With
/// `--once`: any free port.
async fn listen(args: &DemoArgs) -> Result<TcpListener, String> {
    let bind = async |address: &str| {
        TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
    };
    match &args.listen {
        Some(address) => bind(address).await,
        None if args.once => bind(ANY_PORT).await,
        None => match bind(LISTEN).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(ANY_PORT).await,
        },
    }
}

/// Removes the application from every cluster.
async fn remove(broker: &Broker, admin: &Actor, stack: StackId) -> Result<(), String> {
    println!("removing the application from all clusters");
    let deadline = Instant::now() + CONVERGENCE;
    let _ = broker.stack_delete(admin, stack, None).await;
    while !matches!(broker.stack_get(admin, stack).await, Err(BrokerError::NotFound)) {
        if Instant::now() >= deadline {
            return Err(format!(
                "the removal is incomplete after 60 s; remaining objects have the label brokkr.io/stack={stack}"
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn start_agent(
    broker: &Broker,
    admin: &Actor,
    name: &str,
    cluster: Arc<dyn Fenceable>,
    url: &str,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(), Box<dyn Error>> {
    let labels = [("environment", name), ("example", "greeter")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let new =
        NewAgent { name: name.to_owned(), cluster_name: name.to_owned(), labels: labels.into(), ..NewAgent::default() };
    let (_, pak) = broker.agent_create(admin, new).await?;
    let client = Client::builder([url], pak.pak.ok_or("the broker returned no key for the new agent")?).build()?;
    // Each agent has one process, so it needs no leader election.
    let config = AgentConfig::default().lease(None);
    let agent = Agent::new(HttpControlPlane::new(client), cluster, config);
    let stop = stop.clone();
    tasks.spawn(async move { agent.run(stop).await });
    Ok(())
}

/// Publishes the example application, for every agent with the label `example=greeter`.
async fn publish(broker: &Broker, admin: &Actor) -> Result<(StackId, u32), Box<dyn Error>> {
    let stack = broker.stack_create(admin, None, StackSpec::named(STACK).label("example", "greeter")).await?;
    let content = Content::Yaml { bytes: Bytes::from_static(APPLICATION), message: "first".to_owned() };
    let published = broker.publish(admin, stack.id, content).await?;
    Ok((stack.id, published.object.object_count))
}

fn explain(url: &str, key: &SecretString, stack: StackId) {
    println!();
    println!("Try in another terminal:");
    println!("  export BROKKR__URL={url} BROKKR__PAK={}", key.expose_secret());
    println!("  curl -s -H \"Authorization: Bearer $BROKKR__PAK\" $BROKKR__URL/api/v1/stacks/{stack}/status");
    println!("  curl -s -H \"Authorization: Bearer $BROKKR__PAK\" $BROKKR__URL/api/v1/events");
    println!("  curl -s -X DELETE -H \"Authorization: Bearer $BROKKR__PAK\" $BROKKR__URL/api/v1/stacks/{stack}");
    println!();
    println!("Press Ctrl-C to stop the demo.");
}
