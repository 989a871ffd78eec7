//! Wrong manifests and their status texts. A reader judges whether each text says what to do.

mod kinds;
mod rules;
mod workloads;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use brokkr_testbed::TestCluster;
use http::Method;
use serde_json::{Value, json};

use super::files::File;
use super::look::{blocking, said};
use crate::agent::World;
use crate::agent::admission::{Admission, Manner};
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, namespace};
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::Scene;
use crate::{Outcome, Result};

/// A status that stays unchanged for this time is final.
const SETTLED: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(75);

/// The group whose agent may write some kinds only.
const LIMITED: &str = "limited";

/// One manifest; `__namespace__` in its texts is a namespace of its own, and `__name__` its name.
struct Unlucky {
    name: &'static str,
    /// The remedy that the status should suggest.
    person: &'static str,
    /// What is in the cluster before, made by an administrator.
    setup: &'static str,
    /// The revision before.
    before: &'static str,
    manifest: &'static str,
    policies: &'static str,
    then: Then,
}

/// What happens after the publication.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// The stack is deleted.
    Remove,
    /// Somebody deletes the namespace before the manifest is published.
    NamespaceGoes,
    /// The kubelet says of the pods that they wait, for this reason and with this message.
    PodsWait(&'static str, &'static str),
}

impl Unlucky {
    const fn new(name: &'static str, person: &'static str, manifest: &'static str) -> Self {
        Self { name, person, setup: "", before: "", manifest, policies: "{}", then: Then::Nothing }
    }

    const fn setup(self, setup: &'static str) -> Self {
        Self { setup, ..self }
    }

    const fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    const fn policies(self, policies: &'static str) -> Self {
        Self { policies, ..self }
    }

    const fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn space(&self) -> String {
        format!("unlucky-{}", self.name)
    }

    fn fill(&self, text: &str) -> String {
        text.replace("__namespace__", &self.space()).replace("__name__", self.name)
    }
}

/// Webhooks that the cases' configurations point at.
struct Webhooks {
    denying: Admission,
    silent: Admission,
}

/// Parts of Kubernetes' messages that tell a reader nothing.
const NOISE: [&str; 8] = [
    "typed patch object",
    "valueUnstructured",
    "not declared in schema",
    "regex used for validation",
    "preemption:",
    "failed calling webhook",
    "\n",
    "@@",
];

/// Returns what is wrong with the texts of a status: they contain noise, or a trouble without a remedy.
fn wrong_texts(status: &Value) -> Option<String> {
    let said = said(status);
    if let Some(noise) = NOISE.iter().find(|it| said.contains(**it)) {
        return Some(format!("it contains {noise:?}: {said}"));
    }
    let is_applied = super::look::condition(status, "Applied").is_some_and(|it| it["status"] == "True");
    let is_fine = status["health"] == "healthy" && is_applied;
    (!is_fine && !said.contains("Fix: ")).then(|| format!("it names no remedy: {said}"))
}

/// Publishes each manifest and records its final status. A case counts as right if the status is not empty, names a
/// remedy for each trouble, and repeats no noise.
pub(super) async fn run(world: &World, write: Option<PathBuf>) -> Result<Outcome> {
    let [denying, silent] = ["denying", "silent"].map(|it| world.file(&format!("unlucky-{it}")));
    let webhooks = Webhooks { denying: Admission::start(&denying).await?, silent: Admission::start(&silent).await? };
    webhooks.denying.be(Manner::Deny);
    webhooks.silent.be(Manner::Silent);
    let hooks = &webhooks;
    let groups = tokio::try_join!(
        group(world, hooks, "workloads", 0, workloads::all()),
        group(world, hooks, "rules", 0, rules::all()),
        group(world, hooks, "kinds", 0, kinds::all()),
        group(world, hooks, LIMITED, 0, kinds::limited()),
        // Discovery is not whole while it is there.
        group(world, hooks, "discovery", 1, kinds::on_another_cluster()),
    )?;
    let (mut rounds, mut read) = (Rounds::of("unlucky"), Vec::new());
    for (case, answer) in [groups.0, groups.1, groups.2, groups.3, groups.4].into_iter().flatten() {
        let (refused, is_error) = (answer.get("refused"), answer.get("error").is_some());
        println!("unlucky {}: {}", case.name, refused.map_or_else(|| said(&answer), Value::to_string));
        let is_empty = is_error || (refused.is_none() && answer["conditions"].is_null());
        let wrong = match is_empty {
            true => Some(format!("nothing to read: {answer}")),
            false if refused.is_some() => None,
            false => wrong_texts(&answer),
        };
        rounds.add(case.name, wrong.into_iter().collect());
        read.push(entry(&case, answer));
    }
    if let Some(file) = write {
        std::fs::write(&file, serde_json::to_string_pretty(&read)?)?;
        println!("written: {}", file.display());
    }
    Ok(rounds.end(Vec::new()))
}

/// Cases on one cluster, with an agent of their own.
async fn group(
    world: &World,
    webhooks: &Webhooks,
    name: &str,
    cluster: usize,
    cases: Vec<Unlucky>,
) -> Result<Vec<(Unlucky, Value)>> {
    let mut scene = Scene::on(world, cluster, &format!("unlucky-{name}")).await?;
    if name == LIMITED {
        scene.replica.process = scene.replica.process.env("BROKKR__AGENT__ALLOW_KINDS", "ConfigMap,Namespace");
        scene.replica.start()?;
    }
    let mut begun = Vec::new();
    for case in &cases {
        begun.push(begin(world, &mut scene, cluster, webhooks, case).await);
    }
    let ids = begun.iter().filter_map(|it| if let Ok(Begun::Stack(id)) = it { Some(id.as_str()) } else { None });
    let mut statuses = settled(&scene, ids).await?;
    let answers = begun.iter().map(|begun| match begun {
        Ok(Begun::Refused(answer)) => json!({"refused": answer}),
        Ok(Begun::Stack(id)) => statuses.remove(id.as_str()).unwrap_or_default(),
        Err(error) => json!({"error": error.to_string()}),
    });
    let answers: Vec<Value> = answers.collect();
    scene.replica.stop();
    Ok(cases.into_iter().zip(answers).collect())
}

fn entry(case: &Unlucky, answer: Value) -> Value {
    let then = match case.then {
        Then::Nothing => String::new(),
        Then::Remove => "the stack was deleted".to_owned(),
        Then::NamespaceGoes => "somebody had deleted the namespace".to_owned(),
        Then::PodsWait(reason, message) => format!("the kubelet says of the pods: {reason} {message}"),
    };
    json!({
        "name": case.name,
        "should_be_able_to": case.person,
        "cluster_before": case.fill(case.setup),
        "revision_before": case.fill(case.before),
        "manifest": case.fill(case.manifest),
        "policies": case.policies,
        "then": then,
        "answer": answer,
    })
}

/// The result of the publication.
enum Begun {
    /// The broker refused it, with this.
    Refused(Value),
    Stack(String),
}

async fn begin(world: &World, scene: &mut Scene, cluster: usize, webhooks: &Webhooks, case: &Unlucky) -> Result<Begun> {
    scene.kube.apply(&namespace(&case.space())).await?;
    if !case.setup.is_empty() {
        let file = world.file(&format!("{}.setup.yaml", case.name));
        let mut text = case.fill(case.setup);
        for (name, admission) in [("denying", &webhooks.denying), ("silent", &webhooks.silent)] {
            text = text.replace(&format!("__{name}_url__"), &admission.url);
            text = text.replace(&format!("__{name}_authority__"), &admission.authority);
        }
        std::fs::write(&file, text)?;
        let (cluster, file) = (world.cluster(cluster)?, file.display().to_string());
        blocking(|| cluster.kubectl(&["apply", "--server-side", "--field-manager=colleague", "-f", &file]))?;
        if case.setup.contains("kind: ValidatingAdmissionPolicy") {
            in_force(world, cluster, case).await?;
        }
    }
    let policies: Value = serde_json::from_str(case.policies)?;
    if case.name == "of-another-stack" {
        let held = config_map("unlucky-holder", "shared", "one");
        scene.publish("holder", vec![namespace("unlucky-holder"), held]).await?;
        super::look::must_apply(scene, "holder").await?;
    }
    if !case.before.is_empty() {
        let file = File::new(case.name, case.fill(case.before));
        file.publish(scene, &policies).await?;
        super::look::must_apply(scene, case.name).await?;
    }
    if case.then == Then::NamespaceGoes {
        let held = json!({"metadata": {"finalizers": ["colleague.example.com/hold"]}});
        scene.kube.merge(&Key::config_map(&case.space(), "held"), &held).await?;
        scene.kube.delete(&Key::namespace(&case.space())).await?;
    }
    let text = case.fill(case.manifest);
    let text = if case.name == "too-large" { large(&case.space()) } else { text };
    if let Err(error) = File::new(case.name, text).publish(scene, &policies).await {
        return Ok(Begun::Refused(json!({"status": error.to_string()})));
    }
    let id = scene.id(case.name);
    match case.then {
        Then::Remove => {
            super::look::must_apply(scene, case.name).await?;
            scene.delete(case.name).await?;
        }
        Then::PodsWait(reason, message) => pods_wait(scene, &case.space(), reason, message).await?,
        Then::Nothing | Then::NamespaceGoes => {}
    }
    Ok(Begun::Stack(id))
}

/// The API server takes a moment until it judges by a policy: then it refuses the manifest.
async fn in_force(world: &World, cluster: &TestCluster, case: &Unlucky) -> Result<()> {
    let file = world.file(&format!("{}.yaml", case.name));
    std::fs::write(&file, case.fill(case.manifest))?;
    let file = file.display().to_string();
    let refused = eventually(Duration::from_secs(30), || async {
        Ok(blocking(|| cluster.kubectl(&["apply", "--server-side", "--dry-run=server", "-f", &file])).is_err())
    });
    if refused.await? { Ok(()) } else { Err("the policy is not in force".into()) }
}

/// Taken by the broker; with what the API server writes down about its fields it is larger than etcd takes.
fn large(namespace: &str) -> String {
    let mut text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: large\n  namespace: {namespace}\ndata:\n");
    let padding = "x".repeat(60);
    for number in 0..14_000 {
        text.push_str(&format!("  {padding}{number:05}: \"\"\n"));
    }
    text
}

async fn pods_wait(scene: &Scene, space: &str, reason: &str, message: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{space}/pods");
    let pods = || async { scene.kube.0.send(Method::GET, &path, None).await };
    let there = eventually(Duration::from_secs(20), || async {
        Ok(pods().await?["items"].as_array().is_some_and(|it| !it.is_empty()))
    });
    if !there.await? {
        return Err("there are no pods".into());
    }
    for pod in pods().await?["items"].as_array().into_iter().flatten() {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let statuses: Vec<Value> = containers
            .map(|it| {
                let exit = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
                let last = if reason == "CrashLoopBackOff" { exit } else { json!({}) };
                json!({"name": it["name"], "image": it["image"], "imageID": "", "ready": false, "restartCount": 4,
                    "state": {"waiting": {"reason": reason, "message": message}}, "lastState": last})
            })
            .collect();
        let status = json!({"phase": "Pending", "containerStatuses": statuses});
        super::look::set_status(&scene.kube, &Key::new("", "pods", space, name), &status).await?;
    }
    Ok(())
}

/// Waits for the final statuses of stacks.
async fn settled<'a>(scene: &Scene, ids: impl Iterator<Item = &'a str>) -> Result<BTreeMap<&'a str, Value>> {
    let begun = tokio::time::Instant::now();
    let mut last: BTreeMap<&str, (Value, tokio::time::Instant)> = ids.map(|id| (id, (Value::Null, begun))).collect();
    loop {
        for (id, (status, since)) in &mut last {
            let now = scene.status(id).await?;
            if said(&now) != said(status) || status.is_null() {
                (*status, *since) = (now, tokio::time::Instant::now());
            }
        }
        let is_settled = last.values().all(|(_, since)| since.elapsed() >= SETTLED);
        if is_settled || begun.elapsed() >= LONGEST {
            return Ok(last.into_iter().map(|(id, (status, _))| (id, status)).collect());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
