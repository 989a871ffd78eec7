//! The work of the other tenants and of their agents, the same with and without the hostile tenant.

use std::time::Duration;

use brokkr_testbed::text_at;
use http::Method;
use serde_json::json;

use super::paced::{Answered, paced, request};
use crate::Result;
use crate::fixture::Broker;

const TENANTS: usize = 4;
const AGENTS: usize = 40;
/// Polls of all agents together, per second.
const POLLS_PER_SECOND: f64 = 200.0;
/// Requests of all tenants together, per second: one publication, then reads of the stack, its status and the list of stacks.
const REQUESTS_PER_SECOND: f64 = 80.0;
const CONNECTIONS: usize = 40;
/// An answer that takes longer is of no use.
const USEFUL: Duration = Duration::from_secs(1);

/// The other tenants.
pub(super) struct Others {
    address: String,
    /// Key and stack of each tenant.
    tenants: Vec<(String, String)>,
    polls: Vec<Vec<u8>>,
}

/// What the others got done.
#[derive(Debug)]
pub(super) struct Done {
    /// Response times of polls, in milliseconds.
    pub(super) polls: Vec<f64>,
    /// Useful answers per second, to polls and to tenants.
    pub(super) per_second: f64,
    /// Useful answers among those that were due.
    pub(super) share: f64,
}

/// Creates a generator. Returns its key and stacks.
pub(super) async fn tenant(broker: &Broker, name: &str, stacks: usize) -> Result<(String, String, Vec<String>)> {
    let admin = broker.admin()?;
    let created = broker.call(admin, Method::POST, "/generators", Some(&json!({"name": name}))).await?;
    let (id, key) = (text_at(&created, "/generator/id")?.to_owned(), text_at(&created, "/pak")?.to_owned());
    let mut ids = Vec::new();
    for number in 0..stacks {
        let body = json!({"name": format!("stack-{number}"), "targeting": {}});
        let stack = broker.call(&key, Method::POST, "/stacks", Some(&body)).await?;
        ids.push(text_at(&stack, "/id")?.to_owned());
    }
    Ok((id, key, ids))
}

impl Others {
    pub(super) async fn new(broker: &Broker) -> Result<Self> {
        let admin = broker.admin()?;
        let mut tenants = Vec::new();
        let mut generators = Vec::new();
        for number in 0..TENANTS {
            let (id, key, stacks) = tenant(broker, &format!("tenant-{number}"), 1).await?;
            let metadata = json!({"name": "all", "namespace": format!("tenant-{number}")});
            let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
            let body = json!({"targeting": {"match_labels": {}}, "manifests": [manifest]});
            broker.call(&key, Method::PUT, "/stacks/by-name/for-all", Some(&body)).await?;
            tenants.push((key, stacks.into_iter().next().unwrap_or_default()));
            generators.push(id);
        }
        let mut polls = Vec::new();
        for number in 0..AGENTS {
            let body = json!({"name": format!("agent-{number}"), "generator_ids": generators});
            let created = broker.call(admin, Method::POST, "/agents", Some(&body)).await?;
            let (id, pak) = (text_at(&created, "/agent/id")?, text_at(&created, "/pak")?);
            let path = format!("/agents/{id}/target-state");
            let state = broker.call(pak, Method::GET, &path, None).await?;
            let known = format!("if-none-match: \"{}\"\r\n", text_at(&state, "/digest")?);
            polls.push(request("GET", &path, pak, &known, ""));
        }
        Ok(Self { address: broker.address.clone(), tenants, polls })
    }

    /// Works for a while.
    pub(super) async fn work(&self, during: Duration) -> Result<Done> {
        let polls = self.polls.clone();
        let poll = move |number: u64| polls.get(number as usize % polls.len()).cloned().unwrap_or_default();
        let tenants = self.tenants.clone();
        let work = move |number: u64| {
            let tenant = number as usize / 4 % tenants.len();
            let (key, stack) = tenants.get(tenant).cloned().unwrap_or_default();
            let path = format!("/stacks/{stack}");
            match number % 4 {
                0 => {
                    let body = format!(
                        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: it, namespace: tenant-{tenant}}}\ndata: {{number: \"{}-{number}\"}}\n",
                        during.as_secs()
                    );
                    let path = format!("{path}/deployment-objects");
                    request("POST", &path, &key, "content-type: application/yaml\r\n", &body)
                }
                1 => request("GET", &path, &key, "", ""),
                2 => request("GET", &format!("{path}/status"), &key, "", ""),
                _ => request("GET", "/stacks?limit=10", &key, "", ""),
            }
        };
        let (polled, worked) = tokio::try_join!(
            paced(&self.address, CONNECTIONS, POLLS_PER_SECOND, during, poll),
            paced(&self.address, CONNECTIONS, REQUESTS_PER_SECOND, during, work),
        )?;
        let is_useful = |it: &&Answered| matches!(it.status, 200 | 201 | 304) && it.since_due <= USEFUL;
        let useful = polled.iter().chain(&worked).filter(is_useful).count() as f64;
        let due = (POLLS_PER_SECOND + REQUESTS_PER_SECOND) * during.as_secs_f64();
        Ok(Done {
            polls: polled.iter().map(|it| it.since_due.as_secs_f64() * 1000.0).collect(),
            per_second: useful / during.as_secs_f64(),
            share: useful / due,
        })
    }
}
