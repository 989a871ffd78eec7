//! Unchanged polls beside a bare handler that answers 304 with the same headers.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use brokkr_testbed::{Process, free_port};
use http::Method;
use serde_json::json;

use crate::fixture::{Broker, Database, binary, text};
use crate::http_load::{Load, TIMEOUT, load};
use crate::{Result, figure, seed};

/// Agents that poll; connections share them.
const AGENTS: usize = 100;
/// Short, and many: what else the machine does then falls on both alike, and few rounds are spoilt by it.
const DURING: Duration = Duration::from_secs(1);
const ROUNDS: usize = 21;
/// Longer than a request may take: one that is served only when the others are done fails.
const FOR_LONG: Duration = TIMEOUT.saturating_add(Duration::from_secs(5));

/// A server with nothing behind it.
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
    let agents = agents(&broker).await?;
    let requests = Arc::new(known(&broker, &agents).await?);
    let bare_port = free_port().map_err(text)?;
    let bare_address = format!("127.0.0.1:{bare_port}");
    let arguments = ["bare".to_owned(), bare_address.clone()];
    let log = database.folder.path().join("bare.log");
    let _bare = Process::start(&binary("brokkr-benches")?, &arguments, &[], &log).map_err(text)?;
    while tokio::net::TcpStream::connect(&bare_address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut young = 0.0;
    for connections in [64, 1000] {
        let measured = beside(&bare_address, &broker.address, connections, &requests).await?;
        let long = poll(&broker.address, connections, FOR_LONG, &requests).await?;
        figure(&format!("poll_304_vs_bare_axum_{connections}"), measured.ratio);
        figure(&format!("poll_304_failed_{connections}"), (measured.failed + long.failed) as f64);
        figure(&format!("poll_304_slowest_ms_{connections}"), measured.slowest_ms.max(long.slowest_ms));
        if connections == 1000 {
            figure("poll_304_p99_ms_1000", measured.p99_ms);
        } else {
            young = measured.ratio;
        }
    }
    println!("filling in 100,000 revisions and 1,000,000 events");
    seed::history(&database, 100_000, 1_000_000)?;
    let old = beside(&bare_address, &broker.address, 64, &requests).await?;
    println!("the same after a restart of the broker");
    let restarted = database.broker(10)?;
    let requests = Arc::new(known(&restarted, &agents).await?);
    let fresh = beside(&bare_address, &restarted.address, 64, &requests).await?;
    // Each beside the bare handler at that time, so that what else the machine does is not taken for history.
    figure("poll_history_ratio", old.ratio.min(fresh.ratio) / young);
    Ok(())
}

/// Some rounds in which the bare handler and the broker take turns: medians, and the broker's slowest answer of all.
struct Beside {
    ratio: f64,
    p99_ms: f64,
    slowest_ms: f64,
    failed: u64,
}

async fn beside(bare: &str, broker: &str, connections: usize, requests: &Arc<Vec<Vec<u8>>>) -> Result<Beside> {
    let (mut ratios, mut p99s, mut slowest_ms, mut failed) = (Vec::new(), Vec::new(), 0.0_f64, 0);
    for _ in 0..ROUNDS {
        let bare = poll(bare, connections, DURING, requests).await?;
        let ours = poll(broker, connections, DURING, requests).await?;
        println!(
            "{connections} connections: bare {:.0}/s (p99 {:.1} ms), broker {:.0}/s (p99 {:.1} ms, slowest {:.0}, {} failed)",
            bare.per_second, bare.p99_ms, ours.per_second, ours.p99_ms, ours.slowest_ms, ours.failed
        );
        ratios.push(ours.per_second / bare.per_second);
        p99s.push(ours.p99_ms);
        slowest_ms = slowest_ms.max(ours.slowest_ms);
        failed += ours.failed;
    }
    Ok(Beside { ratio: median(ratios), p99_ms: median(p99s), slowest_ms, failed })
}

async fn poll(address: &str, connections: usize, during: Duration, requests: &Arc<Vec<Vec<u8>>>) -> Result<Load> {
    let requests = requests.clone();
    load(address, connections, during, 304, move |connection, _| {
        requests.get(connection % requests.len()).cloned().unwrap_or_default()
    })
    .await
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Agents with a few stacks each: their ids and keys.
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
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        agents.push((text(&created["agent"]["id"]), text(&created["pak"])));
    }
    Ok(agents)
}

/// The bytes of polls that know what there is.
async fn known(broker: &Broker, agents: &[(String, String)]) -> Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for (id, pak) in agents {
        let path = format!("/agents/{id}/target-state");
        let state = broker.call(pak, Method::GET, &path, None).await?;
        let (digest, epoch) =
            (state["digest"].as_str().unwrap_or_default(), state["epoch"].as_str().unwrap_or_default());
        let generation = &state["generation"];
        let request = format!(
            "GET /api/v1{path}?wait=0&min_generation={generation}&epoch={epoch} HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {pak}\r\nif-none-match: \"{digest}\"\r\n\r\n"
        );
        requests.push(request.into_bytes());
    }
    Ok(requests)
}
