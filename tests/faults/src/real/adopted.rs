//! Adopted objects: keys that a later revision drops are removed from them.

use http::Method;
use serde_json::{Value, json};

use super::look::{SOON, Until, blocking, is_applied, must_apply, path};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

/// How an object was created before the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// `kubectl apply`.
    ClientSide,
    /// `kubectl apply`, and again with other content.
    ClientSideTwice,
    /// `kubectl create`.
    Create,
    /// `kubectl apply --server-side`.
    ServerSide,
    /// Helm's own way: created and updated under its name.
    Helm,
}

const MADE: [(&str, Made); 5] = [
    ("client-side", Made::ClientSide),
    ("client-side-twice", Made::ClientSideTwice),
    ("create", Made::Create),
    ("server-side", Made::ServerSide),
    ("helm", Made::Helm),
];

/// An object in full, and without what is dropped later; where what is dropped was.
fn objects(namespace: &str, name: &str) -> Vec<(Value, Value, Vec<&'static str>)> {
    let meta = |full: bool| {
        let mut meta = json!({"name": name, "namespace": namespace, "labels": {"app": name}, "annotations": {"example.com/kept": "1"}});
        if full {
            meta["labels"]["tier"] = json!("old");
            meta["annotations"]["example.com/old"] = json!("1");
        }
        meta
    };
    let map = |full: bool| {
        let data = if full { json!({"main.conf": "a=1", "old.conf": "b=2"}) } else { json!({"main.conf": "a=1"}) };
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(full), "data": data})
    };
    let service = |full: bool| {
        let mut ports = vec![json!({"name": "http", "port": 80, "protocol": "TCP"})];
        ports.extend(full.then(|| json!({"name": "old", "port": 81, "protocol": "TCP"})));
        let mut selector = json!({"app": name});
        if full {
            selector["tier"] = json!("old");
        }
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(full), "spec": {"ports": ports, "selector": selector}})
    };
    let deployment = |full: bool| {
        let mut container =
            json!({"name": "main", "image": "registry.example.com/main:1", "env": [{"name": "A", "value": "1"}]});
        if full {
            container["env"] = json!([{"name": "A", "value": "1"}, {"name": "OLD", "value": "1"}]);
            container["workingDir"] = json!("/old");
        }
        let labels = json!({"app": name});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(full), "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }})
    };
    let dropped = ["/metadata/labels/tier", "/metadata/annotations/example.com~1old"];
    let with = |more: &[&'static str]| [&dropped, more].concat();
    vec![
        (map(true), map(false), with(&["/data/old.conf"])),
        (service(true), service(false), with(&["/spec/ports/1", "/spec/selector/tier"])),
        (
            deployment(true),
            deployment(false),
            with(&["/spec/template/spec/containers/0/env/1", "/spec/template/spec/containers/0/workingDir"]),
        ),
    ]
}

/// Adds an annotation as a manager that is not a deployment tool. It must stay.
async fn note(scene: &Scene, object: &Value, manager: &str, name: &str) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {format!("example.com/{name}"): "yes"}}});
    let at = format!("{}?fieldManager={manager}", path(object));
    scene.kube.0.must(Method::PATCH, &at, "application/merge-patch+json", Some(&patch)).await.map(drop)
}

async fn make(world: &World, scene: &Scene, made: Made, object: &Value) -> Result<()> {
    let cluster = world.cluster(0)?;
    match made {
        Made::ClientSide => blocking(|| cluster.apply(object)).map(drop),
        Made::ClientSideTwice => {
            let mut before = object.clone();
            before["metadata"]["annotations"]["example.com/kept"] = json!("0");
            blocking(|| cluster.apply(&before).and_then(|_| cluster.apply(object))).map(drop)
        }
        Made::Create => blocking(|| cluster.kubectl_on(object, &["create"])).map(drop),
        Made::ServerSide => blocking(|| cluster.kubectl_on(object, &["apply", "--server-side"])).map(drop),
        Made::Helm => {
            let full = path(object);
            let list = full.rsplit_once('/').map_or("", |it| it.0);
            let (at, kind) = (format!("{list}?fieldManager=helm"), "application/json");
            scene.kube.0.must(Method::POST, &at, kind, Some(object)).await?;
            let patch = json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "demo"}}});
            let (at, kind) = (format!("{full}?fieldManager=helm"), "application/merge-patch+json");
            scene.kube.0.must(Method::PATCH, &at, kind, Some(&patch)).await.map(drop)
        }
    }
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    let adopt = || Some(json!({"adopt": "always"}));
    for (stack, made) in MADE {
        for (full, ..) in objects(&scene.namespace, stack) {
            make(world, &scene, made, &full).await?;
            note(&scene, &full, "controller-of-others", "theirs").await?;
        }
        let all: Vec<Value> = objects(&scene.namespace, stack).into_iter().map(|it| it.0).collect();
        scene.publish_with(stack, all, adopt()).await?;
    }
    for (stack, _) in MADE {
        must_apply(&scene, stack).await?;
        for (full, ..) in objects(&scene.namespace, stack) {
            // A person's note on what is the stack's by now.
            note(&scene, &full, "kubectl-annotate", "later").await?;
        }
    }
    for (stack, _) in MADE {
        let all: Vec<Value> = objects(&scene.namespace, stack).into_iter().map(|it| it.1).collect();
        scene.publish_with(stack, all, adopt()).await?;
    }
    let until = Until::within(2 * SOON);
    for (stack, _) in MADE {
        for (_, kept, dropped) in objects(&scene.namespace, stack) {
            let mut wrong = Vec::new();
            is_applied(&scene, stack, until.left(), "the revision that drops something", &mut wrong).await?;
            drops(&scene, &kept, &dropped, &["theirs", "later"], &until, &mut wrong).await?;
            rounds.add(format!("{stack} {}", kept["kind"].as_str().unwrap_or_default()), wrong);
        }
    }
    rounds.add("dropped-when-adopted", at_once(world, &mut scene).await?);
    super::look::end(scene, rounds).await
}

async fn drops(
    scene: &Scene,
    kept: &Value,
    dropped: &[&str],
    noted: &[&str],
    until: &Until,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let left = |it: &Value| -> Vec<String> {
        dropped.iter().filter(|pointer| it.pointer(pointer).is_some()).map(|it| (*it).to_owned()).collect()
    };
    let key = Key::of(kept);
    let gone =
        eventually(until.left(), || async { Ok(scene.kube.get(&key).await?.is_some_and(|it| left(&it).is_empty())) });
    let is_gone = gone.await?;
    let live = scene.kube.get(&key).await?.unwrap_or_default();
    must(wrong, is_gone, format!("{key} has what was dropped: {}; {}", left(&live).join(", "), managers(&live)));
    for note in noted {
        let is_there = live["metadata"]["annotations"].get(format!("example.com/{note}")).is_some();
        must(wrong, is_there, format!("{key} has lost what somebody else noted: {note}; {}", managers(&live)));
    }
    Ok(())
}

/// Who owns fields of an object.
fn managers(live: &Value) -> String {
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    let names: Vec<String> = entries.map(|it| format!("{} {}", it["manager"], it["operation"])).collect();
    format!("managers: {}", names.join(", "))
}

/// The first revision has less than what `kubectl apply` had made: as with kubectl's own migration that goes as well.
async fn at_once(world: &World, scene: &mut Scene) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let all = objects(&scene.namespace, "at-once");
    for (full, ..) in &all {
        make(world, scene, Made::ClientSide, full).await?;
        note(scene, full, "controller-of-others", "theirs").await?;
    }
    let kept: Vec<Value> = all.iter().map(|it| it.1.clone()).collect();
    let policies = json!({"adopt": "always", "conflicts": "force"});
    scene.publish_with("at-once", kept, Some(policies)).await?;
    is_applied(scene, "at-once", 2 * SOON, "the adopting revision", &mut wrong).await?;
    let until = Until::within(SOON);
    for (_, kept, dropped) in &all {
        drops(scene, kept, dropped, &["theirs"], &until, &mut wrong).await?;
    }
    Ok(wrong)
}
