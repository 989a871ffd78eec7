//! Replicas that people and autoscalers set through the `scale` subresource, beside those of the manifest.

use std::time::Duration;

use serde_json::{Value, json};

use super::look::{SOON, becomes, blocking, brief, comes, is_applied, must_apply, said, stays};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, custom, definition, labelled};
use crate::agent::rounds::Rounds;
use crate::agent::scene::Scene;
use crate::{Outcome, Result};

const GROUP: &str = "scaled.example.com";
const HOLD: Duration = Duration::from_secs(6);
const FIELD: &str = ".spec.replicas";

/// A kind with a `scale` subresource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deployment,
    StatefulSet,
    ReplicaSet,
    Custom,
}

impl Kind {
    fn manifest(self, namespace: &str, name: &str, replicas: u64, note: &str) -> Value {
        let labels = json!({"app": name});
        let mut manifest = match self {
            Self::Custom => {
                let mut it = custom(GROUP, "Squad", namespace, name, "");
                it["spec"] = json!({});
                it
            }
            _ => json!({
                "apiVersion": "apps/v1",
                "kind": match self {
                    Self::StatefulSet => "StatefulSet",
                    Self::ReplicaSet => "ReplicaSet",
                    _ => "Deployment",
                },
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "main", "image": "registry.example.com/main:1"}]},
                    },
                },
            }),
        };
        if self == Self::StatefulSet {
            manifest["spec"]["serviceName"] = json!(name);
            manifest["spec"]["podManagementPolicy"] = json!("Parallel");
        }
        manifest["spec"]["replicas"] = json!(replicas);
        labelled(manifest, "note", note)
    }

    fn key(self, namespace: &str, name: &str) -> Key {
        Key::of(&self.manifest(namespace, name, 0, ""))
    }

    /// As kubectl calls it.
    fn word(self) -> String {
        match self {
            Self::Deployment => "deployment".to_owned(),
            Self::StatefulSet => "statefulset".to_owned(),
            Self::ReplicaSet => "replicaset".to_owned(),
            Self::Custom => format!("squads.{GROUP}"),
        }
    }
}

struct Check<'a> {
    world: &'a World,
    scene: Scene,
}

impl Check<'_> {
    fn scale(&self, kind: Kind, name: &str, replicas: u64) -> Result<()> {
        let cluster = self.world.cluster(0)?;
        let number = format!("--replicas={replicas}");
        blocking(|| cluster.kubectl(&["scale", &kind.word(), name, &number, "-n", &self.scene.namespace])).map(drop)
    }

    async fn publish(&mut self, kind: Kind, name: &str, replicas: u64, note: &str, more: &[Value]) -> Result<()> {
        let manifest = kind.manifest(&self.scene.namespace, name, replicas, note);
        self.scene.publish(name, [vec![manifest], more.to_vec()].concat()).await
    }

    async fn has(&self, kind: Kind, name: &str, replicas: u64, wrong: &mut Vec<String>) -> Result<()> {
        let key = kind.key(&self.scene.namespace, name);
        let what = format!("it has {replicas} replicas");
        becomes(&self.scene.kube, &key, SOON, &what, wrong, |it| {
            it.is_some_and(|it| it["spec"]["replicas"] == replicas)
        })
        .await
    }

    /// Checks that the number stays, and that the status names object and field.
    async fn keeps(&self, kind: Kind, name: &str, replicas: u64, wrong: &mut Vec<String>) -> Result<()> {
        let key = kind.key(&self.scene.namespace, name);
        let scene = &self.scene;
        stays(HOLD, wrong, || async {
            let there = scene.kube.get(&key).await?.map(|it| it["spec"]["replicas"].clone()).unwrap_or_default();
            Ok((there != replicas).then(|| format!("{replicas} were set by hand, and it has {there}")))
        })
        .await
    }

    async fn tells(&self, name: &str, wrong: &mut Vec<String>) -> Result<()> {
        let what = format!("the status names {name} and {FIELD}");
        comes(&self.scene, name, SOON, &what, wrong, |status| {
            let said = said(status);
            said.contains(name) && said.contains(FIELD)
        })
        .await
    }

    /// Scaled by hand: an unchanged number in the manifest has no effect, a changed one takes effect.
    async fn by_hand(&mut self, kind: Kind, name: &str) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        self.publish(kind, name, 2, "1", &[]).await?;
        must_apply(&self.scene, name).await?;
        self.has(kind, name, 2, &mut wrong).await?;
        self.scale(kind, name, 5)?;
        self.tells(name, &mut wrong).await?;
        self.publish(kind, name, 2, "2", &[]).await?;
        is_applied(&self.scene, name, SOON, "a revision with the same number", &mut wrong).await?;
        self.keeps(kind, name, 5, &mut wrong).await?;
        self.tells(name, &mut wrong).await?;
        self.publish(kind, name, 4, "2", &[]).await?;
        is_applied(&self.scene, name, SOON, "a revision with another number", &mut wrong).await?;
        self.has(kind, name, 4, &mut wrong).await?;
        comes(&self.scene, name, SOON, "no field is left to others any more", &mut wrong, |it| {
            !said(it).contains(FIELD)
        })
        .await?;
        Ok(wrong)
    }

    /// Scaled to zero, which behaves like any other number.
    async fn scaled_to_zero(&mut self, kind: Kind, name: &str) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        self.publish(kind, name, 3, "1", &[]).await?;
        must_apply(&self.scene, name).await?;
        self.has(kind, name, 3, &mut wrong).await?;
        self.scale(kind, name, 0)?;
        self.keeps(kind, name, 0, &mut wrong).await?;
        self.tells(name, &mut wrong).await?;
        self.publish(kind, name, 3, "2", &[config_map(&self.scene.namespace, &format!("{name}-beside"), 1)]).await?;
        is_applied(&self.scene, name, SOON, "a revision with the same number", &mut wrong).await?;
        self.keeps(kind, name, 0, &mut wrong).await?;
        self.publish(kind, name, 1, "2", &[]).await?;
        self.has(kind, name, 1, &mut wrong).await?;
        Ok(wrong)
    }

    /// With an autoscaler, the number in a revision has no effect, and the status reports it.
    async fn autoscaled(&mut self, name: &str, is_ours: bool) -> Result<Vec<String>> {
        let (kind, mut wrong) = (Kind::Deployment, Vec::new());
        let autoscaler = autoscaler(&self.scene.namespace, name);
        let more = if is_ours { vec![autoscaler.clone()] } else { Vec::new() };
        if !is_ours {
            let cluster = self.world.cluster(0)?;
            blocking(|| cluster.apply(&autoscaler))?;
        }
        self.publish(kind, name, 2, "1", &more).await?;
        must_apply(&self.scene, name).await?;
        self.scale(kind, name, 3)?;
        self.keeps(kind, name, 3, &mut wrong).await?;
        self.publish(kind, name, 4, "2", &more).await?;
        is_applied(&self.scene, name, SOON, "a revision with another number", &mut wrong).await?;
        self.keeps(kind, name, 3, &mut wrong).await?;
        self.tells(name, &mut wrong).await?;
        Ok(wrong)
    }

    /// An edit of the object itself is drift.
    async fn edited(&mut self, name: &str) -> Result<Vec<String>> {
        let (kind, mut wrong) = (Kind::Deployment, Vec::new());
        self.publish(kind, name, 2, "1", &[]).await?;
        must_apply(&self.scene, name).await?;
        let key = kind.key(&self.scene.namespace, name);
        self.scene.kube.merge(&key, &json!({"spec": {"replicas": 6}})).await?;
        self.has(kind, name, 2, &mut wrong).await?;
        let status = self.scene.status(&self.scene.id(name)).await?;
        if said(&status).contains(FIELD) {
            wrong.push(format!("a corrected field counts as left to others: {}", brief(&status)));
        }
        Ok(wrong)
    }
}

/// An autoscaler. Without metrics it keeps every number between its bounds.
fn autoscaler(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 9,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}],
        },
    })
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let begin = |part: &'static str| async move {
        Ok::<_, crate::BoxedError>(Check { world, scene: Scene::new(world, &format!("{name}-{part}")).await? })
    };
    let cluster = world.cluster(0)?;
    blocking(|| cluster.apply(&squads()))?;
    let (mut hand, mut zero, mut others) = (begin("hand").await?, begin("zero").await?, begin("others").await?);
    let by_hand = async {
        let mut rounds = Rounds::of(name);
        rounds.add("deployment", hand.by_hand(Kind::Deployment, "hand-deployment").await?);
        rounds.add("stateful-set", hand.by_hand(Kind::StatefulSet, "hand-set").await?);
        rounds.add("custom", hand.by_hand(Kind::Custom, "hand-squad").await?);
        super::look::end(hand.scene, rounds).await
    };
    let to_zero = async {
        let mut rounds = Rounds::of(name);
        rounds.add("deployment-zero", zero.scaled_to_zero(Kind::Deployment, "zero-deployment").await?);
        rounds.add("stateful-set-zero", zero.scaled_to_zero(Kind::StatefulSet, "zero-set").await?);
        rounds.add("replica-set-zero", zero.scaled_to_zero(Kind::ReplicaSet, "zero-replica-set").await?);
        rounds.add("custom-zero", zero.scaled_to_zero(Kind::Custom, "zero-squad").await?);
        super::look::end(zero.scene, rounds).await
    };
    let with_others = async {
        let mut rounds = Rounds::of(name);
        rounds.add("autoscaler-ours", others.autoscaled("auto-ours", true).await?);
        rounds.add("autoscaler-theirs", others.autoscaled("auto-theirs", false).await?);
        rounds.add("edited", others.edited("edited").await?);
        super::look::end(others.scene, rounds).await
    };
    let outcomes: [Outcome; 3] = tokio::try_join!(by_hand, to_zero, with_others)?.into();
    let (survived, tried) = outcomes.iter().fold((0, 0), |sum, it| (sum.0 + it.survived, sum.1 + it.tried));
    Ok(Outcome { survived, tried })
}

/// A kind whose number of replicas is scaled, made by an administrator.
fn squads() -> Value {
    let mut kind = definition(GROUP, "Squad");
    kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] =
        json!({"type": "object", "properties": {"replicas": {"type": "integer"}}});
    let paths = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
    kind["spec"]["versions"][0]["subresources"] = json!({"scale": paths});
    kind
}
