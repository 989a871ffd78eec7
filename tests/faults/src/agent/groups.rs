//! Objects that are served under two API groups.

use std::time::Duration;

use serde_json::{Value, json};

use super::key::Key;
use super::manifests::config_map;
use super::proxy::eventually;
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const SOON: Duration = Duration::from_secs(30);

/// An Event in the words of one of its two groups.
pub(crate) fn event(namespace: &str, name: &str, is_core: bool, round: &str) -> Value {
    let about = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "subject", "namespace": namespace});
    let mut event = json!({
        "apiVersion": if is_core { "v1" } else { "events.k8s.io/v1" },
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace, "labels": {"round": round}},
        "type": "Normal",
        "reason": "Deployed",
        "action": "Deploy",
        "eventTime": "2026-05-06T07:08:09.000000Z",
        "reportingInstance": "deployer-0",
    });
    let [subject, text, by] = if is_core {
        ["involvedObject", "message", "reportingComponent"]
    } else {
        ["regarding", "note", "reportingController"]
    };
    event[subject] = about;
    event[text] = json!(format!("{name} was deployed"));
    event[by] = json!("example.com/deployer");
    event
}

/// The object stays the same: the agent neither deletes nor recreates it, even if the process dies in between.
pub(crate) async fn changes(world: &World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "object-changes-group").await?;
    let mut rounds = Rounds::default();
    let (space, name) = (scene.namespace.clone(), "moves");
    let beside = |round: u64| config_map(&space, "beside", round);
    scene.publish("a", vec![event(&space, name, true, "0"), beside(0)]).await?;
    applied(&scene).await?;
    let key = Key::new("", "events", &space, name);
    let uid = |object: Option<Value>| object.map(|it| it["metadata"]["uid"].to_string()).unwrap_or_default();
    let first = uid(scene.kube.get(&key).await?);
    for round in 1..=4 {
        let is_core = round % 2 == 0;
        scene.publish("a", vec![event(&space, name, is_core, &round.to_string()), beside(round)]).await?;
        if round == 3 {
            scene.replica.start()?;
        }
        let mut wrong = applied(&scene).await?;
        // As in every revision, the agent prunes after it applies.
        wrong.extend(scene.others_go_on(SOON).await?);
        let now = scene.kube.get(&key).await?;
        let label = now.as_ref().map(|it| it["metadata"]["labels"]["round"].clone()).unwrap_or_default();
        must(&mut wrong, label == round.to_string().as_str(), format!("it is that of round {label}"));
        must(&mut wrong, uid(now) == first, "the object was recreated");
        let writes = scene.replica.writes()?;
        let deleted = writes.iter().filter(|it| it.verb == "delete" && it.key.plural == "events").count();
        must(&mut wrong, deleted == 0, format!("it was deleted {deleted} times"));
        rounds.add(format!("round {round}"), wrong);
    }
    scene.delete("a").await?;
    let kube = scene.kube.clone();
    let gone = eventually(SOON, || async { Ok(kube.get(&key).await?.is_none()) }).await?;
    let mut wrong = Vec::new();
    must(&mut wrong, gone, "the object exists after the removal of its stack");
    rounds.add("removed", wrong);
    scene.end(rounds).await
}

/// The agent must not judge by the group under which an object is listed, only by the revision.
async fn applied(scene: &Scene) -> Result<Vec<String>> {
    let (id, told) = (scene.id("a"), scene.stacks.get("a").map(|it| it.revision));
    let is_applied =
        eventually(SOON, || async { Ok(scene.status(&id).await?["applied_revision"].as_u64() == told) }).await?;
    let mut wrong = Vec::new();
    must(&mut wrong, is_applied, format!("it is not applied: {}", scene.status(&id).await?));
    Ok(wrong)
}
