//! Published files: publishes one as a stack, and compares the cluster with the result of kubectl.

use std::time::Duration;

use brokkr_core::manifest::ManifestSet;
use http::Method;
use serde_json::{Value, json};

use super::look::{blocking, live};
use crate::Result;
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::scene::{Scene, Told};

/// A file as its own stack.
pub(super) struct File {
    pub(super) stack: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn new(stack: &str, text: impl Into<String>) -> Self {
        Self { stack: stack.to_owned(), text: text.into() }
    }

    /// Publishes the file unchanged and targets it at the scene's agent. Returns the number of objects.
    pub(super) async fn publish(&self, scene: &mut Scene, policies: &Value) -> Result<u64> {
        // Only for the names of what the agent may touch.
        if let Ok(set) = ManifestSet::parse_yaml(self.text.as_bytes()) {
            scene.ever.extend(set.objects().iter().map(|it| Key::of(&Value::Object(it.body().clone()))));
        }
        let path = format!("/stacks/by-name/{}", scene.full(&self.stack));
        let answer = scene.broker.send(Method::PUT, &path, Some(&json!({"policies": policies}))).await?;
        let id = answer["stack"]["id"].as_str().ok_or("no id of the stack")?.to_owned();
        let path = format!("/stacks/{id}/deployment-objects");
        let (status, object) =
            scene.broker.ask_text(Method::POST, &path, "application/yaml", Some(self.text.clone())).await?;
        if !(200..300).contains(&status) {
            return Err(format!("{} is refused: {status} {object}", self.stack).into());
        }
        if scene.known.insert(id.clone()) {
            scene.broker.send(Method::PUT, &format!("/stacks/{id}/targets/{}", scene.agent), None).await?;
        }
        let revision = object["revision"].as_u64().ok_or("no revision")?;
        scene.stacks.insert(self.stack.clone(), Told { id, revision, manifests: Vec::new() });
        Ok(object["object_count"].as_u64().unwrap_or_default())
    }

    /// The result of kubectl's server-side dry run with the agent's field manager.
    pub(super) fn as_kubectl(&self, world: &World, scene: &Scene) -> Result<Vec<Value>> {
        let file = world.file(&format!("{}.yaml", scene.full(&self.stack)));
        std::fs::write(&file, &self.text)?;
        let (file, manager) =
            (file.display().to_string(), format!("--field-manager={}", scene.replica.process.manager()));
        let words =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", &manager, "-o", "json", "-f", &file];
        let cluster = world.cluster(0)?;
        let text = blocking(|| cluster.kubectl(&words))?;
        let mut answer: Value = serde_json::from_str(&text)?;
        Ok(match answer.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => std::mem::take(items),
            None => vec![answer],
        })
    }

    /// The differences between the cluster and kubectl's result.
    pub(super) async fn differences(&self, world: &World, scene: &Scene) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let expected = match self.as_kubectl(world, scene) {
            Ok(expected) => expected,
            Err(error) => return Ok(vec![format!("kubectl does not take it any more: {error}")]),
        };
        for object in expected {
            let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
            match live(&scene.kube, &object).await? {
                None => wrong.push(format!("{name} is not there")),
                Some(live) => {
                    let (live, object) = (content(live), content(object));
                    if live != object {
                        wrong.push(format!("{name} differs: {}", difference("", &live, &object)));
                    }
                }
            }
        }
        Ok(wrong)
    }

    /// The objects that the cluster still contains.
    pub(super) async fn left(&self, scene: &Scene, objects: &[Value], within: Duration) -> Result<Vec<String>> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let mut left = Vec::new();
            for object in objects {
                let live = live(&scene.kube, object).await?;
                if let Some(live) = live.filter(|it| !is_aggregated_anew(it)) {
                    let deleting = &live["metadata"]["deletionTimestamp"];
                    left.push(format!(
                        "{} {} is there (deleted at {deleting})",
                        object["kind"], object["metadata"]["name"]
                    ));
                }
            }
            if left.is_empty() || tokio::time::Instant::now() >= deadline {
                return Ok(left);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Whether the controller that aggregates ClusterRoles made this one. It applies the rules without a UID, so it creates a
/// role that was deleted a moment ago.
fn is_aggregated_anew(live: &Value) -> bool {
    let managers = live["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    !managers.is_empty() && managers.iter().all(|it| it["manager"] == "clusterrole-aggregation-controller")
}

/// The desired fields: without those of the server and the agent's labels and annotations.
fn content(mut object: Value) -> Value {
    if let Some(it) = object.as_object_mut() {
        it.remove("status");
    }
    // A controller fills what is aggregated.
    if let Some(role) = object.as_object_mut().filter(|it| it.contains_key("aggregationRule")) {
        role.remove("rules");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.remove(field);
        }
        for field in ["labels", "annotations"] {
            if let Some(map) = metadata.get_mut(field).and_then(Value::as_object_mut) {
                map.retain(|key, _| !key.starts_with("brokkr.io/") && !key.starts_with("applyset.kubernetes.io/"));
                // What controllers write meanwhile.
                map.retain(|key, _| key != "deployment.kubernetes.io/revision");
                if map.is_empty() {
                    metadata.remove(field);
                }
            }
        }
    }
    object
}

/// The path and values of the first difference.
fn difference(at: &str, there: &Value, expected: &Value) -> String {
    match (there, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let differs = a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key));
            let Some(key) = differs else { return String::new() };
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            difference(&format!("{at}.{key}"), &of(a), &of(b))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let differs = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or_default();
            difference(&format!("{at}[{differs}]"), &a[differs], &b[differs])
        }
        _ => format!("{at} is {there}, and kubectl makes {expected}"),
    }
}
