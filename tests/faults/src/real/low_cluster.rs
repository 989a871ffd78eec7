//! Smaller checks of objects in the cluster.

use std::time::Duration;

use serde_json::{Value, json};

use super::look::{SOON, Until, becomes, brief, comes, condition, must_apply, no_failures, said};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, custom, definition, labelled};
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

/// A failure that lasts two minutes counts as `Stalled`.
const STALLED: Duration = Duration::from_secs(165);

/// A definition that is deleted and recreated at once is not a failure.
pub(super) async fn definition_recreated(world: &World, name: &str) -> Result<Outcome> {
    let (mut rounds, group) = (Rounds::of(name), "again.example.com");
    let mut scene = Scene::new(world, name).await?;
    let space = scene.namespace.clone();
    let all = |kind: &str| {
        let resources = ["a", "b", "c"].map(|it| custom(group, kind, &space, it, "1"));
        [vec![definition(group, kind)], resources.to_vec()].concat()
    };
    for round in 1..=3 {
        let kind = format!("Back{}", ["One", "Two", "Three"][round - 1]);
        let stack = kind.to_lowercase();
        scene.publish(&stack, all(&kind)).await?;
        must_apply(&scene, &stack).await?;
        let key = Key::of(&definition(group, &kind));
        let uid = |it: Option<&Value>| it.map(|it| it["metadata"]["uid"].to_string()).unwrap_or_default();
        let before = uid(scene.kube.get(&key).await?.as_ref());
        scene.kube.delete(&key).await?;
        let mut wrong = Vec::new();
        becomes(&scene.kube, &key, 2 * SOON, "it is there again", &mut wrong, |it| it.is_some() && uid(it) != before)
            .await?;
        wrong.extend(scene.judge_within(2 * SOON).await?);
        no_failures(&scene, &stack, &mut wrong).await?;
        rounds.add(format!("deleted by hand {round}"), wrong);
    }
    for round in 1..=3 {
        let kind = format!("Stack{}", ["One", "Two", "Three"][round - 1]);
        let stack = kind.to_lowercase();
        scene.publish(&stack, all(&kind)).await?;
        must_apply(&scene, &stack).await?;
        // Dropped and brought back, as fast as it goes.
        scene.publish(&stack, vec![config_map(&space, &stack, 1)]).await?;
        let key = Key::of(&definition(group, &kind));
        let mut wrong = Vec::new();
        becomes(&scene.kube, &key, 2 * SOON, "it is gone", &mut wrong, |it| it.is_none()).await?;
        scene.publish(&stack, all(&kind)).await?;
        wrong.extend(scene.judge_within(2 * SOON).await?);
        no_failures(&scene, &stack, &mut wrong).await?;
        rounds.add(format!("dropped and back {round}"), wrong);
    }
    super::look::end(scene, rounds).await
}

/// A class that pods name does not exist: the refusal names it, and says that it must be created.
pub(super) async fn priority_class(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    for (stack, is_pod) in [("bare-pod", true), ("of-deployment", false)] {
        let class = format!("no-such-{stack}");
        let spec = json!({"priorityClassName": class, "containers": [{"name": "main", "image": "registry.example.com/main:1"}]});
        let metadata = json!({"name": stack, "namespace": scene.namespace});
        let manifest = if is_pod {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        } else {
            let labels = json!({"app": stack});
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
                "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}})
        };
        scene.publish(stack, vec![manifest]).await?;
        let mut wrong = Vec::new();
        comes(&scene, stack, SOON, &format!("it names {class} and says what to do"), &mut wrong, |status| {
            let said = said(status);
            said.contains(&class) && says_create(&said)
        })
        .await?;
        // What it says to do helps.
        scene.kube.apply(&json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": class}, "value": 5})).await?;
        comes(&scene, stack, 4 * SOON, "it is healthy once the class is there", &mut wrong, |it| {
            it["health"] == "healthy"
        })
        .await?;
        scene.kube.delete(&Key::new("scheduling.k8s.io", "priorityclasses", "", &class)).await?;
        rounds.add(stack, wrong);
    }
    super::look::end(scene, rounds).await
}

/// Whether a text asks the reader to create an object.
fn says_create(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "create it",
        "create the",
        "create a ",
        "create priorityclass",
        "must be created",
        "to be created",
        "has to exist",
        "must exist",
    ]
    .iter()
    .any(|it| text.contains(it))
}

/// A PersistentVolumeClaim with a missing StorageClass never binds: the stack is not healthy, and the status names the class.
pub(super) async fn storage_class(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    let class = |stack: &str| format!("no-class-{stack}");
    let claim = |scene: &Scene, stack: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": stack, "namespace": scene.namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class(stack), "resources": {"requests": {"storage": "1Gi"}}}})
    };
    for stack in ["alone", "with-pod"] {
        let mut all = vec![claim(&scene, stack)];
        if stack == "with-pod" {
            all.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": stack, "namespace": scene.namespace}, "spec": {
                "containers": [{"name": "main", "image": "registry.example.com/main:1"}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": stack}}],
            }}));
        }
        scene.publish(stack, all).await?;
    }
    for stack in ["alone", "with-pod"] {
        let mut wrong = Vec::new();
        let what = format!("it is not healthy, and names {}", class(stack));
        comes(&scene, stack, SOON, &what, &mut wrong, |it| {
            it["health"] != "healthy" && it["health"] != "unknown" && said(it).contains(&class(stack))
        })
        .await?;
        rounds.add(stack, wrong);
    }
    super::look::end(scene, rounds).await
}

/// A webhook for deletions has no backend.
pub(super) async fn delete_webhook(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    let hooked = |name: &str| labelled(config_map(&scene.namespace, name, 1), "hooked", "yes");
    let (removed, pruned, kept) = (hooked("removed"), hooked("pruned"), config_map(&scene.namespace, "kept", 1));
    let webhook = webhook(&scene.namespace);
    scene.publish("removed", vec![removed]).await?;
    scene.publish("pruned", vec![pruned, kept.clone()]).await?;
    scene.settle().await?;
    scene.kube.apply(&webhook).await?;
    let key = Key::config_map(&scene.namespace, "removed");
    let path = format!("{}?dryRun=All", key.path());
    let in_force =
        eventually(2 * SOON, || async { Ok(scene.kube.0.ask(http::Method::DELETE, &path, "", None).await?.0 == 500) });
    if !in_force.await? {
        return Err("the webhook is not asked".into());
    }
    let ids = [scene.id("removed"), scene.id("pruned")];
    scene.delete("removed").await?;
    scene.publish("pruned", vec![kept]).await?;
    let hook = "deletions.hooks.example.com";
    let mut defects = Vec::new();
    for id in &ids {
        let mut wrong = Vec::new();
        let told = eventually(SOON, || async { Ok(said(&scene.status(id).await?).contains(hook)) });
        let is_told = told.await?;
        let status = scene.status(id).await?;
        must(&mut wrong, is_told, format!("the webhook is not named: {}", brief(&status)));
        must(
            &mut wrong,
            !said(&status).contains("ApiUnavailable"),
            format!("the API counts as away: {}", brief(&status)),
        );
        defects.push(wrong);
    }
    defects[0].extend(scene.others_go_on(SOON).await?);
    let until = Until::within(STALLED);
    for (id, wrong) in ids.iter().zip(&mut defects) {
        let stalled = eventually(until.left(), || async {
            let status = scene.status(id).await?;
            Ok(condition(&status, "Stalled")
                .is_some_and(|it| it["status"] == "True" && it["message"].to_string().contains(hook)))
        });
        let is_stalled = stalled.await?;
        must(
            wrong,
            is_stalled,
            format!("it is not Stalled by the webhook in the end: {}", brief(&scene.status(id).await?)),
        );
    }
    scene.kube.delete(&Key::of(&webhook)).await?;
    // Once it is gone everything goes on, and the status forgets it.
    let gone = eventually(2 * SOON, || scene.is_gone(&ids[0])).await?;
    must(&mut defects[0], gone, "the removal does not end once the webhook is gone");
    comes(&scene, "pruned", 2 * SOON, "the webhook is forgotten", &mut defects[1], |it| !said(it).contains(hook))
        .await?;
    for (what, wrong) in ["removal", "prune"].into_iter().zip(defects) {
        rounds.add(what, wrong);
    }
    super::look::end(scene, rounds).await
}

fn webhook(namespace: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": format!("{namespace}-deletions")},
        "webhooks": [{
            "name": "deletions.hooks.example.com",
            // No server listens on this port.
            "clientConfig": {"url": "https://127.0.0.1:9/deletions"},
            "rules": [{"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "scope": "Namespaced"}],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 3,
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "objectSelector": {"matchLabels": {"hooked": "yes"}},
        }],
    })
}
