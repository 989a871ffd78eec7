//! Agents that poll another broker each time, while the record changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brokkr_core::protocol::{ControlPlane as _, ControlPlaneError, PollAnswer, PollRequest};
use brokkr_http::client::{Client, HttpControlPlane};
use brokkr_testbed::text_at;
use http::Method;
use serde_json::json;

use super::fixture::{Database, call, replica};
use crate::{Outcome, Result};

const AGENTS: usize = 6;
const DURATION: Duration = Duration::from_secs(30);
/// Pause after a failed request, so that an unreachable broker does not cause a busy loop.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Tally {
    /// Polls that a broker answered.
    polls: AtomicU64,
    /// Answered polls with an older generation than an earlier answer.
    went_back: AtomicU64,
    /// Deployment objects that a broker returned.
    downloads: AtomicU64,
    /// Deployment objects that a broker did not find.
    missing: AtomicU64,
    /// Polls and downloads that failed for another reason, such as a view that is too old.
    errors: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

pub(crate) async fn run() -> Result<Outcome> {
    let database = Database::start("polling-across-brokers").await?;
    let replicas = [replica(&database)?, replica(&database)?, replica(&database)?];
    let urls: Vec<String> = replicas.iter().map(|replica| replica.url.clone()).collect();
    let admin = replicas[0].admin.clone().ok_or("no admin key")?;
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let created =
            call(&urls[0], &admin, Method::POST, "/agents", Some(&json!({"name": format!("a{number}")}))).await?;
        let pak = text_at(&created, "/pak")?.to_owned();
        let agent = text_at(&created, "/agent/id")?.parse()?;
        agents.push(tokio::spawn(poll_any(urls.clone(), agent, pak, stop.clone(), tally.clone())));
    }
    let writers: Vec<_> =
        (0..4).map(|writer| tokio::spawn(write(urls.clone(), admin.clone(), writer, stop.clone()))).collect();
    tokio::time::sleep(DURATION).await;
    stop.store(true, Ordering::SeqCst);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await??;
    }
    for agent in agents {
        agent.await??;
    }
    let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (polls, went_back) = (of(&tally.polls), of(&tally.went_back));
    let (downloads, missing, errors) = (of(&tally.downloads), of(&tally.missing), of(&tally.errors));
    println!(
        "{writes} writes, {polls} answered polls ({went_back} went back in time), {downloads} downloads ({missing} not found), {errors} errors"
    );
    if downloads < 1_000 {
        return Err("too few downloads for a meaningful result".into());
    }
    Ok(Outcome::of(polls + downloads + missing, went_back + missing))
}

/// Polls a random broker each time, and downloads each new deployment object from a random broker.
async fn poll_any(
    urls: Vec<String>,
    agent: brokkr_core::model::AgentId,
    pak: String,
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
) -> Result<()> {
    let mut planes = Vec::new();
    for url in &urls {
        planes.push(HttpControlPlane::new(Client::builder([url], pak.clone()).build()?));
    }
    let any = || &planes[fastrand::usize(0..planes.len())];
    let mut request = PollRequest::default();
    let mut seen = HashMap::new();
    while !stop.load(Ordering::SeqCst) {
        let (generation, epoch, state) = match any().target_state(agent, request).await {
            Ok(PollAnswer::Changed(state)) => (state.generation, state.epoch, Some(state)),
            Ok(PollAnswer::Unchanged { generation, epoch }) => (generation, epoch, None),
            // The broker does not know the agent yet, or its view is too old: an error, not a wrong answer.
            Err(_) => {
                count(&tally.errors);
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        count(&tally.polls);
        if request.min_generation.is_some_and(|highest| generation < highest) {
            count(&tally.went_back);
        }
        request = PollRequest {
            known: request.known,
            epoch: Some(epoch),
            min_generation: Some(generation),
            wait: Duration::from_secs(1),
            knows_hold: true,
        };
        let Some(state) = state else { continue };
        request.known = Some(state.digest);
        for entry in &state.entries {
            let Some(id) = entry.object_id.filter(|id| seen.insert(entry.stack_id, *id) != Some(*id)) else { continue };
            match any().deployment_object(id).await {
                Ok(_) => count(&tally.downloads),
                Err(ControlPlaneError::NotFound) => count(&tally.missing),
                Err(_) => {
                    count(&tally.errors);
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
    Ok(())
}

/// Publishes and creates stacks for every agent, through any broker.
async fn write(urls: Vec<String>, admin: String, writer: usize, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut writes = 0;
    while !stop.load(Ordering::SeqCst) {
        let url = &urls[fastrand::usize(0..urls.len())];
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"n": format!("{writer}-{writes}")}});
        let body = json!({"targeting": {"match_labels": {}}, "manifests": [manifest]});
        let path = format!("/stacks/by-name/w{writer}-{}", writes % 20);
        if call(url, &admin, Method::PUT, &path, Some(&body)).await.is_ok() {
            writes += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(writes)
}
