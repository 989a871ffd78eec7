//! The checks after every fault: the writes in the API server's audit log, and the objects in the cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::key::Key;
use super::manifests::holds;
use super::replica::Write;
use super::scene::Scene;
use crate::Result;

/// The namespace of the agents' own records.
const RECORDS: &str = "brokkr-system";

impl Scene {
    /// Writes of objects that were never targeted at the agent and are not its own records.
    pub(super) fn strayed(&self, writes: &[Write]) -> Vec<String> {
        let stray = |write: &&Write| !self.ever.contains(&write.key) && !self.is_record(&write.key);
        writes.iter().filter(stray).map(|write| format!("a write of another object: {write}")).collect()
    }

    /// Whether the object is the agent's namespace, its watermark, its Lease, or an inventory of a stack that was targeted at it.
    fn is_record(&self, key: &Key) -> bool {
        is_own_record(key, &self.agent)
            || (key.plural == "secrets" && key.namespace == RECORDS && self.is_inventory(&key.name))
    }

    fn is_inventory(&self, name: &str) -> bool {
        let prefix = format!("brokkr-{}-", self.agent);
        let Some(rest) = name.strip_prefix(&prefix) else { return false };
        self.known.iter().any(|stack| {
            rest.strip_prefix(stack.as_str()).is_some_and(|number| {
                number.is_empty() || number.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
            })
        })
    }

    /// Objects that are left over, missing or different, and objects of others that have changed.
    pub(super) async fn content_defects(&self) -> Result<Vec<String>> {
        let mut defects = Vec::new();
        let wanted: BTreeMap<Key, &Value> = self
            .stacks
            .values()
            .flat_map(|told| &told.manifests)
            .map(|manifest| (Key::of(manifest), manifest))
            .collect();
        let planted: BTreeSet<&Key> = self.planted.iter().map(|(key, _)| key).collect();
        let kinds: BTreeSet<(&str, &str)> =
            self.ever.iter().map(|key| (key.group.as_str(), key.plural.as_str())).collect();
        let selector = format!("brokkr.io/agent%3D{}", self.agent);
        let mut there = BTreeMap::new();
        for (group, plural) in kinds {
            for object in self.kube.list(group, plural, &selector).await? {
                let text = |field| object["metadata"][field].as_str().unwrap_or_default();
                let key = Key::new(group, plural, text("namespace"), text("name"));
                let is_ours = !planted.contains(&key) && !self.is_record(&key);
                if is_ours && !wanted.contains_key(&key) {
                    defects.push(format!("{key} is left over"));
                }
                there.insert(key, object);
            }
        }
        for (key, manifest) in wanted {
            let content = content_of(manifest);
            match there.get(&key) {
                None => defects.push(format!("{key} is missing, or lacks the agent's labels")),
                Some(object) if !holds(object, &content) => defects.push(format!("{key} differs: {object}")),
                Some(object) if object["metadata"].get("deletionTimestamp").is_some() => {
                    defects.push(format!("{key} is being deleted"));
                }
                Some(_) => {}
            }
        }
        for (key, version) in &self.planted {
            let object = self.kube.get(key).await?;
            if object.is_none_or(|it| it["metadata"]["resourceVersion"] != *version) {
                defects.push(format!("{key} belongs to another owner and has changed"));
            }
        }
        Ok(defects)
    }

    /// Writes of stack objects and inventories, which only a leader may make.
    pub(crate) fn led(&self, writes: Vec<Write>) -> Vec<Write> {
        writes.into_iter().filter(|write| !is_own_record(&write.key, &self.agent)).collect()
    }
}

/// A manifest without the fields that objects in a list omit.
fn content_of(manifest: &Value) -> Value {
    let mut content = manifest.clone();
    if let Some(content) = content.as_object_mut() {
        content.remove("apiVersion");
        content.remove("kind");
    }
    content
}

/// Whether the object is the agent's namespace, its watermark or its Lease, which a process may write before it leads.
pub(super) fn is_own_record(key: &Key, agent: &str) -> bool {
    let own = format!("brokkr-agent-{agent}");
    match (key.group.as_str(), key.plural.as_str()) {
        ("", "namespaces") => key.name == RECORDS,
        ("", "configmaps") | ("coordination.k8s.io", "leases") => key.namespace == RECORDS && key.name == own,
        _ => false,
    }
}
