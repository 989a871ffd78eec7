//! Objects that the API server refuses as invalid.

use std::time::Duration;

use brokkr_testbed::text_at;
use http::Method;
use serde_json::{Value, json};

use super::look::{SOON, Until, brief, comes, condition, is_applied, must_apply, said, writes_on};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, custom, definition};
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const GROUP: &str = "refused.example.com";
const HOLD: Duration = Duration::from_secs(3);

/// A change that makes a valid object invalid, and a word of the server's error.
struct Case {
    name: &'static str,
    good: Value,
    at: &'static str,
    bad: Value,
    word: &'static str,
}

fn deployment(namespace: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.example.com/main:1", "env": [{"name": "A", "value": "1"}]}]},
            },
        },
    })
}

fn service(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": "a"}, "ports": [{"name": "http", "port": 80}]}})
}

fn cron_job(namespace: &str, name: &str) -> Value {
    let pod =
        json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example.com/main:1"}]});
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": namespace},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}})
}

fn cases(space: &str) -> Vec<Case> {
    let case = |name, good: Value, at, bad: Value, word| Case { name, good, at, bad, word };
    let sizes = |name: &str| {
        let mut it = custom(GROUP, "Crate", space, name, "");
        it["spec"] = json!({"size": 1});
        it
    };
    vec![
        case(
            "env-twice",
            deployment(space, "env-twice"),
            "/spec/template/spec/containers/0/env",
            json!([{"name": "LEVEL", "value": "1"}, {"name": "B"}, {"name": "LEVEL", "value": "2"}]),
            "LEVEL",
        ),
        case("unknown-field", deployment(space, "unknown-field"), "/spec/replicaCount", json!(3), "replicaCount"),
        case("float-in-texts", config_map(space, "float-in-texts", 1), "/data/ratio", json!(0.75), "ratio"),
        case("number-for-text", service(space, "number-for-text"), "/spec/selector/tier", json!(5), "tier"),
        case(
            "number-as-env",
            deployment(space, "number-as-env"),
            "/spec/template/spec/containers/0/env/0/value",
            json!(8080),
            "value",
        ),
        case("wrong-enum", service(space, "wrong-enum"), "/spec/type", json!("External"), "External"),
        case(
            "port-twice",
            service(space, "port-twice"),
            "/spec/ports",
            json!([{"name": "a", "port": 80}, {"name": "b", "port": 80}]),
            "port",
        ),
        case(
            "map-for-list",
            deployment(space, "map-for-list"),
            "/spec/template/spec/containers",
            json!({"name": "main"}),
            "containers",
        ),
        case("text-for-number", deployment(space, "text-for-number"), "/spec/replicas", json!("many"), "replicas"),
        case(
            "bad-quantity",
            deployment(space, "bad-quantity"),
            "/spec/template/spec/containers/0/resources",
            json!({"limits": {"cpu": "10 GB"}}),
            "quantities",
        ),
        case("bad-schedule", cron_job(space, "bad-schedule"), "/spec/schedule", json!("every day"), "schedule"),
        case("unknown-custom-field", sizes("unknown-custom-field"), "/spec/sizes", json!([1]), "sizes"),
        case("custom-type", sizes("custom-type"), "/spec/size", json!("large"), "size"),
        case("custom-maximum", sizes("custom-maximum"), "/spec/size", json!(1000), "size"),
    ]
}

fn changed(case: &Case) -> Value {
    let mut bad = case.good.clone();
    set(&mut bad, case.at, case.bad.clone());
    bad
}

/// Sets the value at a JSON pointer. Creates missing parents.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = object.pointer_mut(parent) {
        parent[field] = value;
    }
}

fn others(space: &str, case: &Case, value: u64) -> Vec<Value> {
    // Before and after it by name.
    [format!("a-{}", case.name), format!("z-{}", case.name)].map(|it| config_map(space, &it, value)).to_vec()
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut scene = Scene::new(world, name).await?;
    let mut rounds = Rounds::of(name);
    let mut kind = definition(GROUP, "Crate");
    kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] =
        json!({"type": "object", "properties": {"size": {"type": "integer", "maximum": 100}}});
    scene.publish("kinds", vec![kind]).await?;
    must_apply(&scene, "kinds").await?;
    let cases = cases(&scene.namespace);
    for case in &cases {
        let revision = [vec![case.good.clone()], others(&scene.namespace, case, 1)].concat();
        scene.publish(case.name, revision).await?;
    }
    scene.settle().await?;
    let mut tried = Vec::new();
    for case in &cases {
        tried.push(publish(&mut scene, case).await?);
    }
    let until = Until::within(SOON);
    for (case, tried) in cases.iter().zip(&mut tried) {
        told(&scene, case, tried, &until).await?;
    }
    tokio::time::sleep(HOLD).await;
    for tried in &mut tried {
        let written = tried.count(&scene)? - tried.before;
        let what = format!("{written} writes although one object is refused and validate is server");
        must(&mut tried.wrong, written == 0, what);
    }
    // Without the mistake.
    for case in &cases {
        scene.publish(case.name, [vec![case.good.clone()], others(&scene.namespace, case, 2)].concat()).await?;
    }
    let until = Until::within(2 * SOON);
    for (case, tried) in cases.iter().zip(tried) {
        let mut wrong = tried.wrong;
        is_applied(&scene, case.name, until.left(), "the corrected revision", &mut wrong).await?;
        rounds.add(case.name, wrong);
    }
    rounds.add("ten-new", ten(&mut scene, false).await?);
    rounds.add("ten-updates", ten(&mut scene, true).await?);
    super::look::end(scene, rounds).await
}

/// A revision that makes one of three existing objects invalid.
struct Tried {
    keys: Vec<Key>,
    before: usize,
    reason: String,
    wrong: Vec<String>,
}

impl Tried {
    fn count(&self, scene: &Scene) -> Result<usize> {
        self.keys.iter().map(|key| writes_on(scene, key)).try_fold(0, |sum, n| n.map(|n| sum + n))
    }
}

async fn publish(scene: &mut Scene, case: &Case) -> Result<Tried> {
    let bad = changed(case);
    let reason = reason_of(scene, &bad).await?;
    if !reason.contains(case.word) {
        return Err(format!("{}: the server says {reason}", case.name).into());
    }
    let others_after = others(&scene.namespace, case, 2);
    let keys = others_after.iter().chain([&bad]).map(Key::of).collect();
    let mut tried = Tried { keys, before: 0, reason, wrong: Vec::new() };
    tried.before = tried.count(scene)?;
    if let Err(error) = scene.publish(case.name, [vec![bad], others_after].concat()).await {
        tried.wrong.push(format!("not even published: {error}"));
    }
    Ok(tried)
}

/// Checks that none of the three objects is written, and that the status gives the reason.
async fn told(scene: &Scene, case: &Case, tried: &mut Tried, until: &Until) -> Result<()> {
    let reason = tried.reason.trim();
    let what = format!("it is refused by name and with the server's reason ({reason}), not as an API that is away");
    comes(scene, case.name, until.left(), &what, &mut tried.wrong, |status| {
        let applied = condition(status, "Applied");
        let said = said(status);
        applied.is_some_and(|it| it["status"] == "False" && it["reason"] != "ApiUnavailable")
            && said.contains(case.name)
            && said.contains(case.word)
            && !said.contains("ApiUnavailable")
    })
    .await
}

/// The error of the API server for a manifest.
async fn reason_of(scene: &Scene, manifest: &Value) -> Result<String> {
    let manager = scene.replica.process.manager();
    let path = format!("{}?fieldManager={manager}&force=true&dryRun=All", Key::of(manifest).path());
    let (status, answer) =
        scene.kube.0.ask(Method::PATCH, &path, "application/apply-patch+yaml", Some(manifest)).await?;
    if status < 300 {
        return Err(format!("the API server takes {}", Key::of(manifest)).into());
    }
    Ok(text_at(&answer, "/message")?.to_owned())
}

/// Ten invalid objects among valid ones of their kind.
async fn ten(scene: &mut Scene, as_updates: bool) -> Result<Vec<String>> {
    let space = scene.namespace.clone();
    let stack = if as_updates { "ten-updates" } else { "ten-new" };
    let good = |value: u64| (0..6).map(move |n| (n, value));
    let map = |prefix: &str, n: u64, value: u64| config_map(&space, &format!("{stack}-{prefix}{n}"), value);
    let service = |n: u64| self::service(&space, &format!("{stack}-bad{n}"));
    let bad = |n: u64| {
        let mut it = map("bad", n, 1);
        it["data"]["weight"] = json!(n as f64 + 0.5);
        it
    };
    // Refused in two ways: by the types, and by the rules.
    let bad_service = |n: u64| {
        let mut it = service(n);
        it["spec"]["type"] = json!("Elsewhere");
        it
    };
    if as_updates {
        let mut first: Vec<Value> = good(1).map(|(n, value)| map("good", n, value)).collect();
        first.extend((0..10).map(|n| map("bad", n, 1)));
        first.extend((0..3).map(service));
        scene.publish_with(stack, first, Some(json!({"validate": "none"}))).await?;
        must_apply(scene, stack).await?;
    }
    let mut second: Vec<Value> = (0..10).map(bad).collect();
    second.extend((0..3).map(bad_service));
    let wanted: Vec<Value> = good(2).map(|(n, value)| map("good", n, value)).collect();
    second.extend(wanted.clone());
    scene.publish_with(stack, second, Some(json!({"validate": "none"}))).await?;
    let mut wrong = Vec::new();
    let kube = scene.kube.clone();
    let arrived = eventually(SOON, || async {
        for manifest in &wanted {
            let there = kube.get(&Key::of(manifest)).await?;
            if there.is_none_or(|it| it["data"] != manifest["data"]) {
                return Ok(false);
            }
        }
        Ok(true)
    });
    must(&mut wrong, arrived.await?, "good objects of the same kind are not applied");
    let id = scene.id(stack);
    let names: Vec<String> = (0..10).map(|n| format!("{stack}-bad{n}")).collect();
    let named = eventually(SOON, || async {
        let text = scene.status(&id).await?.to_string();
        Ok(names.iter().all(|name| text.contains(name)) && text.contains("weight") && text.contains("Elsewhere"))
    });
    let is_named = named.await?;
    let status = scene.status(&id).await?;
    must(&mut wrong, is_named, format!("not every refused object is named with a reason: {}", brief(&status)));
    must(
        &mut wrong,
        !status.to_string().contains("ApiUnavailable"),
        format!("the API counts as away: {}", brief(&status)),
    );
    scene.delete(stack).await?;
    Ok(wrong)
}
