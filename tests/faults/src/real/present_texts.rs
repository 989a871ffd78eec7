//! The texts of a status describe the present, even while its conditions keep their values.

use std::time::Duration;

use serde_json::{Value, json};

use super::look::{comes, must_apply, said, set_status};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{custom, definition};
use crate::agent::rounds::Rounds;
use crate::agent::scene::Scene;
use crate::{Outcome, Result};

const GROUP: &str = "texts.example.com";
/// Time limit for a text: the agent's interval of two seconds and a report.
const SECONDS: Duration = Duration::from_secs(10);
/// Time limit for texts that differ only in numbers, which the agent reports every ten seconds.
const COUNTED: Duration = Duration::from_secs(30);

fn condition(kind: &str, is_true: bool, reason: &str, message: &str) -> Value {
    let status = if is_true { "True" } else { "False" };
    let since = "2026-01-02T03:04:05Z";
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
}

fn is(conditions: &[Value]) -> Value {
    json!({"conditions": conditions})
}

/// The conditions of resources in sequence, with the texts that the status must and must not contain each time.
struct Moment {
    sets: Vec<(&'static str, Value)>,
    must: Vec<&'static str>,
    never: Vec<&'static str>,
}

fn moment(sets: Vec<(&'static str, Value)>, must: &[&'static str], never: &[&'static str]) -> Moment {
    Moment { sets, must: must.to_vec(), never: never.to_vec() }
}

fn stories() -> Vec<(&'static str, Vec<Moment>)> {
    let stalled = |reason, message| is(&[condition("Stalled", true, reason, message)]);
    let unready = |reason, message| is(&[condition("Ready", false, reason, message)]);
    let ready = || is(&[condition("Ready", true, "Fine", ""), condition("Stalled", false, "Fine", "")]);
    let alpha = "disk of alpha is full";
    let beta = "beta has no licence";
    vec![
        (
            "another-object",
            vec![
                moment(vec![("alpha", stalled("DiskFull", alpha)), ("beta", ready())], &["alpha", alpha], &[beta]),
                moment(
                    vec![("beta", stalled("Unlicensed", beta)), ("alpha", ready())],
                    &["beta", "Unlicensed", beta],
                    &["DiskFull", alpha],
                ),
                moment(vec![("beta", ready())], &[], &["Unlicensed", "DiskFull"]),
            ],
        ),
        (
            "another-reason",
            vec![
                moment(vec![("gamma", stalled("QuotaUsedUp", "9 of 9"))], &["gamma", "QuotaUsedUp"], &[]),
                moment(
                    vec![("gamma", stalled("CertificateExpired", "since May"))],
                    &["CertificateExpired", "since May"],
                    &["QuotaUsedUp"],
                ),
                moment(
                    vec![("gamma", stalled("KeyRevoked", "by admin"))],
                    &["KeyRevoked", "by admin"],
                    &["CertificateExpired"],
                ),
            ],
        ),
        (
            "one-more",
            vec![
                moment(
                    vec![("delta", stalled("First", "delta is broken")), ("eps", ready())],
                    &["delta is broken"],
                    &[],
                ),
                moment(vec![("eps", stalled("Second", "eps is broken"))], &["delta is broken", "eps is broken"], &[]),
                moment(vec![("delta", ready())], &["eps is broken"], &["delta is broken"]),
            ],
        ),
        (
            "on-the-way",
            vec![
                moment(vec![("zeta", unready("Provisioning", "a network is made"))], &["zeta", "Provisioning"], &[]),
                moment(
                    vec![("zeta", unready("Booting", "the kernel is loaded"))],
                    &["Booting", "kernel"],
                    &["Provisioning"],
                ),
                moment(vec![("zeta", stalled("Crashed", "it went away"))], &["Crashed"], &["Booting"]),
                moment(vec![("zeta", ready())], &[], &["Crashed", "Booting"]),
            ],
        ),
    ]
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut scene = Scene::new(world, name).await?;
    let mut rounds = Rounds::of(name);
    let mut kind = definition(GROUP, "Machine");
    kind["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = any;
    scene.publish("kinds", vec![kind]).await?;
    must_apply(&scene, "kinds").await?;
    for (stack, moments) in stories() {
        let names: std::collections::BTreeSet<&str> = moments.iter().flat_map(|it| &it.sets).map(|it| it.0).collect();
        let resources = names.iter().map(|it| custom(GROUP, "Machine", &scene.namespace, it, "1")).collect();
        scene.publish(stack, resources).await?;
        must_apply(&scene, stack).await?;
        for (number, moment) in moments.into_iter().enumerate() {
            let mut wrong = Vec::new();
            for (resource, status) in &moment.sets {
                let key = Key::new(GROUP, "machines", &scene.namespace, resource);
                set_status(&scene.kube, &key, status).await?;
            }
            let what = format!("it says {:?}, and not {:?}", moment.must, moment.never);
            comes(&scene, stack, SECONDS, &what, &mut wrong, |status| {
                let said = said(status);
                moment.must.iter().all(|it| said.contains(it)) && !moment.never.iter().any(|it| said.contains(it))
            })
            .await?;
            rounds.add(format!("{stack} {}", number + 1), wrong);
        }
    }
    rounds.add("deployment", deployment(&mut scene).await?);
    super::look::end(scene, rounds).await
}

/// A Deployment whose pods cannot run at first, although its controller has observed it.
async fn deployment(scene: &mut Scene) -> Result<Vec<String>> {
    let labels = json!({"app": "steps"});
    let mut manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "steps", "namespace": scene.namespace},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"steps": "nowhere"},
                    "containers": [{"name": "main", "image": "registry.example.com/steps:1"}],
                },
            },
        },
    });
    scene.publish("steps", vec![manifest.clone()]).await?;
    let mut wrong = Vec::new();
    comes(scene, "steps", COUNTED, "it says how many are ready, not that nobody has seen it", &mut wrong, |status| {
        let said = said(status);
        said.contains("steps") && said.contains('3') && !said.contains("not observed") && !said.contains("NotObserved")
    })
    .await?;
    // It is scaled up, and then may run.
    manifest["spec"]["replicas"] = json!(5);
    scene.publish("steps", vec![manifest.clone()]).await?;
    comes(scene, "steps", COUNTED, "it counts to 5", &mut wrong, |status| {
        let said = said(status);
        said.contains('5') && !said.contains("not observed") && !said.contains("NotObserved")
    })
    .await?;
    manifest["spec"]["template"]["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "node-1"});
    scene.publish("steps", vec![manifest]).await?;
    comes(scene, "steps", 2 * SECONDS, "it is healthy, and says nothing else", &mut wrong, |status| {
        let quiet = !said(status).contains("Deployment");
        status["health"] == "healthy" && quiet
    })
    .await?;
    Ok(wrong)
}
