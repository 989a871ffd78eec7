//! Stores inventories in the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_core::model::{AgentId, ObjectRef, StackId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::applier::ApplierError;
use crate::cluster::{
    ApiKind, ApplyOptions, Cluster, ClusterError, ClusterResult, DeleteOptions, ListOptions, PropagationPolicy, meta,
};
use crate::ownership::inventory::entry::Kept;
use crate::ownership::inventory::{Entry, Inventory, Owner};
use crate::ownership::labels::{
    AGENT_LABEL, APPLYSET_ID_LABEL, APPLYSET_KINDS, APPLYSET_NAMESPACES, APPLYSET_TOOLING, GENERATOR_ANNOTATION,
    GENERATOR_NAME_ANNOTATION, INVENTORY_LABEL, STACK_LABEL, TOOLING, applyset_id, field_manager, inventory_name,
};

/// Maximum bytes of entries in one Secret; below 512 KiB as base64.
const SHARD_BYTES: usize = 380 * 1024;
const DATA_KEY: &str = "inventory.json";

/// One Secret of an inventory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shard {
    /// Absent while the Secret does not exist in the cluster.
    kept: Option<KeptShard>,
}

#[derive(Debug, Clone)]
struct KeptShard {
    uid: String,
    resource_version: String,
    /// Hash of the stored entries and annotations.
    digest: [u8; 32],
}

/// Reads and writes the inventories of one agent.
#[derive(Debug)]
pub(crate) struct Keeper {
    agent: AgentId,
    namespace: String,
    manager: String,
    secrets: ApiKind,
}

impl Keeper {
    pub(crate) fn new(agent: AgentId, namespace: String) -> Self {
        let secrets = ApiKind::v1("", "Secret", "secrets", true);
        Self { agent, namespace, manager: field_manager(agent), secrets }
    }

    /// Returns the namespace of the inventories.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the ID of the ApplySet that a stack's objects belong to.
    pub(crate) fn applyset(&self, stack: StackId) -> String {
        applyset_id(&inventory_name(self.agent, stack), &self.namespace)
    }

    /// Reads all inventories of this agent.
    pub(crate) async fn load(&self, cluster: &dyn Cluster) -> Result<BTreeMap<StackId, Inventory>, ApplierError> {
        let label_selector = format!("{AGENT_LABEL}={},{INVENTORY_LABEL}", self.agent);
        let options = ListOptions { label_selector, ..ListOptions::default() };
        let list = cluster.list(&self.secrets, Some(&self.namespace), &options).await;
        let list = list.map_err(ApplierError::Inventory)?;
        if list.meta.truncated {
            return Err(ApplierError::Inventory(ClusterError::unavailable("the list of inventories is truncated")));
        }
        let mut inventories = BTreeMap::new();
        for secret in &list.items {
            let name = meta::name(secret).unwrap_or_default();
            let damaged = |problem: &str| ApplierError::Damaged { name: name.to_owned(), problem: problem.to_owned() };
            let stack: StackId = meta::label(secret, STACK_LABEL)
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| damaged("its stack label is missing or invalid"))?;
            let number = shard_number(name, &inventory_name(self.agent, stack))
                .ok_or_else(|| damaged("its name does not match its label for the stack"))?;
            let inventory = inventories.entry(stack).or_insert_with(|| Inventory::new(stack));
            read_shard(inventory, number, secret).ok_or_else(|| damaged("its content cannot be parsed"))?;
        }
        Ok(inventories)
    }

    /// Writes the Secrets that changed.
    pub(crate) async fn save(&self, cluster: &dyn Cluster, inventory: &mut Inventory) -> ClusterResult<()> {
        assign_shards(inventory);
        // The first Secret is the ApplySet's parent, so it is deleted last.
        for number in (0..inventory.shards.len()).rev() {
            let is_empty = !inventory.entries.values().any(|entry| entry.shard == number);
            let goes = is_empty && (number > 0 || inventory.entries.is_empty());
            let kept = inventory.shards.get(number).and_then(|shard| shard.kept.clone());
            let now = if goes {
                let Some(kept) = kept else { continue };
                self.delete_shard(cluster, inventory.stack, number, &kept).await?;
                None
            } else {
                let content = content_of(inventory, number);
                let annotations = self.annotations(inventory, number);
                let digest = digest(&content, &annotations);
                if kept.as_ref().is_some_and(|kept| kept.digest == digest) {
                    continue;
                }
                let body = self.body(inventory.stack, number, &content, annotations);
                Some(self.write_shard(cluster, body, kept.as_ref(), digest).await?)
            };
            if let Some(shard) = inventory.shards.get_mut(number) {
                shard.kept = now;
            }
        }
        Ok(())
    }

    fn shard_name(&self, stack: StackId, number: usize) -> String {
        let name = inventory_name(self.agent, stack);
        if number == 0 { name } else { format!("{name}-{number}") }
    }

    /// Returns the annotations of the ApplySet's parent, which the first Secret has.
    fn annotations(&self, inventory: &Inventory, number: usize) -> Value {
        if number > 0 {
            return json!({});
        }
        let members = || inventory.entries.iter().filter(|(_, entry)| entry.is_ours()).map(|(object, _)| object);
        let kinds: BTreeSet<(&str, &str)> = members().map(|it| (it.kind.as_str(), it.group.as_str())).collect();
        let kinds: BTreeSet<String> = kinds.into_iter().map(group_kind).collect();
        let namespaces: BTreeSet<&str> =
            members().filter_map(|it| it.namespace.as_deref()).filter(|it| *it != self.namespace).collect();
        let mut annotations = json!({
            APPLYSET_TOOLING: TOOLING,
            APPLYSET_KINDS: kinds.into_iter().collect::<Vec<_>>().join(","),
            APPLYSET_NAMESPACES: namespaces.into_iter().collect::<Vec<_>>().join(","),
        });
        if let Some(owner) = &inventory.owner {
            annotations[GENERATOR_ANNOTATION] = json!(owner.generator);
            annotations[GENERATOR_NAME_ANNOTATION] = json!(owner.name);
        }
        annotations
    }

    fn body(&self, stack: StackId, number: usize, content: &str, annotations: Value) -> Value {
        let mut labels = json!({
            AGENT_LABEL: self.agent,
            STACK_LABEL: stack,
            INVENTORY_LABEL: "true",
        });
        if number == 0 {
            labels[APPLYSET_ID_LABEL] = json!(self.applyset(stack));
        }
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "brokkr.io/inventory",
            "metadata": {
                "name": self.shard_name(stack, number),
                "namespace": self.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "data": {DATA_KEY: STANDARD.encode(content)},
        })
    }

    async fn write_shard(
        &self,
        cluster: &dyn Cluster,
        mut body: Value,
        kept: Option<&KeptShard>,
        digest: [u8; 32],
    ) -> ClusterResult<KeptShard> {
        if let Some(kept) = kept {
            body["metadata"]["uid"] = json!(kept.uid);
            body["metadata"]["resourceVersion"] = json!(kept.resource_version);
        }
        let name = meta::name(&body).unwrap_or_default().to_owned();
        let at = self.secrets.at(Some(&self.namespace), &name);
        let options = ApplyOptions { field_manager: &self.manager, force: true, dry_run: false };
        let applied = cluster.apply(&at, &body, &options).await?;
        let text = |read: fn(&Value) -> Option<&str>| read(&applied.object).unwrap_or_default().to_owned();
        Ok(KeptShard { uid: text(meta::uid), resource_version: text(meta::resource_version), digest })
    }

    async fn delete_shard(
        &self,
        cluster: &dyn Cluster,
        stack: StackId,
        number: usize,
        kept: &KeptShard,
    ) -> ClusterResult<()> {
        let name = self.shard_name(stack, number);
        let options = DeleteOptions {
            uid: &kept.uid,
            resource_version: Some(&kept.resource_version),
            propagation: PropagationPolicy::Background,
        };
        match cluster.delete(&self.secrets.at(Some(&self.namespace), &name), &options).await {
            Err(ClusterError::NotFound(_)) => Ok(()),
            result => result,
        }
    }
}

/// Returns the hash of a Secret's content.
fn digest(content: &str, annotations: &Value) -> [u8; 32] {
    Sha256::new().chain_update(content).chain_update(annotations.to_string()).finalize().into()
}

fn group_kind((kind, group): (&str, &str)) -> String {
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}

fn shard_number(name: &str, base: &str) -> Option<usize> {
    match name.strip_prefix(base)? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse().ok(),
    }
}

fn read_shard(inventory: &mut Inventory, number: usize, secret: &Value) -> Option<()> {
    // Bounded, so that a damaged name cannot cause a large allocation.
    if number > 1_000 {
        return None;
    }
    let data = STANDARD.decode(secret.get("data")?.get(DATA_KEY)?.as_str()?).ok()?;
    let content = String::from_utf8(data).ok()?;
    let entries: Vec<Kept> = serde_json::from_str(&content).ok()?;
    for kept in entries {
        let (object, entry) = kept.into_entry(number)?;
        // After a crash during a move the entry is in two Secrets. The later one has the newer content.
        if inventory.entries.get(&object).is_none_or(|there| there.shard < number) {
            inventory.entries.insert(Arc::new(object), entry);
        }
    }
    if inventory.shards.len() <= number {
        inventory.shards.resize_with(number + 1, Shard::default);
    }
    let annotations = secret.get("metadata")?.get("annotations").cloned().unwrap_or_else(|| json!({}));
    if number == 0 {
        inventory.owner = owner_in(secret);
    }
    let shard = inventory.shards.get_mut(number)?;
    shard.kept = Some(KeptShard {
        uid: meta::uid(secret)?.to_owned(),
        resource_version: meta::resource_version(secret)?.to_owned(),
        digest: digest(&content, &annotations),
    });
    Some(())
}

/// Returns the generator that a Secret names.
fn owner_in(secret: &Value) -> Option<Owner> {
    let generator = meta::annotation(secret, GENERATOR_ANNOTATION)?.parse().ok()?;
    Some(Owner { generator, name: meta::annotation(secret, GENERATOR_NAME_ANNOTATION)?.to_owned() })
}

/// Assigns every entry to a Secret with enough space.
fn assign_shards(inventory: &mut Inventory) {
    let mut bytes = vec![0; inventory.shards.len()];
    for (object, entry) in &inventory.entries {
        if let Some(bytes) = bytes.get_mut(entry.shard) {
            *bytes += entry_bytes(object, entry);
        }
    }
    // Largest first, so that few entries move.
    let sized = inventory.entries.iter_mut().map(|(object, entry)| (entry_bytes(object, entry), entry));
    let mut sized: Vec<(usize, &mut Entry)> = sized.collect();
    sized.sort_by_key(|(needed, _)| std::cmp::Reverse(*needed));
    for (needed, entry) in sized {
        // An entry that no longer fits into its Secret moves to a later one. Later Secrets are written first, so that a
        // crash leaves the entry in both, never in none.
        let first = match bytes.get_mut(entry.shard) {
            // An entry beyond the maximum has a Secret for itself.
            Some(used) if *used <= SHARD_BYTES.max(needed) => continue,
            Some(used) => {
                *used -= needed;
                entry.shard + 1
            }
            None => 0,
        };
        let with_room = bytes.iter().enumerate().skip(first).find(|(_, used)| **used + needed <= SHARD_BYTES);
        entry.shard = with_room.map_or(bytes.len().max(first), |(number, _)| number);
        match bytes.get_mut(entry.shard) {
            Some(used) => *used += needed,
            None => bytes.push(needed),
        }
    }
    inventory.shards.resize_with(bytes.len(), Shard::default);
}

/// Returns the bytes of an entry once it is complete: an intent grows when its object exists.
fn entry_bytes(object: &ObjectRef, entry: &Entry) -> usize {
    let names = object.group.len() + object.kind.len() + object.name.len();
    names + object.namespace.as_ref().map_or(0, String::len) + entry.fields.byte_len().max(160) * 4 / 3 + 120
}

fn content_of(inventory: &Inventory, number: usize) -> String {
    let mut content = String::from("[");
    for (object, entry) in inventory.entries.iter().filter(|(_, entry)| entry.shard == number) {
        if content.len() > 1 {
            content.push(',');
        }
        content.push_str(&json!(Kept::of(object, entry)).to_string());
    }
    content.push(']');
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::field_hashes::FieldHashes;
    use crate::ownership::inventory::EntryState;

    fn with_objects(fields: &[usize]) -> Inventory {
        let mut inventory = Inventory::new(StackId::generate());
        for (number, _) in fields.iter().enumerate() {
            inventory.entries.insert(Arc::new(object(number)), Entry::new(EntryState::Intent));
        }
        assign_shards(&mut inventory);
        for (number, count) in fields.iter().enumerate() {
            if let Some(entry) = inventory.entries.get_mut(&object(number)) {
                entry.fields = FieldHashes::from_bytes(&vec![7; count * 4]);
            }
        }
        inventory
    }

    fn object(number: usize) -> ObjectRef {
        let (kind, namespace) = ("ConfigMap".to_owned(), Some("default".to_owned()));
        ObjectRef { group: String::new(), kind, namespace, name: format!("object-{number:05}") }
    }

    fn places(inventory: &Inventory) -> Vec<usize> {
        inventory.entries.values().map(|entry| entry.shard).collect()
    }

    #[test]
    fn grown_entries_move_to_later_shards() {
        let mut inventory = with_objects(&[20_000; 12]);
        assert_eq!(places(&inventory), [0; 12], "an intent is small");
        assign_shards(&mut inventory);
        for number in 0..inventory.shards.len() {
            let bytes = content_of(&inventory, number).len();
            assert!(bytes <= SHARD_BYTES, "{bytes} bytes in Secret {number}");
        }
        assert_eq!(inventory.shards.len(), 4);
        let before = places(&inventory);
        assign_shards(&mut inventory);
        assert_eq!(places(&inventory), before, "fitting entries do not move");
    }

    #[test]
    fn oversized_entry_has_its_own_shard() {
        let mut inventory = with_objects(&[1, 80_000, 1]);
        assign_shards(&mut inventory);
        let before = places(&inventory);
        assert_eq!(before, [0, 1, 0]);
        assign_shards(&mut inventory);
        assert_eq!(places(&inventory), before);
    }
}
