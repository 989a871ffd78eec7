//! Brokers are restarted one after the other, and killed, under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brokkr_testbed::BrokerProcess;
use http::Method;
use serde_json::{Value, json};

use super::fixture::{Database, replica, replica_at, text};
use crate::{Outcome, Result};

const CLIENTS: usize = 12;

/// The results of the clients.
#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
}

struct Scene {
    database: Database,
    replicas: Vec<Option<BrokerProcess>>,
    urls: Vec<String>,
    admin: String,
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
}

impl Scene {
    async fn new(name: &str) -> Result<Self> {
        let database = Database::start(name).await?;
        let replicas = vec![Some(replica(&database)?), Some(replica(&database)?), Some(replica(&database)?)];
        let urls = replicas.iter().flatten().map(|replica| replica.url.clone()).collect();
        let admin = replicas.iter().flatten().find_map(|replica| replica.admin.clone()).ok_or("no admin key")?;
        Ok(Self { database, replicas, urls, admin, stop: Arc::default(), tally: Arc::default() })
    }

    /// Clients that create and read stacks, and retry each failed request once on another broker. Returns the names that were
    /// acknowledged.
    fn clients(&self) -> Vec<tokio::task::JoinHandle<Result<Vec<String>>>> {
        (0..CLIENTS)
            .map(|client| {
                let (urls, admin) = (self.urls.clone(), self.admin.clone());
                let (stop, tally) = (self.stop.clone(), self.tally.clone());
                tokio::spawn(async move { client_of(client, &urls, &admin, &stop, &tally).await })
            })
            .collect()
    }

    async fn finish(self, clients: Vec<tokio::task::JoinHandle<Result<Vec<String>>>>) -> Result<(u64, u64)> {
        self.stop.store(true, Ordering::SeqCst);
        let mut acknowledged = BTreeSet::new();
        for client in clients {
            acknowledged.extend(client.await??);
        }
        let there = self.database.query("SELECT name FROM brokkr.stack WHERE name LIKE 'r%'")?;
        let there: BTreeSet<String> = there.lines().map(str::to_owned).collect();
        let lost = acknowledged.difference(&there).count() as u64;
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let (requests, failed) = (of(&self.tally.requests), of(&self.tally.failed));
        println!(
            "{requests} requests, {} retried, {failed} failed; {} acknowledged, {lost} lost",
            of(&self.tally.retried),
            acknowledged.len()
        );
        if requests < 1_000 {
            return Err("too few requests for a meaningful result".into());
        }
        Ok((requests, failed + lost))
    }
}

async fn client_of(
    number: usize,
    urls: &[String],
    admin: &str,
    stop: &AtomicBool,
    tally: &Tally,
) -> Result<Vec<String>> {
    let mut clients = Vec::new();
    for url in urls {
        clients.push(brokkr_http::client::Client::builder([url], admin).build()?);
    }
    let mut acknowledged = Vec::new();
    for round in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("r{number}-{round}");
        let creates = round % 2 == 0;
        tally.requests.fetch_add(1, Ordering::SeqCst);
        let first = fastrand::usize(0..clients.len());
        let mut done = false;
        for attempt in 0..2 {
            let client = &clients[(first + attempt) % clients.len()];
            let answer: std::result::Result<Value, _> = if creates {
                // Created by name: repeating it is harmless.
                client.send(Method::PUT, &format!("/stacks/by-name/{name}"), Some(&json!({}))).await
            } else {
                client.send(Method::GET, "/stacks?limit=10", None::<&Value>).await
            };
            if answer.is_ok() {
                done = true;
                break;
            }
            if attempt == 0 {
                tally.retried.fetch_add(1, Ordering::SeqCst);
            } else if let Err(error) = answer {
                println!("failed twice: {error}");
            }
        }
        match (done, creates) {
            (true, true) => acknowledged.push(name),
            (true, false) => {}
            (false, _) => drop(tally.failed.fetch_add(1, Ordering::SeqCst)),
        }
    }
    Ok(acknowledged)
}

fn port_of(replica: &BrokerProcess) -> Result<u16> {
    Ok(replica.url.rsplit(':').next().unwrap_or_default().parse()?)
}

/// Each broker gets SIGTERM, ends, and restarts at its address.
pub(crate) async fn restarted() -> Result<Outcome> {
    let mut scene = Scene::new("rolling").await?;
    let clients = scene.clients();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for place in 0..scene.replicas.len() {
        let Some(replica) = scene.replicas[place].take() else { continue };
        replica.process.signal("TERM").map_err(text)?;
        let began = Instant::now();
        while replica.process.is_running() {
            if began.elapsed() > Duration::from_secs(30) {
                return Err("a broker does not end within 30 s after SIGTERM".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("ended after {:.1} s", began.elapsed().as_secs_f64());
        let port = port_of(&replica)?;
        drop(replica);
        scene.replicas[place] = Some(replica_at(&scene.database, port)?);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let (requests, wrong) = scene.finish(clients).await?;
    Ok(Outcome::of(requests, wrong))
}

/// Each broker is killed and restarted; every acknowledged write exists.
pub(crate) async fn killed() -> Result<Outcome> {
    let mut scene = Scene::new("replica-killed").await?;
    let clients = scene.clients();
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let place = round % scene.replicas.len();
        let Some(replica) = scene.replicas[place].take() else { continue };
        let port = port_of(&replica)?;
        replica.process.signal("KILL").map_err(text)?;
        drop(replica);
        scene.replicas[place] = Some(replica_at(&scene.database, port)?);
    }
    let (requests, wrong) = scene.finish(clients).await?;
    Ok(Outcome::of(requests, wrong))
}
