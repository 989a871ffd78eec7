//! Files with the structure of published install files: applied, compared, published again, upgraded, rolled back, removed.

use std::collections::BTreeMap;
use std::time::Duration;

use brokkr_testbed::shapes::{self, Names, Shape};
use http::Method;
use serde_json::{Value, json};

use super::files::File;
use super::look::{SOON, brief, comes, is_applied, said};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::namespace;
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const APPLIED: Duration = Duration::from_secs(120);
const HEALTHY: Duration = Duration::from_secs(40);
const GONE: Duration = Duration::from_secs(60);

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    let all = shapes::all("s");
    let mut wrong: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for shape in &all {
        let begun = begin(&mut scene, shape).await;
        wrong.insert(shape.name, begun.unwrap_or_else(|error| vec![error.to_string()]));
    }
    // A refused file counts as one defect, not as one per step.
    let taken: Vec<&Shape> = all.iter().filter(|shape| scene.stacks.contains_key(shape.name)).collect();
    for shape in &taken {
        let wrong = wrong.entry(shape.name).or_default();
        is_applied(&scene, shape.name, APPLIED, shape.stands_for, wrong).await?;
        wrong.extend(File::new(shape.name, &shape.text).differences(world, &scene).await?);
        comes(&scene, shape.name, HEALTHY, "it is healthy", wrong, |it| it["health"] == "healthy").await?;
    }
    again(&mut scene, &taken, &mut wrong).await?;
    let upgraded: Vec<&Shape> = taken.iter().copied().filter(|shape| shape.next.is_some()).collect();
    upgrade(world, &mut scene, &upgraded, &mut wrong).await?;
    roll_back(world, &mut scene, &upgraded, &mut wrong).await?;
    remove(world, &mut scene, &taken, &mut wrong).await?;
    for shape in &all {
        rounds.add(shape.name, wrong.remove(shape.name).unwrap_or_default());
    }
    rounds.add("api-service", api_service(world, name).await?);
    for shape in all.iter().filter(|shape| !shape.has_namespace) {
        scene.kube.delete(&Key::namespace(&shape.namespace)).await?;
    }
    super::look::end(scene, rounds).await
}

fn policies(shape: &Shape) -> Value {
    json!({"replace_immutable": shape.replaces})
}

async fn begin(scene: &mut Scene, shape: &Shape) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    if !shape.has_namespace {
        scene.kube.apply(&namespace(&shape.namespace)).await?;
    }
    let objects = File::new(shape.name, &shape.text).publish(scene, &policies(shape)).await?;
    must(&mut wrong, objects == shape.objects as u64, format!("{objects} of {} objects were found", shape.objects));
    Ok(wrong)
}

/// Publishes the same content as a new revision: the agent must write nothing.
async fn again(scene: &mut Scene, taken: &[&Shape], wrong: &mut BTreeMap<&str, Vec<String>>) -> Result<()> {
    let writes = |scene: &Scene| -> Result<Vec<_>> {
        Ok(scene.led(scene.replica.writes()?).into_iter().filter(|it| it.key.namespace != "brokkr-system").collect())
    };
    let before = writes(scene)?.len();
    for shape in taken {
        let text =
            format!("{}{}", shape.text, if shape.text.starts_with(['{', '[']) { "\n\n" } else { "\n# Again.\n" });
        File::new(shape.name, text).publish(scene, &policies(shape)).await?;
    }
    for shape in taken {
        let wrong = wrong.entry(shape.name).or_default();
        is_applied(scene, shape.name, APPLIED, "the same again", wrong).await?;
    }
    let written: Vec<_> = writes(scene)?.into_iter().skip(before).collect();
    for write in written.iter().take(5) {
        // Told for the shape whose namespace it is, or for the first.
        let owner = taken.iter().find(|it| it.namespace == write.key.namespace).or(taken.first());
        if let Some(owner) = owner {
            wrong.entry(owner.name).or_default().push(format!("publishing the same again wrote: {write}"));
        }
    }
    Ok(())
}

async fn upgrade(
    world: &World,
    scene: &mut Scene,
    shapes: &[&Shape],
    wrong: &mut BTreeMap<&str, Vec<String>>,
) -> Result<()> {
    for shape in shapes {
        let next = File::new(shape.name, shape.next.clone().unwrap_or_default());
        if let Err(error) = next.publish(scene, &policies(shape)).await {
            wrong.entry(shape.name).or_default().push(error.to_string());
        }
    }
    for shape in shapes {
        let next = File::new(shape.name, shape.next.clone().unwrap_or_default());
        let wrong = wrong.entry(shape.name).or_default();
        is_applied(scene, shape.name, APPLIED, "the next release", wrong).await?;
        wrong.extend(next.differences(world, scene).await?.into_iter().map(|it| format!("next release: {it}")));
        comes(scene, shape.name, HEALTHY, "the next release is healthy", wrong, |it| it["health"] == "healthy").await?;
    }
    Ok(())
}

async fn roll_back(
    world: &World,
    scene: &mut Scene,
    shapes: &[&Shape],
    wrong: &mut BTreeMap<&str, Vec<String>>,
) -> Result<()> {
    for shape in shapes {
        let path = format!("/stacks/{}/rollback", scene.id(shape.name));
        let answer = scene.broker.send(Method::POST, &path, Some(&json!({"revision": 1}))).await?;
        if let Some(told) = scene.stacks.get_mut(shape.name) {
            told.revision = answer["revision"].as_u64().ok_or("no revision")?;
        }
    }
    for shape in shapes {
        let first = File::new(shape.name, &shape.text);
        let wrong = wrong.entry(shape.name).or_default();
        is_applied(scene, shape.name, APPLIED, "the first release again", wrong).await?;
        wrong.extend(first.differences(world, scene).await?.into_iter().map(|it| format!("rolled back: {it}")));
        comes(scene, shape.name, HEALTHY, "the first release is healthy again", wrong, |it| it["health"] == "healthy")
            .await?;
    }
    Ok(())
}

async fn remove(
    world: &World,
    scene: &mut Scene,
    taken: &[&Shape],
    wrong: &mut BTreeMap<&str, Vec<String>>,
) -> Result<()> {
    let mut objects = BTreeMap::new();
    for shape in taken {
        let file = File::new(shape.name, &shape.text);
        objects.insert(shape.name, file.as_kubectl(world, scene).unwrap_or_default());
    }
    let ids: BTreeMap<&str, String> = taken.iter().map(|it| (it.name, scene.id(it.name))).collect();
    for shape in taken {
        scene.delete(shape.name).await?;
    }
    for shape in taken {
        let (id, wrong) = (&ids[shape.name], wrong.entry(shape.name).or_default());
        let gone = eventually(GONE, || scene.is_gone(id)).await?;
        let status = scene.status(id).await?;
        must(wrong, gone, format!("the removal does not end: {}", brief(&status)));
        let file = File::new(shape.name, "");
        let left = file.left(scene, &objects[shape.name], SOON).await?;
        wrong.extend(left.into_iter().map(|it| format!("after the removal: {it}")));
    }
    Ok(())
}

/// An aggregated API whose server does not answer: applied and said to be not healthy, and it can be removed. On the other cluster,
/// as discovery is not whole meanwhile.
async fn api_service(world: &World, name: &str) -> Result<Vec<String>> {
    let mut scene = Scene::on(world, 1, &format!("{name}-api")).await?;
    let at = Names { name: "s-api".to_owned(), namespace: scene.namespace.clone() };
    let file = File::new("api-service", shapes::api_service(&at));
    let mut wrong = Vec::new();
    file.publish(&mut scene, &json!({})).await?;
    is_applied(&scene, &file.stack, APPLIED, "an API without a server", &mut wrong).await?;
    comes(&scene, &file.stack, SOON, "the status names the APIService, and is not healthy", &mut wrong, |status| {
        status["health"] != "healthy" && said(status).contains(&at.group())
    })
    .await?;
    let id = scene.id(&file.stack);
    scene.delete(&file.stack).await?;
    let gone = eventually(GONE, || scene.is_gone(&id)).await?;
    must(&mut wrong, gone, format!("the removal does not end: {}", brief(&scene.status(&id).await?)));
    let service = Key::new("apiregistration.k8s.io", "apiservices", "", &format!("v1beta1.{}", at.group()));
    // Always restore discovery, which other checks need.
    let is_there = scene.kube.get(&service).await?.is_some();
    scene.kube.delete(&service).await?;
    must(&mut wrong, !is_there, "the APIService is there after the removal");
    super::look::end(scene, Rounds::default()).await?;
    Ok(wrong)
}
