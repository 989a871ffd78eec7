//! The database is restored under running brokers and agents: no agent removes objects until an admin confirms.

use std::process::Command;
use std::time::{Duration, Instant};

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_control::{Broker, Content, InProcess, NewAgent};
use brokkr_core::model::{AgentId, StackId, StackSpec};
use brokkr_reconcile::cluster::MemoryCluster;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::fixture::{Database, text};
use crate::{Outcome, Result};

/// How long the test checks after the restore that no object is removed.
const WATCHED: Duration = Duration::from_secs(15);

struct Scene {
    broker: Broker,
    cluster: MemoryCluster,
    agent: AgentId,
    stop: CancellationToken,
}

fn objects(names: &[&str]) -> Content {
    let object = |name: &&str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}});
    Content::Documents { documents: names.iter().map(object).collect(), message: String::new() }
}

impl Scene {
    async fn new(database: &Database) -> Result<Self> {
        let broker = database.broker().await?;
        let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
        let (agent, pak) = broker.agent_create(&broker.system_actor(), new).await?;
        let cluster = MemoryCluster::new();
        let second = Duration::from_secs(1);
        let config = AgentConfig::default().interval(second).lease(None).retry(second, second);
        let plane = InProcess::new(broker.clone(), pak.pak.ok_or("no key")?);
        let running = Agent::new(plane, cluster.clone(), config);
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move { running.run(token).await });
        Ok(Self { broker, cluster, agent: agent.id, stop })
    }

    async fn stack(&self, name: &str, names: &[&str]) -> Result<StackId> {
        let system = self.broker.system_actor();
        let stack = self.broker.stack_create(&system, None, StackSpec::named(name)).await?.id;
        self.broker.publish(&system, stack, objects(names)).await?;
        self.broker.target_set(&system, stack, self.agent).await?;
        Ok(stack)
    }

    fn names(&self) -> Vec<String> {
        let is_ours = |it: &Value| it["kind"] == "ConfigMap" && it["metadata"]["namespace"] == "default";
        let name = |it: Value| it["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = self.cluster.objects().into_iter().filter(is_ours).map(name).collect();
        names.retain(|name| name != "kube-root-ca.crt");
        names
    }

    async fn holds(&self, expected: &[&str]) -> Result<()> {
        let began = Instant::now();
        while self.names() != expected {
            if began.elapsed() > Duration::from_secs(20) {
                return Err(format!("the cluster holds {:?}, not {expected:?}", self.names()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// Restores a dump into the same server.
pub(crate) async fn dump() -> Result<Outcome> {
    let database = Database::start("dump").await?;
    let file = database.folder.path().join("dump");
    let path = file.display().to_string();
    let url = database.server.url_of("postgres", "brokkr");
    play(
        database,
        |database| {
            let made = database.server.run("pg_dump", &["-Fc", &url]).map_err(text)?;
            std::fs::write(&path, made.stdout)?;
            Ok(())
        },
        |database| {
            for statement in ["DROP DATABASE brokkr WITH (FORCE)", "CREATE DATABASE brokkr OWNER brokkr_owner"] {
                database.server.query(statement).map_err(text)?;
            }
            let restored = database.server.run("pg_restore", &["-d", &url, &path]).map_err(text)?;
            if restored.status.success() {
                return Ok(());
            }
            Err(String::from_utf8_lossy(&restored.stderr).into_owned().into())
        },
    )
    .await
}

/// Restores a copy of the files, as from a disk snapshot: same server and folder, earlier transaction ids.
pub(crate) async fn files() -> Result<Outcome> {
    let database = Database::start("files").await?;
    let (data, copy) = (database.server.data(), database.folder.path().join("copy"));
    let copy_of_data = |from: &std::path::Path, to: &std::path::Path| -> Result<()> {
        let _ = std::fs::remove_dir_all(to);
        let status = Command::new("cp").args(["-a"]).args([from, to]).status()?;
        if status.success() { Ok(()) } else { Err("cannot copy the files of the server".into()) }
    };
    play(
        database,
        |database| {
            database.server.kill().map_err(text)?;
            copy_of_data(&data, &copy)?;
            database.server.start_again().map_err(text)
        },
        |database| {
            database.server.kill().map_err(text)?;
            copy_of_data(&copy, &data)?;
            database.server.start_again().map_err(text)
        },
    )
    .await
}

async fn play(
    mut database: Database,
    back_up: impl FnOnce(&mut Database) -> Result<()>,
    restore: impl FnOnce(&mut Database) -> Result<()>,
) -> Result<Outcome> {
    let scene = Scene::new(&database).await?;
    // Brokers without requests must detect the restore too.
    let others = [database.broker().await?, database.broker().await?];
    let first = scene.stack("first", &["a1"]).await?;
    scene.holds(&["a1"]).await?;
    back_up(&mut database)?;
    // What the backup does not know: more of the first stack, and a second one.
    let system = scene.broker.system_actor();
    let began = Instant::now();
    while let Err(error) = scene.broker.publish(&system, first, objects(&["a1", "a2"])).await {
        if began.elapsed() > Duration::from_secs(20) {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let second = scene.stack("second", &["b1"]).await?;
    scene.holds(&["a1", "a2", "b1"]).await?;
    // All replicas have seen it: each has something to miss.
    let began = Instant::now();
    for other in &others {
        let system = other.system_actor();
        while !other.stack_status(&system, second).await.is_ok_and(|status| status.summary.agents > 0) {
            if began.elapsed() > Duration::from_secs(20) {
                return Err("a broker does not follow the store".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let epoch = scene.broker.epoch();
    restore(&mut database)?;
    let began = Instant::now();
    while others.iter().any(|it| it.epoch() == epoch || it.epoch() != scene.broker.epoch()) {
        if began.elapsed() > Duration::from_secs(20) {
            println!("not all brokers detect the restore");
            return Ok(Outcome::of(1, 1));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("detected by all brokers after {:.1} s", began.elapsed().as_secs_f64());
    let watched = Instant::now();
    let mut removed = 0;
    while watched.elapsed() < WATCHED && removed == 0 {
        removed = 3_u64.saturating_sub(scene.names().len() as u64);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{removed} objects removed before the confirmation");
    // New orders are carried out, and after an admin has confirmed what the backup does not want goes.
    scene.stack("third", &["c1"]).await?;
    let is_there = |name: &str, names: &[String]| names.iter().any(|it| it == name);
    let began = Instant::now();
    while !is_there("c1", &scene.names()) {
        if began.elapsed() > Duration::from_secs(20) {
            return Err("no object is applied in the new epoch".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let unconfirmed = 4_u64.saturating_sub(scene.names().len() as u64);
    scene.broker.agent_confirm_epoch(&system, scene.agent).await?;
    let began = Instant::now();
    while is_there("a2", &scene.names()) && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = scene.names();
    println!("after the confirmation the cluster holds {left:?}");
    // The new epoch does not know the second stack: the agent reports it and keeps its objects.
    let right = left == ["a1", "b1", "c1"];
    // That of the backup, and one that all of them joined.
    let histories = database.count("SELECT count(*) FROM brokkr.history")?;
    println!("{histories} histories, the first included");
    scene.stop.cancel();
    for broker in others.iter().chain([&scene.broker]) {
        broker.shutdown().await;
    }
    Ok(Outcome::of(1, u64::from(removed + unconfirmed > 0 || !right || histories != 2)))
}
