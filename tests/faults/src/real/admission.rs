//! Revisions that change the rules for their own objects: a definition, a policy, a webhook, a quota, a limit, a class.

use std::time::Duration;

use serde_json::{Value, json};

use super::look::{Until, becomes, is_applied, must_apply, no_failures};
use crate::agent::World;
use crate::agent::admission::{Admission, Manner};
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, custom, definition, labelled, namespace};
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const GROUP: &str = "own.example.com";
/// Time limit for retries: controllers and caches of the API server need seconds.
const BY_ITSELF: Duration = Duration::from_secs(40);

/// Two revisions of a stack. The API server accepts the second one only by its own rules.
struct Case {
    name: &'static str,
    first: Vec<Value>,
    second: Vec<Value>,
    /// Whether there need not be a failure on the way: where the API server is in force at once.
    is_at_once: bool,
}

/// A definition of a kind whose only field has this schema.
fn kind(name: &str, field: Value) -> Value {
    let mut kind = definition(GROUP, name);
    let properties = json!({"spec": {"type": "object", "properties": field}});
    kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] = properties;
    kind
}

fn resource(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    let mut resource = custom(GROUP, kind, namespace, name, "");
    resource["spec"] = spec;
    resource
}

/// A pair of existing objects beside, so that the second revision updates several.
fn beside(namespace: &str, name: &str, value: u64) -> Vec<Value> {
    vec![config_map(namespace, &format!("{name}-a"), value), config_map(namespace, &format!("{name}-b"), value)]
}

fn definitions(namespace: &str) -> Vec<Case> {
    let case = |name: &'static str, kind_name: &str, fields: [Value; 2], specs: [Value; 2]| {
        let revision = |n: usize| -> Vec<Value> {
            let mut all = vec![kind(kind_name, fields[n].clone())];
            all.extend(["x", "y"].map(|it| resource(kind_name, namespace, it, specs[n].clone())));
            all.extend(beside(namespace, name, n as u64));
            all
        };
        Case { name, first: revision(0), second: revision(1), is_at_once: true }
    };
    let text = |values: &[&str]| json!({"colour": {"type": "string", "enum": values}});
    let number = |most: u64| json!({"size": {"type": "integer", "maximum": most}});
    vec![
        case(
            "enum-wider",
            "Paint",
            [text(&["red", "blue"]), text(&["red", "blue", "green"])],
            [json!({"colour": "red"}), json!({"colour": "green"})],
        ),
        case(
            "enum-other",
            "Ink",
            [text(&["red"]), text(&["black"])],
            [json!({"colour": "red"}), json!({"colour": "black"})],
        ),
        case("maximum", "Tank", [number(10), number(500)], [json!({"size": 10}), json!({"size": 499})]),
        case(
            "new-field",
            "Wall",
            [number(10), json!({"size": {"type": "integer"}, "doors": {"type": "array", "items": {"type": "string"}}})],
            [json!({"size": 1}), json!({"size": 2, "doors": ["front"]})],
        ),
        case(
            "pattern",
            "Rope",
            [
                json!({"length": {"type": "string", "pattern": "^[0-9]+m$"}}),
                json!({"length": {"type": "string", "pattern": "^[0-9]+(m|cm)$"}}),
            ],
            [json!({"length": "7m"}), json!({"length": "70cm"})],
        ),
        case(
            "rule",
            "Gate",
            [
                json!({"width": {"type": "integer", "x-kubernetes-validations": [{"rule": "self % 2 == 0"}]}}),
                json!({"width": {"type": "integer", "x-kubernetes-validations": [{"rule": "self % 2 == 1"}]}}),
            ],
            [json!({"width": 4}), json!({"width": 5})],
        ),
    ]
}

fn policy(namespace: &str, most: u64) -> Vec<Value> {
    let name = format!("{namespace}-policy");
    vec![
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "objectSelector": {"matchLabels": {"judged": "yes"}},
                    "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}],
                },
                "validations": [{"expression": format!("int(object.data.k) <= {most}"), "message": format!("at most {most}")}],
            },
        }),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }),
    ]
}

fn others(space: &str) -> Vec<Case> {
    let with = |name: &str, value: u64, more: Vec<Value>| [beside(space, name, value), more].concat();
    let case = |name: &'static str, first: Vec<Value>, second: Vec<Value>| Case {
        name,
        first: with(name, 1, first),
        second: with(name, 2, second),
        is_at_once: false,
    };
    let judged = |value: u64| vec![labelled(config_map(space, "judged", value), "judged", "yes")];
    let quota = |ports: &str| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "ports", "namespace": space},
            "spec": {"hard": {"services.nodeports": ports}}})
    };
    let service = |kind: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "open", "namespace": space},
            "spec": {"type": kind, "selector": {"app": "open"}, "ports": [{"port": 80}]}})
    };
    let range = |most: &str| {
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range", "namespace": space},
            "spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": most}}]}})
    };
    let claim = |size: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "large", "namespace": space},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": size}}}})
    };
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": format!("{space}-urgent")}, "value": 7});
    let mut pod = pod(space, "urgent");
    pod["spec"]["priorityClassName"] = class["metadata"]["name"].clone();
    let inner = format!("{space}-strict");
    let strict = |level: &str| labelled(namespace(&inner), "pod-security.kubernetes.io/enforce", level);
    let mut open = self::pod(&inner, "open");
    open["spec"]["hostNetwork"] = json!(true);
    vec![
        case("policy", [policy(space, 10), judged(3)].concat(), [policy(space, 100), judged(50)].concat()),
        case("quota", vec![quota("0"), service("ClusterIP")], vec![quota("3"), service("NodePort")]),
        case("limit-range", vec![range("1Gi")], vec![range("9Gi"), claim("5Gi")]),
        case("priority-class", vec![], vec![class, pod]),
        case("pod-security", vec![strict("restricted")], vec![strict("privileged"), open]),
    ]
}

fn pod(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/main:1"}], "terminationGracePeriodSeconds": 0},
    })
}

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut scene = Scene::new(world, name).await?;
    let mut rounds = Rounds::of(name);
    let cases: Vec<Case> = definitions(&scene.namespace).into_iter().chain(others(&scene.namespace)).collect();
    for case in &cases {
        scene.publish(case.name, case.first.clone()).await?;
    }
    let webhook = Webhook::begin(world, &mut scene, name).await?;
    scene.settle().await?;
    policy_in_force(&scene).await?;
    for case in &cases {
        scene.publish(case.name, case.second.clone()).await?;
    }
    webhook.second(&mut scene).await?;
    let until = Until::within(BY_ITSELF);
    for case in &cases {
        let mut wrong = Vec::new();
        is_applied(&scene, case.name, until.left(), "the second revision", &mut wrong).await?;
        if case.is_at_once {
            no_failures(&scene, case.name, &mut wrong).await?;
        }
        rounds.add(case.name, wrong);
    }
    let mut wrong = Vec::new();
    is_applied(&scene, WEBHOOK, until.left(), "the second revision", &mut wrong).await?;
    rounds.add(WEBHOOK, wrong);
    rounds.add("still-refused", still_refused(&mut scene).await?);
    super::look::end(scene, rounds).await
}

/// Waits until the API server enforces a policy.
async fn policy_in_force(scene: &Scene) -> Result<()> {
    let probe = labelled(config_map(&scene.namespace, "judged", 77), "judged", "yes");
    let path = format!("{}?fieldManager=human&force=true&dryRun=All", Key::of(&probe).path());
    let in_force = eventually(BY_ITSELF, || async {
        let kind = "application/apply-patch+yaml";
        Ok(scene.kube.0.ask(http::Method::PATCH, &path, kind, Some(&probe)).await?.0 == 422)
    });
    if in_force.await? { Ok(()) } else { Err("the policy is not in force".into()) }
}

const WEBHOOK: &str = "webhook";

struct Webhook {
    admission: Admission,
}

impl Webhook {
    fn revision(&self, space: &str, is_asked: bool, value: u64) -> Vec<Value> {
        let mut configuration = self.admission.configuration(space, "", "configmaps", &["CREATE", "UPDATE"]);
        if !is_asked {
            configuration["webhooks"][0]["objectSelector"] = json!({"matchLabels": {"hooked": "never"}});
        }
        let hooked = labelled(config_map(space, "hooked", value), "hooked", "yes");
        [beside(space, WEBHOOK, value), vec![configuration, hooked]].concat()
    }

    async fn begin(world: &World, scene: &mut Scene, name: &str) -> Result<Self> {
        let webhook = Self { admission: Admission::start(&world.file(name)).await? };
        scene.publish(WEBHOOK, webhook.revision(&scene.namespace, true, 1)).await?;
        must_apply(scene, WEBHOOK).await?;
        Ok(webhook)
    }

    /// It denies from now on; the second revision does not ask it any more.
    async fn second(&self, scene: &mut Scene) -> Result<()> {
        self.admission.be(Manner::Deny);
        scene.publish(WEBHOOK, self.revision(&scene.namespace, false, 2)).await
    }
}

/// An object that the new rules also refuse stays refused, and the valid objects are not written first.
async fn still_refused(scene: &mut Scene) -> Result<Vec<String>> {
    let space = scene.namespace.clone();
    let text = |values: &[&str]| kind("Paint", json!({"colour": {"type": "string", "enum": values}}));
    let paint = |colour: &str| ["x", "y"].map(|it| resource("Paint", &space, it, json!({"colour": colour}))).to_vec();
    let mut wrong = Vec::new();
    scene.publish("enum-wider", [vec![text(&["red", "green", "white"])], paint("pink")].concat()).await?;
    let id = scene.id("enum-wider");
    must(&mut wrong, scene.reports(&id, &["pink"]).await?, "what is refused is not told");
    scene.publish("enum-wider", [vec![text(&["red", "green", "white"])], paint("white")].concat()).await?;
    let key = Key::new(GROUP, "paints", &space, "y");
    becomes(&scene.kube, &key, BY_ITSELF, "it is white", &mut wrong, |it| {
        it.is_some_and(|it| it["spec"]["colour"] == "white")
    })
    .await?;
    Ok(wrong)
}
