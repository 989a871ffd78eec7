//! Wrong and unlucky manifests, and what the status says about each: for a reader, who judges whether it says what to do.

mod kinds;
mod rules;
mod workloads;

use std::path::PathBuf;
use std::time::Duration;

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

/// A status that stays the same for so long has settled.
const SETTLED: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(75);

/// The group whose agent may touch some kinds only.
const LIMITED: &str = "limited";

/// One manifest; `__namespace__` in its texts is a namespace of its own, and `__name__` its name.
struct Unlucky {
    name: &'static str,
    /// What a person who reads the status should be able to do.
    person: &'static str,
    /// What is in the cluster before, made by an administrator.
    setup: &'static str,
    /// The revision before.
    before: &'static str,
    manifest: &'static str,
    policies: &'static str,
    then: Then,
}

/// What happens after the manifest was published.
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

/// Publishes each and writes down what the status says once it has settled. A case counts as right if its status says anything at all.
pub(super) async fn run(world: &World, write: Option<PathBuf>) -> Result<Outcome> {
    let admission = Admission::start(&world.file("unlucky")).await?;
    let (mut rounds, mut read) = (Rounds::of("unlucky"), Vec::new());
    let groups: [(&str, usize, Vec<Unlucky>); 5] = [
        ("workloads", 0, workloads::all()),
        ("rules", 0, rules::all()),
        ("kinds", 0, kinds::all()),
        (LIMITED, 0, kinds::limited()),
        // Discovery is not whole while it is there.
        ("discovery", 1, kinds::on_another_cluster()),
    ];
    for (group, cluster, cases) in groups {
        let mut scene = Scene::on(world, cluster, &format!("unlucky-{group}")).await?;
        if group == LIMITED {
            scene.replica.process = scene.replica.process.with("BROKKR__AGENT__ALLOW_KINDS", "ConfigMap,Namespace");
            scene.replica.start()?;
        }
        let mut begun = Vec::new();
        for case in &cases {
            begun.push(begin(world, &mut scene, cluster, &admission, case).await);
        }
        for (case, begun) in cases.iter().zip(begun) {
            let answer = match begun {
                Ok(Begun::Refused(answer)) => json!({"refused": answer}),
                Ok(Begun::Stack(id)) => settled(&scene, &id).await?,
                Err(error) => json!({"error": error.to_string()}),
            };
            let mut wrong = Vec::new();
            if answer.get("error").is_some() || (answer.get("refused").is_none() && answer["conditions"].is_null()) {
                wrong.push(format!("nothing to read: {answer}"));
            }
            println!(
                "unlucky {}: {}",
                case.name,
                answer["refused"].as_object().map_or_else(|| said(&answer), |it| json!(it).to_string())
            );
            read.push(entry(case, answer));
            rounds.add(case.name, wrong);
        }
        for case in &cases {
            scene
                .kube
                .delete(&Key::new(
                    "apiregistration.k8s.io",
                    "apiservices",
                    "",
                    &format!("v1.{}.example.com", case.name),
                ))
                .await?;
        }
        scene.replica.stop();
    }
    if let Some(file) = write {
        std::fs::write(&file, serde_json::to_string_pretty(&read)?)?;
        println!("written: {}", file.display());
    }
    Ok(rounds.end(Vec::new()))
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

/// What became of the publication.
enum Begun {
    /// The broker refused it, with this.
    Refused(Value),
    Stack(String),
}

async fn begin(
    world: &World,
    scene: &mut Scene,
    cluster: usize,
    admission: &Admission,
    case: &Unlucky,
) -> Result<Begun> {
    scene.kube.apply(&namespace(&case.space())).await?;
    if !case.setup.is_empty() {
        let file = world.file(&format!("{}.setup.yaml", case.name));
        let text =
            case.fill(case.setup).replace("__url__", &admission.url).replace("__authority__", &admission.authority);
        std::fs::write(&file, text)?;
        let (cluster, file) = (world.cluster(cluster)?, file.display().to_string());
        blocking(|| cluster.kubectl(&["apply", "--server-side", "--field-manager=colleague", "-f", &file]))?;
    }
    if case.name.contains("webhook") {
        admission.be(if case.name.contains("slow") { Manner::Silent } else { Manner::Deny });
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
                json!({"name": it["name"], "image": it["image"], "imageID": "", "ready": false, "restartCount": 4,
                    "state": {"waiting": {"reason": reason, "message": message}}})
            })
            .collect();
        let status = json!({"phase": "Pending", "containerStatuses": statuses});
        super::look::set_status(&scene.kube, &Key::new("", "pods", space, name), &status).await?;
    }
    Ok(())
}

/// The status once it has stayed the same for a while.
async fn settled(scene: &Scene, id: &str) -> Result<Value> {
    let begun = tokio::time::Instant::now();
    let (mut last, mut since) = (Value::Null, begun);
    while begun.elapsed() < LONGEST && (last.is_null() || since.elapsed() < SETTLED) {
        let status = scene.status(id).await?;
        if said(&status) != said(&last) || last.is_null() {
            (last, since) = (status, tokio::time::Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(last)
}
