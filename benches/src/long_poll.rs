//! The time from the start of a publish request to the answer of an open long poll, on the same broker and on another one.
//!
//! Includes the round trip of the publish request to the broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::model::AgentId;
use brokkr_core::protocol::{ControlPlane as _, PollAnswer, PollRequest, TargetState};
use brokkr_http::client::{Client, HttpControlPlane};
use brokkr_testbed::text_at;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Broker, Database};
use crate::latency::{SAMPLES, WARM_UP};
use crate::{Result, figure, percentile};

pub(crate) async fn run() -> Result<()> {
    let database = Database::start().await?;
    let brokers = [database.broker(10)?, database.broker(10)?];
    let admin = brokers[0].admin()?;
    let created = brokers[0].call(admin, Method::POST, "/agents", Some(&json!({"name": "edge"}))).await?;
    let agent: AgentId = text_at(&created, "/agent/id")?.parse()?;
    let pak = text_at(&created, "/pak")?;
    let stack = brokers[0].call(admin, Method::POST, "/stacks", Some(&json!({"name": "latency"}))).await?;
    let stack = text_at(&stack, "/id")?;
    brokers[0].call(admin, Method::PUT, &format!("/stacks/{stack}/targets/{agent}"), None).await?;
    let path = format!("/stacks/{stack}/deployment-objects");
    for (name, polled) in
        [("long_poll_same_broker_p99_ms", &brokers[0]), ("long_poll_other_broker_p99_ms", &brokers[1])]
    {
        let mut times = samples(&brokers[0], polled, admin, pak, agent, &path).await?;
        figure(name, percentile(&mut times, 0.99));
    }
    Ok(())
}

/// Returns the times in milliseconds.
async fn samples(
    publishing: &Broker,
    polled: &Broker,
    admin: &str,
    pak: &str,
    agent: AgentId,
    path: &str,
) -> Result<Vec<f64>> {
    let plane = HttpControlPlane::new(Client::builder([&polled.process.url], pak).build()?);
    let client = Client::builder([&publishing.process.url], admin).build()?;
    let mut known = None;
    // Read the current state first, so that the poll waits for the publication.
    while let Some(state) = poll(&plane, agent, known, Duration::from_secs(1)).await? {
        known = Some(state.digest);
    }
    let mut times = Vec::new();
    for number in 0..SAMPLES + WARM_UP {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}, "data": {"n": number.to_string()}});
        let body = json!({"manifests": [manifest]});
        let publish = async {
            // Pause, so that the poll is open and the broker idle.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let began = Instant::now();
            client.send::<Value>(Method::POST, path, Some(&body)).await?;
            Ok::<_, crate::BoxedError>(began)
        };
        let answered = async {
            let state = poll(&plane, agent, known, Duration::from_secs(30)).await?;
            Ok::<_, crate::BoxedError>((state.ok_or("the poll ended without a change")?, Instant::now()))
        };
        let (began, (state, ended)) = tokio::try_join!(publish, answered)?;
        known = Some(state.digest);
        if number >= WARM_UP {
            times.push(ended.saturating_duration_since(began).as_secs_f64() * 1000.0);
        }
    }
    Ok(times)
}

async fn poll(
    plane: &HttpControlPlane,
    agent: AgentId,
    known: Option<brokkr_core::model::Digest>,
    wait: Duration,
) -> Result<Option<Arc<TargetState>>> {
    let request = PollRequest { known, wait, ..PollRequest::default() };
    match plane.target_state(agent, request).await? {
        PollAnswer::Changed(state) => Ok(Some(state)),
        PollAnswer::Unchanged { .. } => Ok(None),
    }
}
