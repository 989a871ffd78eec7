//! Agents that poll another broker each time, while the record changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brokkr_core::protocol::{ControlPlane as _, ControlPlaneError, PollAnswer, PollRequest};
use brokkr_http::client::{Client, HttpControlPlane};
use http::Method;
use serde_json::json;

use super::fixture::{Database, call, replica};
use crate::{Outcome, Result};

const AGENTS: usize = 6;
const DURING: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Tally {
    polls: AtomicU64,
    objects: AtomicU64,
    back: AtomicU64,
    missing: AtomicU64,
}

pub(crate) async fn run() -> Result<Outcome> {
    let database = Database::start("hopping").await?;
    let replicas = [replica(&database)?, replica(&database)?, replica(&database)?];
    let urls: Vec<String> = replicas.iter().map(|replica| replica.url.clone()).collect();
    let admin = replicas[0].admin.clone().ok_or("no admin key")?;
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let created =
            call(&urls[0], &admin, Method::POST, "/agents", Some(&json!({"name": format!("a{number}")}))).await?;
        let pak = created["pak"].as_str().unwrap_or_default().to_owned();
        let agent = created["agent"]["id"].as_str().unwrap_or_default().parse()?;
        agents.push(tokio::spawn(hop(urls.clone(), agent, pak, stop.clone(), tally.clone())));
    }
    let writers: Vec<_> =
        (0..4).map(|writer| tokio::spawn(write(urls.clone(), admin.clone(), writer, stop.clone()))).collect();
    tokio::time::sleep(DURING).await;
    stop.store(true, Ordering::SeqCst);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await??;
    }
    for agent in agents {
        agent.await??;
    }
    let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (polls, objects, back, missing) = (of(&tally.polls), of(&tally.objects), of(&tally.back), of(&tally.missing));
    println!(
        "{writes} writes, {polls} polls ({back} went back in time), {objects} objects fetched elsewhere ({missing} not found)"
    );
    if objects < 1_000 {
        return Err("too few requests for a meaningful result".into());
    }
    Ok(Outcome::of(polls + objects, back + missing))
}

async fn hop(
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
        let answer = any().target_state(agent, request).await;
        tally.polls.fetch_add(1, Ordering::SeqCst);
        let (generation, epoch, state) = match answer {
            Ok(PollAnswer::Changed(state)) => (state.generation, state.epoch, Some(state)),
            Ok(PollAnswer::Unchanged { generation, epoch }) => (generation, epoch, None),
            // The broker does not know the agent yet, or its view is too old: an error, not a wrong answer.
            Err(_) => continue,
        };
        if request.min_generation.is_some_and(|highest| generation < highest) {
            tally.back.fetch_add(1, Ordering::SeqCst);
        }
        request = PollRequest {
            known: request.known,
            epoch: Some(epoch),
            min_generation: Some(generation),
            wait: Duration::from_secs(1),
        };
        let Some(state) = state else { continue };
        request.known = Some(state.digest);
        for entry in &state.entries {
            let Some(id) = entry.object_id.filter(|id| seen.insert(entry.stack_id, *id) != Some(*id)) else { continue };
            match any().deployment_object(id).await {
                Err(ControlPlaneError::NotFound) => drop(tally.missing.fetch_add(1, Ordering::SeqCst)),
                _ => drop(tally.objects.fetch_add(1, Ordering::SeqCst)),
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
