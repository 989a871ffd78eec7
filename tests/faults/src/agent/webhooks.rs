//! Admission webhooks that deny, hang or forbid dry runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::admission::{Admission, Manner};
use super::key::Key;
use super::manifests::{config_map, config_maps, holds, labelled};
use super::proxy::{Verdict, eventually};
use super::rest::Rest;
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const SOON: Duration = Duration::from_secs(5);
const IN_FORCE: Duration = Duration::from_secs(30);

/// A scene in whose namespace the API server calls a webhook for labelled objects.
async fn begin(world: &mut World, name: &str) -> Result<(Scene, Admission, Value)> {
    let scene = Scene::new(world, name).await?;
    let admission = Admission::start(&world.file(name)).await?;
    let configuration = admission.configuration(&scene.namespace, "", "configmaps", &["CREATE", "UPDATE"]);
    scene.kube.apply(&configuration).await?;
    // The webhook is in force once the API server calls it for a dry run.
    let probe = hooked(&scene, "probe", 0);
    let path = format!("{}?fieldManager=human&dryRun=All", Key::of(&probe).path());
    let in_force = eventually(IN_FORCE, || async {
        scene.kube.0.ask(Method::PATCH, &path, "application/apply-patch+yaml", Some(&probe)).await?;
        Ok(!admission.asked().is_empty())
    });
    if !in_force.await? {
        return Err("the API server does not call the webhook".into());
    }
    Ok((scene, admission, configuration))
}

fn hooked(scene: &Scene, name: &str, value: u64) -> Value {
    labelled(config_map(&scene.namespace, name, value), "hooked", "yes")
}

async fn end(scene: Scene, configuration: &Value, rounds: Rounds) -> Result<Outcome> {
    scene.kube.delete(&Key::of(configuration)).await?;
    scene.end(rounds).await
}

pub(crate) async fn denies(world: &mut World) -> Result<Outcome> {
    let (mut scene, admission, configuration) = begin(world, "webhook-denies").await?;
    let mut rounds = Rounds::default();
    // First a creation is denied, then updates.
    for round in 1..=3 {
        let mut wrong = Vec::new();
        admission.be(Manner::Deny);
        let objects = vec![config_map(&scene.namespace, "plain", 1), hooked(&scene, "denied", round)];
        scene.publish("a", objects).await?;
        must(
            &mut wrong,
            scene.reports(&scene.id("a"), &["denied for a trial"]).await?,
            "the status does not report the denial",
        );
        wrong.extend(scene.others_go_on(SOON).await?);
        let plain = scene.kube.get(&Key::config_map(&scene.namespace, "plain")).await?;
        must(&mut wrong, plain.is_some(), "objects without a denial are not applied");
        admission.be(Manner::Allow);
        wrong.extend(scene.judge().await?);
        rounds.add(format!("round {round}"), wrong);
    }
    end(scene, &configuration, rounds).await
}

pub(crate) async fn times_out(world: &mut World) -> Result<Outcome> {
    let (mut scene, admission, configuration) = begin(world, "webhook-times-out").await?;
    let mut rounds = Rounds::default();
    for round in 1..=3 {
        let mut wrong = Vec::new();
        admission.be(Manner::Silent);
        let before = admission.asked().len();
        let slow = hooked(&scene, "slow", round);
        scene.publish("a", vec![slow.clone()]).await?;
        let is_asked = eventually(IN_FORCE, || async { Ok(admission.asked().len() > before) }).await?;
        if !is_asked {
            return Err("the API server did not call the webhook".into());
        }
        // One after the other, so that some come while the webhook is waited for.
        for _ in 0..3 {
            let began = Instant::now();
            wrong.extend(scene.others_go_on(SOON).await?);
            println!("another stack was served after {} ms", began.elapsed().as_millis());
        }
        let there = scene.kube.get(&Key::of(&slow)).await?.is_some_and(|it| holds(&it, &slow));
        must(&mut wrong, !there, "the object was written without admission");
        let told = eventually(Duration::from_secs(40), || async {
            Ok(scene.status(&scene.id("a")).await?.to_string().contains("slow"))
        });
        must(&mut wrong, told.await?, "the status does not report the refusal");
        admission.be(Manner::Allow);
        wrong.extend(scene.judge().await?);
        rounds.add(format!("round {round}"), wrong);
    }
    end(scene, &configuration, rounds).await
}

/// The API server cannot call a webhook with side effects for a dry run. New webhooks cannot declare them, but old ones
/// still exist, so the test writes this one directly to etcd.
pub(crate) async fn no_dry_run(world: &mut World) -> Result<Outcome> {
    let (mut scene, admission, configuration) = begin(world, "webhook-no-dry-run").await?;
    let mut rounds = Rounds::default();
    let contents = |scene: &Scene, round: u64| -> Vec<Value> {
        config_maps(&scene.namespace, "c", 0..4, round).into_iter().map(|it| labelled(it, "hooked", "yes")).collect()
    };
    scene.publish("a", contents(&scene, 0)).await?;
    scene.settle().await?;
    give_side_effects(world, &scene, &configuration).await?;
    for round in 1..=3 {
        let refused = Arc::new(AtomicU64::new(0));
        let count = refused.clone();
        scene.replica.api_server.hook(move |call| {
            let is_refused = call.is_dry_run() && call.answered.is_some() && !call.succeeded();
            count.fetch_add(u64::from(is_refused), Ordering::SeqCst);
            Verdict::Pass
        });
        let before = admission.asked().len();
        scene.publish("a", contents(&scene, round)).await?;
        let wrong = scene.judge_within(Duration::from_secs(30)).await?;
        if refused.load(Ordering::SeqCst) == 0 || (wrong.is_empty() && admission.asked().len() == before) {
            return Err("the agent made no dry run, or the API server did not call the webhook".into());
        }
        rounds.add(format!("round {round}"), wrong);
    }
    end(scene, &configuration, rounds).await
}

async fn give_side_effects(world: &World, scene: &Scene, configuration: &Value) -> Result<()> {
    let mut object = scene.kube.get(&Key::of(configuration)).await?.ok_or("no configuration")?;
    object["webhooks"][0]["sideEffects"] = json!("Some");
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let key = format!("/cluster-1/validatingwebhookconfigurations/{name}");
    let body = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(object.to_string())});
    let etcd = Rest { http: world.http.clone(), base: world.clusters.etcd_url.clone(), token: String::new() };
    etcd.send(Method::POST, "/v3/kv/put", Some(&body)).await?;
    let probe = hooked(scene, "probe", 0);
    let path = format!("{}?fieldManager=human&dryRun=All", Key::of(&probe).path());
    let in_force = eventually(IN_FORCE, || async {
        let tried = scene.kube.0.ask(Method::PATCH, &path, "application/apply-patch+yaml", Some(&probe)).await?;
        Ok(tried.0 == 400 && tried.1.to_string().contains("dry run"))
    });
    if in_force.await? { Ok(()) } else { Err("dry runs are still possible".into()) }
}
