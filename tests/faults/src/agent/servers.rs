//! The API server and etcd are killed, frozen or overloaded while the agent works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::sync::Notify;

use super::manifests::config_maps;
use super::proxy::{Call, Verdict};
use super::rounds::Rounds;
use super::scene::Scene;
use super::world::World;
use crate::{Outcome, Result};

const OBJECTS: u64 = 40;
const REACHED: Duration = Duration::from_secs(40);

/// Each revision drops ten objects, changes thirty and adds ten.
fn window(scene: &Scene, round: u64) -> Vec<Value> {
    config_maps(&scene.namespace, "c", round * 10..round * 10 + OBJECTS, round)
}

/// Signals when the agent is in the middle of dry runs, writes or deletions, in turn.
fn middle(scene: &Scene, round: u64) -> Arc<Notify> {
    let reached = Arc::new(Notify::new());
    let notify = reached.clone();
    let mut seen = 0;
    scene.replica.api_server.hook(move |call| {
        let counts = match round % 3 {
            0 => call.is_dry_run(),
            1 => call.writes_member() && call.method == Method::PATCH,
            _ => call.writes_member() && call.method == Method::DELETE,
        };
        seen += u64::from(counts && call.succeeded());
        if seen == 5 {
            seen += 1;
            notify.notify_one();
        }
        Verdict::Pass
    });
    reached
}

async fn begin(world: &mut World, name: &str) -> Result<Scene> {
    let mut scene = Scene::new(world, name).await?;
    scene.publish("a", window(&scene, 0)).await?;
    scene.settle().await?;
    Ok(scene)
}

/// Publishes the next revision and waits until the agent is in the middle of its work.
async fn into_the_middle(scene: &mut Scene, round: u64) -> Result<()> {
    let reached = middle(scene, round);
    scene.publish("a", window(scene, round)).await?;
    tokio::time::timeout(REACHED, reached.notified()).await.map_err(|_| "the agent did not reach the fault point")?;
    scene.replica.unhook();
    Ok(())
}

pub(crate) async fn killed(world: &mut World) -> Result<Outcome> {
    let mut scene = begin(world, "apiserver-killed").await?;
    let mut rounds = Rounds::default();
    for round in 1..=3 {
        into_the_middle(&mut scene, round).await?;
        let cluster = world.first()?;
        cluster.kill_api_server();
        tokio::time::sleep(Duration::from_secs(round)).await;
        tokio::task::block_in_place(|| cluster.restart_api_server())?;
        rounds.add(format!("round {round}"), scene.judge().await?);
    }
    scene.end(rounds).await
}

pub(crate) async fn frozen(world: &mut World) -> Result<Outcome> {
    let mut scene = begin(world, "apiserver-frozen").await?;
    let mut rounds = Rounds::default();
    // Shorter and longer than an agent waits for an answer.
    for (round, seconds) in [(1, 20), (2, 36)] {
        into_the_middle(&mut scene, round).await?;
        let cluster = world.first()?;
        cluster.signal_api_server("STOP")?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        cluster.signal_api_server("CONT")?;
        rounds.add(format!("{seconds} s"), scene.judge().await?);
    }
    scene.end(rounds).await
}

pub(crate) async fn etcd_killed(world: &mut World) -> Result<Outcome> {
    let mut scene = begin(world, "etcd-killed").await?;
    let mut rounds = Rounds::default();
    for round in 1..=3 {
        into_the_middle(&mut scene, round).await?;
        world.clusters.kill_etcd();
        tokio::time::sleep(Duration::from_secs(2 * round)).await;
        tokio::task::block_in_place(|| world.clusters.restart_etcd())?;
        rounds.add(format!("round {round}"), scene.judge().await?);
    }
    scene.end(rounds).await
}

/// The requests that the API server refuses, in turn.
fn is_refused(call: &Call, round: u64) -> bool {
    match round {
        1 => true,
        2 => fastrand::u8(0..10) < 3,
        3 => call.is_write(),
        4 => call.method == Method::DELETE,
        5 => call.method == Method::GET,
        _ => call.is_dry_run(),
    }
}

/// The API server answers all or some requests with this status and `Retry-After`.
pub(crate) async fn refusing(world: &mut World, status: u16) -> Result<Outcome> {
    const TROUBLE: Duration = Duration::from_secs(4);
    let mut scene = begin(world, &format!("apiserver-{status}")).await?;
    let mut rounds = Rounds::default();
    for round in 1..=6 {
        let refused = Arc::new(AtomicU64::new(0));
        let count = refused.clone();
        scene.replica.api_server.hook(move |call| {
            if call.answered.is_some() || !is_refused(call, round) {
                return Verdict::Pass;
            }
            count.fetch_add(1, Ordering::SeqCst);
            Verdict::Answer { status, retry_after: Some(1) }
        });
        scene.publish("a", window(&scene, round)).await?;
        tokio::time::sleep(TROUBLE).await;
        scene.replica.unhook();
        if refused.load(Ordering::SeqCst) == 0 {
            return Err(format!("the proxy refused no request in round {round}").into());
        }
        rounds.add(format!("round {round}"), scene.judge().await?);
    }
    scene.end(rounds).await
}
