//! What a publication changes in the manifests of a stack, for its audit record.

use brokkr_core::error::Invalid;
use brokkr_core::manifest::{Manifest, ManifestSet, parsing_weight};
use brokkr_core::model::{DeploymentObject, DeploymentObjectId, EntityKey, limits};
use brokkr_core::store::{Scope, StoreError};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::changes::Update;
use crate::error::{BrokerError, BrokerResult};

/// The content of a new revision.
pub(super) enum NewContent {
    Bytes(Bytes),
    /// That of an earlier revision.
    Of(DeploymentObjectId),
}

impl Broker {
    /// Compares the manifests of two revisions. Those that are too large, or that this version cannot read, are not compared:
    /// the audit then says only that they differ.
    pub(super) async fn manifest_changes(
        &self,
        actor: &Actor,
        audited: EntityKey,
        latest: &DeploymentObject,
        new: &DeploymentObject,
        content: NewContent,
    ) -> BrokerResult<Update> {
        if latest.size.saturating_add(new.size) > limits::AUDIT_MANIFEST_BYTES {
            return Ok(Update::of_unread_manifests(audited));
        }
        let before = self.recent_content(latest.id).await?;
        let after = match content {
            NewContent::Bytes(bytes) => bytes,
            NewContent::Of(id) => self.recent_content(id).await?,
        };
        let weight = parsing_weight(&before) + parsing_weight(&after);
        let compare = move || {
            let (mut before, mut after) = (objects(&before)?, objects(&after)?);
            let equal: Vec<String> = before
                .iter()
                .filter(|(key, body)| after.get(*key) == Some(*body))
                .map(|(key, _)| key.clone())
                .collect();
            for key in equal {
                before.remove(&key);
                after.remove(&key);
            }
            Ok::<_, Invalid>((before, after))
        };
        match self.run_blocking(actor, weight, compare).await {
            Ok((before, after)) => Ok(Update::of_manifests(audited, before, after)),
            Err(BrokerError::Invalid(_)) => Ok(Update::of_unread_manifests(audited)),
            Err(error) => Err(error),
        }
    }

    async fn recent_content(&self, id: DeploymentObjectId) -> Result<Bytes, StoreError> {
        let read = self.parts.store.deployment_object_content(&Scope::All, id);
        Ok(self.parts.contents.get_or_read(self.epoch(), id, read).await?.1)
    }
}

/// The objects by `<kind>.<group>/<namespace>/<name>`.
fn objects(yaml: &[u8]) -> Result<Map<String, Value>, Invalid> {
    let set = ManifestSet::parse_yaml(yaml)?;
    Ok(set.objects().iter().map(|it| (name(it), Value::Object(it.body()))).collect())
}

fn name(object: &Manifest) -> String {
    let group = if object.group().is_empty() { String::new() } else { format!(".{}", object.group()) };
    let namespace = object.namespace().map(|it| format!("{it}/")).unwrap_or_default();
    format!("{}{group}/{namespace}{}", object.kind(), object.name())
}
