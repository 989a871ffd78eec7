//! Unchanged polls, beside a minimal handler that answers 304 with the same headers.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use brokkr_testbed::{Process, free_port, text_at, wait_for};
use http::Method;
use serde_json::json;

use crate::fixture::{Broker, Database, binary, text};
use crate::http_load::{Load, TIMEOUT, load};
use crate::{Result, figure, percentile, seed};

/// Number of agents that poll. Connections share them.
const AGENTS: usize = 100;
/// Short rounds, and many of them: other load on the machine then affects both sides alike, and spoils few rounds.
const DURING: Duration = Duration::from_secs(1);
const ROUNDS: usize = 21;
/// The cost of a long history is smaller than the difference between two rounds, so these rounds are shorter and more.
const HISTORY_DURING: Duration = Duration::from_millis(500);
const HISTORY_ROUNDS: usize = 80;
/// Longer than a request may take, so a request that waits for all others fails.
const FOR_LONG: Duration = TIMEOUT.saturating_add(Duration::from_secs(5));

/// The minimal handler in its own process.
pub(crate) async fn bare(listen: &str) -> Result<()> {
    let handler = async || {
        let value = HeaderValue::from_static;
        let headers = [
            (header::ETAG, value("\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"")),
            (header::CACHE_CONTROL, value("private, no-cache")),
            (HeaderName::from_static("brokkr-generation"), value("123456")),
            (HeaderName::from_static("brokkr-epoch"), value("01a1fcd4-803a-75bf-9d5b-27edfd6611d6")),
            (HeaderName::from_static("x-request-id"), value("01a1fcd4-803a-75bf-9d5b-27edfd6611d6")),
        ];
        (StatusCode::NOT_MODIFIED, headers)
    };
    let listener = tokio::net::TcpListener::bind(listen).await?;
    Ok(axum::serve(listener, axum::Router::new().route("/api/v1/agents/{id}/target-state", get(handler))).await?)
}

pub(crate) async fn run() -> Result<()> {
    let database = Database::start().await?;
    let broker = database.broker(10)?;
    let broker = Server::knowing(&broker, &agents(&broker).await?).await?;
    let bare = Server { address: format!("127.0.0.1:{}", free_port().map_err(text)?), ..broker.clone() };
    let arguments = ["bare".to_owned(), bare.address.clone()];
    let log = database.folder.path().join("bare.log");
    let _bare = Process::start(&binary("brokkr-benches")?, &arguments, &[], &log).map_err(text)?;
    let listens = || std::net::TcpStream::connect(&bare.address).is_ok();
    wait_for("the minimal handler", Duration::from_secs(10), listens).map_err(text)?;
    for connections in [64, 1000] {
        beside(&bare, &broker, connections).await?;
    }
    history(&broker).await
}

/// A server, and the bytes of polls that match its current state.
#[derive(Clone)]
struct Server {
    address: String,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Server {
    async fn knowing(broker: &Broker, agents: &[(String, String)]) -> Result<Self> {
        Ok(Self { address: broker.address.clone(), requests: Arc::new(known(broker, agents).await?) })
    }

    async fn poll(&self, connections: usize, during: Duration) -> Result<Load> {
        let requests = self.requests.clone();
        load(&self.address, connections, during, 304, move |connection, _| {
            requests.get(connection % requests.len()).cloned().unwrap_or_default()
        })
        .await
    }
}

/// Alternates rounds of the minimal handler and the broker, then runs a long one. Prints medians, and the broker's slowest answer.
async fn beside(bare: &Server, broker: &Server, connections: usize) -> Result<()> {
    let (mut ratios, mut bare_p99s, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
    let (mut slowest_ms, mut failed) = (0.0_f64, 0);
    for _ in 0..ROUNDS {
        let bare = bare.poll(connections, DURING).await?;
        let ours = broker.poll(connections, DURING).await?;
        println!(
            "{connections} connections: bare {:.0}/s (p99 {:.1} ms), broker {:.0}/s (p99 {:.1} ms, slowest {:.0}, {} failed)",
            bare.per_second, bare.p99_ms, ours.per_second, ours.p99_ms, ours.slowest_ms, ours.failed
        );
        ratios.push(ours.per_second / bare.per_second);
        bare_p99s.push(bare.p99_ms);
        p99s.push(ours.p99_ms);
        slowest_ms = slowest_ms.max(ours.slowest_ms);
        failed += ours.failed;
    }
    let long = broker.poll(connections, FOR_LONG).await?;
    figure(&format!("poll_304_vs_bare_axum_{connections}"), percentile(&mut ratios, 0.5));
    figure(&format!("poll_304_failed_{connections}"), (failed + long.failed) as f64);
    figure(&format!("poll_304_slowest_ms_{connections}"), slowest_ms.max(long.slowest_ms));
    figure(&format!("poll_304_p99_ms_{connections}"), percentile(&mut p99s, 0.5));
    figure(&format!("bare_304_p99_ms_{connections}"), percentile(&mut bare_p99s, 0.5));
    Ok(())
}

/// Measures the cost of a long history: alternates a broker on an empty database with a broker whose database has filled, and with
/// one that starts on the full database.
async fn history(young: &Server) -> Result<()> {
    let database = Database::start().await?;
    let broker = database.broker(10)?;
    let agents = agents(&broker).await?;
    println!("inserting 100,000 revisions and 1,000,000 events");
    seed::history(&database, 100_000, 1_000_000)?;
    let old = Server::knowing(&broker, &agents).await?;
    let restarted = database.broker(10)?;
    let fresh = Server::knowing(&restarted, &agents).await?;
    let (mut olds, mut freshes, mut failed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..HISTORY_ROUNDS {
        let young = young.poll(64, HISTORY_DURING).await?;
        let old = old.poll(64, HISTORY_DURING).await?;
        let fresh = fresh.poll(64, HISTORY_DURING).await?;
        failed += young.failed + old.failed + fresh.failed;
        let [young, old, fresh] = [young, old, fresh].map(|load| load.per_second);
        println!("64 connections: empty {young:.0}/s, full {old:.0}/s, started on full {fresh:.0}/s");
        olds.push(old / young);
        freshes.push(fresh / young);
    }
    figure("poll_history_failed", failed as f64);
    figure("poll_history_ratio", percentile(&mut olds, 0.5).min(percentile(&mut freshes, 0.5)));
    Ok(())
}

/// Creates agents with a few stacks each. Returns their ids and keys.
async fn agents(broker: &Broker) -> Result<Vec<(String, String)>> {
    let admin = broker.admin()?;
    for number in 0..10 {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{number}")}});
        let body = json!({"labels": {"for": "all"}, "targeting": {"match_labels": {}}, "manifests": [manifest]});
        broker.call(admin, Method::PUT, &format!("/stacks/by-name/stack-{number}"), Some(&body)).await?;
    }
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let body = json!({"name": format!("agent-{number}")});
        let created = broker.call(admin, Method::POST, "/agents", Some(&body)).await?;
        agents.push((text_at(&created, "/agent/id")?.to_owned(), text_at(&created, "/pak")?.to_owned()));
    }
    Ok(agents)
}

/// The bytes of one poll for each agent.
async fn known(broker: &Broker, agents: &[(String, String)]) -> Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for (id, pak) in agents {
        let path = format!("/agents/{id}/target-state");
        let state = broker.call(pak, Method::GET, &path, None).await?;
        let (digest, epoch) = (text_at(&state, "/digest")?, text_at(&state, "/epoch")?);
        let generation = &state["generation"];
        let request = format!(
            "GET /api/v1{path}?wait=0&min_generation={generation}&epoch={epoch} HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {pak}\r\nif-none-match: \"{digest}\"\r\n\r\n"
        );
        requests.push(request.into_bytes());
    }
    Ok(requests)
}
