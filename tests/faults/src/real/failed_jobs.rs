//! Jobs that complete, fail or are deleted while they run; deleted by `ttlSecondsAfterFinished` or by hand.

use std::time::Duration;

use serde_json::{Value, json};

use super::look::{SOON, Until, becomes, comes, is_applied, stays, writes_on};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::config_map;
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const HOLD: Duration = Duration::from_secs(7);
const END: Duration = Duration::from_secs(40);

/// How a Job ends, and how it is deleted.
struct Case {
    name: &'static str,
    spec: Value,
    pod: Pod,
    /// Whether a person deletes it, rather than the cluster.
    by_hand: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pod {
    Completes,
    Fails,
    /// A node selector that no node matches.
    Pends,
}

fn failing() -> Vec<Case> {
    let case = |name, pod, by_hand, spec| Case { name, spec, pod, by_hand };
    let rule = json!([{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]);
    vec![
        case("no-retry", Pod::Fails, false, json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 1})),
        case("ttl-zero", Pod::Fails, false, json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 0})),
        case("deadline", Pod::Pends, false, json!({"activeDeadlineSeconds": 3, "ttlSecondsAfterFinished": 3})),
        case("deadline-zero", Pod::Pends, false, json!({"activeDeadlineSeconds": 2, "ttlSecondsAfterFinished": 0})),
        case(
            "pod-failure-policy",
            Pod::Fails,
            false,
            json!({"backoffLimit": 9, "podFailurePolicy": {"rules": rule}, "ttlSecondsAfterFinished": 2}),
        ),
        case(
            "indexed",
            Pod::Fails,
            false,
            json!({"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 0, "ttlSecondsAfterFinished": 1}),
        ),
        case("by-hand", Pod::Fails, true, json!({"backoffLimit": 0})),
        case("by-hand-before-ttl", Pod::Fails, true, json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 500})),
    ]
}

fn completing() -> Vec<Case> {
    let case = |name, by_hand, spec| Case { name, spec, pod: Pod::Completes, by_hand };
    vec![
        case("done-ttl-zero", false, json!({"ttlSecondsAfterFinished": 0})),
        case("done-ttl", false, json!({"completions": 2, "parallelism": 2, "ttlSecondsAfterFinished": 2})),
        case("done-by-hand", true, json!({"backoffLimit": 2})),
    ]
}

fn unfinished() -> Vec<Case> {
    let case = |name, spec| Case { name, spec, pod: Pod::Pends, by_hand: true };
    vec![
        case("active", json!({"backoffLimit": 1})),
        case("active-ttl", json!({"ttlSecondsAfterFinished": 700})),
        case("suspended", json!({"suspend": true, "ttlSecondsAfterFinished": 0})),
    ]
}

fn job(namespace: &str, case: &Case) -> Value {
    let mut template = json!({
        "metadata": {"labels": {"job": case.name}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example.com/job:1"}]},
    });
    match case.pod {
        Pod::Completes => {}
        Pod::Fails => template["metadata"]["labels"]["brokkr.test/fails"] = json!("true"),
        Pod::Pends => template["spec"]["nodeSelector"] = json!({"there-is": "no-such-node"}),
    }
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": case.name, "namespace": namespace},
        "spec": case.spec,
    });
    job["spec"]["template"] = template;
    job
}

fn dependent(namespace: &str, job: &str) -> Value {
    let mut map = config_map(namespace, &format!("after-{job}"), 1);
    let reference = format!("batch/namespaces/{namespace}/Job/{job}");
    map["metadata"]["annotations"] = json!({"config.kubernetes.io/depends-on": reference});
    map
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut scene = Scene::new(world, name).await?;
    let mut rounds = Rounds::of(name);
    let (failing, completing, unfinished) = (failing(), completing(), unfinished());
    waits_begin(&mut scene).await?;
    for case in failing.iter().chain(&completing).chain(&unfinished) {
        let manifests = vec![job(&scene.namespace, case), dependent(&scene.namespace, case.name)];
        scene.publish(case.name, manifests).await?;
    }
    // A new revision with a Job that fails, and a policy that waits before anything of the old revision goes.
    waits(&mut scene, Pod::Fails).await?;

    let mut defects: Vec<Vec<String>> = Vec::new();
    let until = Until::within(END);
    for case in failing.iter().chain(&completing) {
        defects.push(ends(&scene, case, &until).await?);
    }
    let until = Until::within(SOON);
    for (case, wrong) in failing.iter().chain(&completing).zip(&mut defects) {
        comes(&scene, case.name, until.left(), "how it ended is told", wrong, |it| it["health"] == health_of(case))
            .await?;
    }
    let all: Vec<&Case> = failing.iter().chain(&completing).collect();
    hold(&scene, &all, &mut defects).await?;
    // The recorded result survives a restart of the agent.
    scene.replica.start()?;
    let late = scene.others_go_on(END).await?;
    rounds.add("agent-restarts", late);
    hold(&scene, &all, &mut defects).await?;
    for (case, wrong) in all.iter().zip(defects) {
        rounds.add(case.name, wrong);
    }
    recreated(&scene, &unfinished, &mut rounds).await?;
    let wrong = waits_end(&mut scene).await?;
    rounds.add("wait-keeps-old", wrong);
    for name in ["no-retry", "by-hand"] {
        rounds.add(format!("{name} changed"), changed(&mut scene, name).await?);
    }
    super::look::end(scene, rounds).await
}

fn health_of(case: &Case) -> &'static str {
    if case.pod == Pod::Completes { "healthy" } else { "degraded" }
}

fn at(scene: &Scene, case: &Case) -> Key {
    Key::new("batch", "jobs", &scene.namespace, case.name)
}

fn is_finished(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|it| (it["type"] == "Failed" || it["type"] == "Complete") && it["status"] == "True")
}

/// Waits until a Job has ended and is deleted.
async fn ends(scene: &Scene, case: &Case, until: &Until) -> Result<Vec<String>> {
    let (key, mut wrong) = (at(scene, case), Vec::new());
    if case.by_hand {
        becomes(&scene.kube, &key, until.left(), "the Job ends", &mut wrong, |it| it.is_some_and(is_finished)).await?;
        comes(scene, case.name, until.left().min(SOON), "how it ended is told while it is there", &mut wrong, |it| {
            it["health"] == health_of(case)
        })
        .await?;
        scene.kube.delete(&key).await?;
    }
    let gone =
        eventually(until.left(), || async { Ok(writes_on(scene, &key)? > 0 && scene.kube.get(&key).await?.is_none()) });
    must(&mut wrong, gone.await?, "the Job is not cleaned up, or comes back at once");
    Ok(wrong)
}

/// Checks that the state stays the same.
async fn hold(scene: &Scene, cases: &[&Case], defects: &mut [Vec<String>]) -> Result<()> {
    let before: Vec<usize> = cases.iter().map(|case| writes_on(scene, &at(scene, case))).collect::<Result<_>>()?;
    let deadline = tokio::time::Instant::now() + HOLD;
    let mut told = vec![false; cases.len()];
    while tokio::time::Instant::now() < deadline {
        for (number, case) in cases.iter().enumerate() {
            let status = scene.status(&scene.id(case.name)).await?;
            if status["health"] != health_of(case) && !std::mem::replace(&mut told[number], true) {
                defects[number].push(format!(
                    "the health became {}: {}",
                    status["health"],
                    super::look::brief(&status)
                ));
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (number, case) in cases.iter().enumerate() {
        let wrong = &mut defects[number];
        must(wrong, writes_on(scene, &at(scene, case))? == before[number], "the Job was created again");
        let after = Key::config_map(&scene.namespace, &format!("after-{}", case.name));
        let is_there = scene.kube.get(&after).await?.is_some();
        let should = case.pod == Pod::Completes;
        must(wrong, is_there == should, format!("what depends on it is there: {is_there}"));
    }
    Ok(())
}

/// A Job that is deleted before it ends is drift.
async fn recreated(scene: &Scene, cases: &[Case], rounds: &mut Rounds) -> Result<()> {
    let uid = |it: Option<&Value>| it.map(|it| it["metadata"]["uid"].to_string()).unwrap_or_default();
    let mut before = Vec::new();
    for case in cases {
        let key = at(scene, case);
        before.push(uid(scene.kube.get(&key).await?.as_ref()));
        scene.kube.delete(&key).await?;
    }
    let until = Until::within(2 * SOON);
    for (case, before) in cases.iter().zip(before) {
        let mut wrong = Vec::new();
        must(&mut wrong, !before.is_empty(), "the Job was not there");
        becomes(&scene.kube, &at(scene, case), until.left(), "the Job is created again", &mut wrong, |it| {
            it.is_some() && uid(it) != before
        })
        .await?;
        let after = Key::config_map(&scene.namespace, &format!("after-{}", case.name));
        must(&mut wrong, scene.kube.get(&after).await?.is_none(), "what depends on it is there already");
        rounds.add(case.name, wrong);
    }
    Ok(())
}

/// A changed manifest starts a new attempt.
async fn changed(scene: &mut Scene, name: &'static str) -> Result<Vec<String>> {
    let good = Case { name, spec: json!({"backoffLimit": 1}), pod: Pod::Completes, by_hand: false };
    let manifests = vec![job(&scene.namespace, &good), dependent(&scene.namespace, name)];
    scene.publish(name, manifests).await?;
    let mut wrong = Vec::new();
    is_applied(scene, name, END, "the changed Job with what depends on it", &mut wrong).await?;
    comes(scene, name, SOON, "it is healthy", &mut wrong, |it| it["health"] == "healthy").await?;
    Ok(wrong)
}

const WAITING: &str = "wait-keeps-old";

async fn waits_begin(scene: &mut Scene) -> Result<()> {
    scene.publish(WAITING, vec![config_map(&scene.namespace, "old", 1)]).await?;
    scene.settle().await
}

async fn waits(scene: &mut Scene, pod: Pod) -> Result<()> {
    let case =
        Case { name: WAITING, spec: json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 0}), pod, by_hand: false };
    let mut job = job(&scene.namespace, &case);
    if pod == Pod::Completes {
        job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example.com/job:2");
    }
    let manifests = vec![job, config_map(&scene.namespace, "new", 1)];
    scene.publish_with(WAITING, manifests, Some(json!({"wait": {"timeout_seconds": 20}}))).await
}

async fn waits_end(scene: &mut Scene) -> Result<Vec<String>> {
    let old = Key::config_map(&scene.namespace, "old");
    let mut wrong = Vec::new();
    stays(Duration::from_secs(3), &mut wrong, || async {
        let is_there = scene.kube.get(&old).await?.is_some();
        Ok((!is_there).then(|| "the old revision was pruned although the Job failed".to_owned()))
    })
    .await?;
    waits(scene, Pod::Completes).await?;
    becomes(&scene.kube, &old, END, "the old revision goes once a Job completed", &mut wrong, |it| it.is_none())
        .await?;
    Ok(wrong)
}
