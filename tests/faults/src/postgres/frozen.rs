//! A broker freezes for half a minute and resumes: it must not answer from its old view.

use std::time::{Duration, Instant};

use brokkr_testbed::{BrokerProcess, text_at};
use http::Method;
use serde_json::json;

use super::fixture::{Database, call, replica, text};
use crate::{Outcome, Result};

const FROZEN: Duration = Duration::from_secs(30);
/// Number of polls that wait in the frozen broker's queue and are answered first.
const QUEUED: usize = 20;

pub(crate) async fn run() -> Result<Outcome> {
    let database = Database::start("frozen").await?;
    let replicas = [replica(&database)?, replica(&database)?, replica(&database)?];
    let [first, second, frozen] = &replicas;
    let admin = first.admin.as_deref().ok_or("no admin key")?;
    let created = call(&first.url, admin, Method::POST, "/agents", Some(&json!({"name": "edge"}))).await?;
    let (agent, pak) = (text_at(&created, "/agent/id")?, text_at(&created, "/pak")?);
    let applied =
        call(&first.url, admin, Method::PUT, "/stacks/by-name/web", Some(&json!({"manifests": [manifest(1)]}))).await?;
    let stack = text_at(&applied, "/stack/id")?;
    call(&first.url, admin, Method::PUT, &format!("/stacks/{stack}/targets/{agent}"), None).await?;
    let path = format!("/agents/{agent}/target-state");
    let revision = async |replica: &BrokerProcess| {
        let state = call(&replica.url, pak, Method::GET, &path, None).await.ok()?;
        state["entries"][0]["revision"].as_u64()
    };
    // Wait until each broker sees the write.
    let knows = async |replica: &BrokerProcess, newer_than: u64| {
        let began = Instant::now();
        loop {
            match revision(replica).await {
                Some(revision) if revision > newer_than => return Ok(revision),
                _ if began.elapsed() > Duration::from_secs(10) => return Err("a broker does not see a write"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let before = knows(frozen, 0).await?;
    frozen.process.signal("STOP").map_err(text)?;
    call(&first.url, admin, Method::PUT, "/stacks/by-name/web", Some(&json!({"manifests": [manifest(2)]}))).await?;
    let expected = knows(second, before).await?;
    let poll = |url: String, pak: String, path: String| async move { call(&url, &pak, Method::GET, &path, None).await };
    let queued: Vec<_> =
        (0..QUEUED).map(|_| tokio::spawn(poll(frozen.url.clone(), pak.to_owned(), path.clone()))).collect();
    tokio::time::sleep(FROZEN).await;
    frozen.process.signal("CONT").map_err(text)?;
    let (mut tried, mut stale, mut refused) = (0, 0, 0);
    let mut judge = |answer: Result<serde_json::Value>| {
        tried += 1;
        match answer {
            Ok(state) if state["entries"][0]["revision"].as_u64() == Some(expected) => {}
            Ok(_) => stale += 1,
            Err(_) => refused += 1,
        }
    };
    for answer in queued {
        judge(answer.await?);
    }
    let thawed = Instant::now();
    while thawed.elapsed() < Duration::from_secs(3) {
        judge(call(&frozen.url, pak, Method::GET, &path, None).await);
    }
    println!("{tried} polls after the freeze: {stale} stale, {refused} refused or late");
    Ok(Outcome::of(tried, stale))
}

fn manifest(number: u32) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": {"n": number.to_string()}})
}
