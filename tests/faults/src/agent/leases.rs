//! Several processes with one agent's key: in one cluster, where one of them leads, and in two clusters, where the second is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;

use super::key::Key;
use super::manifests::{config_map, config_maps, holds, namespace};
use super::oracle::is_own_record;
use super::proxy::{Call, Verdict, eventually};
use super::replica::{Replica, Write};
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const OBJECTS: u64 = 40;
/// The write during which the leader is frozen, in turn.
const FREEZE_AT: [u64; 3] = [24, 1, 9];
const FROZEN: Duration = Duration::from_secs(30);
const REACHED: Duration = Duration::from_secs(40);
/// How long the test watches a process that must not write.
const WATCHED: Duration = Duration::from_secs(6);

/// A second process of the scene's agent on a cluster. Does not start it.
async fn second(world: &mut World, scene: &Scene, cluster: usize, name: &str) -> Result<Replica> {
    let (id, pak) = (scene.agent.clone(), scene.replica.process.pak().to_owned());
    Replica::new(world, cluster, &id, &pak, name).await
}

/// The writes that only a leader may make.
fn led(scene: &Scene, replica: &Replica) -> Result<Vec<Write>> {
    Ok(scene.led(replica.writes()?))
}

/// Waits until a process has written the whole content of a revision, all of it by itself if the other one is away.
async fn arrives(scene: &Scene, prefix: &str, value: u64) -> Result<bool> {
    let last = config_map(&scene.namespace, &format!("{prefix}{}", OBJECTS - 1), value);
    eventually(REACHED, || async { Ok(scene.kube.get(&Key::of(&last)).await?.is_some_and(|it| holds(&it, &last))) })
        .await
}

/// The error text if the writes of two processes overlap in time.
fn overlap(first: &[Write], second: &[Write]) -> Vec<String> {
    let (Some(last), Some(next)) = (first.iter().max_by_key(|it| &it.at), second.iter().min_by_key(|it| &it.at)) else {
        return Vec::new();
    };
    let overlaps = last.at > next.at;
    overlaps.then(|| format!("two wrote at once: {last} after {next}")).into_iter().collect()
}

fn listed(writes: Option<&[Write]>) -> String {
    let writes = writes.unwrap_or_default();
    let some: Vec<String> = writes.iter().take(3).map(ToString::to_string).collect();
    format!("{} writes: {}", writes.len(), some.join(", "))
}

/// The leader is frozen during its work, another process takes over, and the first one resumes.
pub(crate) async fn frozen(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "lease-frozen").await?;
    let mut rounds = Rounds::default();
    scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, 0)).await?;
    scene.settle().await?;
    let mut standby = second(world, &scene, 0, "lease-frozen").await?;
    standby.start()?;
    for round in 1..=3 {
        // While it sends its first requests, and later.
        let (mut seen, point) = (0, FREEZE_AT[usize::try_from(round % 3)?]);
        let frozen = scene.replica.process.pid().ok_or("the leader does not run")?;
        scene.replica.api_server.hook(move |call: &Call| {
            seen += u64::from(call.answered.is_none() && call.writes_member() && call.method == Method::PATCH);
            if seen == point {
                seen += 1;
                // In the middle of everything: further requests are on their way to the proxy.
                let _ = std::process::Command::new("kill").args(["-STOP", &frozen.to_string()]).status();
            }
            Verdict::Pass
        });
        let before = led(&scene, &standby)?.len();
        scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, round)).await?;
        let began = tokio::time::Instant::now();
        let mut wrong = scene.judge().await?;
        let taken = led(&scene, &standby)?;
        if taken.len() == before {
            return Err("no process took over, or the leader was not frozen".into());
        }
        wrong.extend(scene.strayed(&standby.writes()?));
        tokio::time::sleep_until(began + FROZEN).await;
        let until = led(&scene, &scene.replica)?;
        wrong.extend(overlap(&until, taken.get(before..).unwrap_or_default()));
        scene.replica.unhook();
        scene.replica.process.signal("CONT")?;
        // More work, while the first finds out that it is no longer the one.
        scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, 100 + round)).await?;
        wrong.extend(scene.judge().await?);
        tokio::time::sleep(WATCHED).await;
        let after = led(&scene, &scene.replica)?;
        must(
            &mut wrong,
            after.len() == until.len(),
            format!("the resumed process wrote: {}", listed(after.get(until.len()..))),
        );
        rounds.add(format!("round {round}"), wrong);
        // The one that leads now is the next to be frozen.
        std::mem::swap(&mut scene.replica, &mut standby);
    }
    end(scene, standby, rounds).await
}

/// A second process starts beside the leader and writes nothing until the leader is killed.
pub(crate) async fn second_replica(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "lease-second-replica").await?;
    let mut rounds = Rounds::default();
    scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, 0)).await?;
    scene.settle().await?;
    let mut standby = second(world, &scene, 0, "lease-second-replica").await?;
    for round in 1..=4 {
        let before = led(&scene, &standby)?.len();
        standby.start()?;
        scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, round)).await?;
        let mut wrong = scene.judge().await?;
        tokio::time::sleep(WATCHED).await;
        let meanwhile = led(&scene, &standby)?;
        must(&mut wrong, meanwhile.len() == before, format!("two lead: {}", listed(meanwhile.get(before..))));
        scene.replica.stop();
        scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, 100 + round)).await?;
        must(&mut wrong, arrives(&scene, "c", 100 + round).await?, "no process took over");
        wrong.extend(scene.judge().await?);
        wrong.extend(scene.strayed(&standby.writes()?));
        let taken = led(&scene, &standby)?;
        wrong.extend(overlap(&led(&scene, &scene.replica)?, taken.get(before..).unwrap_or_default()));
        rounds.add(format!("round {round}"), wrong);
        std::mem::swap(&mut scene.replica, &mut standby);
    }
    end(scene, standby, rounds).await
}

async fn end(scene: Scene, mut standby: Replica, rounds: Rounds) -> Result<Outcome> {
    // One is enough to remove everything; what the other one may have written is judged already.
    standby.stop();
    scene.end(rounds).await
}

/// The same key is used on another cluster by mistake.
pub(crate) async fn key_used_twice(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "key-used-twice").await?;
    let mut rounds = Rounds::default();
    let elsewhere = world.kube(1)?;
    // With the namespace there, nothing but the agent itself stands between its stacks and this cluster.
    elsewhere.apply(&namespace(&scene.namespace)).await?;
    for round in 1..=2 {
        scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, round)).await?;
        scene.settle().await?;
        let mut wrong = Vec::new();
        let mut copy = second(world, &scene, 1, "key-used-twice").await?;
        let (asked, mut talks) = (Arc::new(AtomicU64::new(0)), 0);
        let count = asked.clone();
        copy.broker.hook(move |call| {
            talks += u64::from(call.answered.is_some());
            count.store(talks, Ordering::SeqCst);
            Verdict::Pass
        });
        copy.process.start()?;
        let has_talked = eventually(REACHED, || async { Ok(asked.load(Ordering::SeqCst) > 0) });
        if !has_talked.await? {
            return Err("the second process did not reach the broker".into());
        }
        // Work for whoever takes it, and time to take it.
        scene.publish("a", config_maps(&scene.namespace, "c", 0..OBJECTS, 100 + round)).await?;
        wrong.extend(scene.judge().await?);
        tokio::time::sleep(WATCHED).await;
        scene.publish("a", config_maps(&scene.namespace, "c", 1..OBJECTS, 200 + round)).await?;
        wrong.extend(scene.judge().await?);
        let strange: Vec<_> =
            copy.writes()?.into_iter().filter(|write| !is_own_record(&write.key, &scene.agent)).collect();
        must(&mut wrong, strange.is_empty(), format!("in the other cluster: {}", listed(Some(&strange))));
        let said = std::fs::read_to_string(copy.process.log_path()).unwrap_or_default();
        must(&mut wrong, said.contains("ERROR"), "the second process does not say that it is refused");
        copy.stop();
        let selector = format!("brokkr.io/agent%3D{}", scene.agent);
        let left = elsewhere.list("", "configmaps", &selector).await?;
        let left = left.iter().filter(|it| it["metadata"]["namespace"] == scene.namespace.as_str()).count();
        must(&mut wrong, left == 0, format!("{left} objects in the other cluster"));
        rounds.add(format!("round {round}"), wrong);
    }
    elsewhere.delete(&Key::namespace(&scene.namespace)).await?;
    scene.end(rounds).await
}
