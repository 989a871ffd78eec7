//! An object in an inventory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use brokkr_core::model::ObjectRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::health::JobEnd;
use crate::ownership::field_hashes::FieldHashes;

/// The relation of an object to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EntryState {
    /// The agent is about to create the object, or created it and crashed before it recorded the UID.
    Intent,
    /// The agent created or adopted the object.
    Held,
    /// The object existed before. The stack uses it, and the agent never changes or deletes it.
    Used,
    /// The object is ours. The agent deletes it once it contains no objects of others.
    Retained,
}

/// Hash of the prepared manifest that was applied last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestHash(String);

impl ManifestHash {
    pub(crate) fn of(body: &Value) -> Self {
        // The map sorts its keys, so the text is canonical across builds.
        let text = body.to_string();
        Self(STANDARD_NO_PAD.encode(&Sha256::digest(text)[..16]))
    }
}

/// An object in an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) state: EntryState,
    /// Set once the object was created or adopted.
    pub(crate) uid: Option<String>,
    /// The manifest that was applied last; absent before the first success.
    pub(crate) manifest: Option<ManifestHash>,
    /// The fields that our manager owned after the last apply.
    pub(crate) fields: FieldHashes,
    /// The number of replicas in the manifest that was applied last.
    pub(crate) replicas: Option<i64>,
    /// The result, if the object is a finished Job. Its later cleanup is then no drift.
    pub(crate) ended: Option<JobEnd>,
    /// Number of the Secret that stores this entry.
    pub(crate) shard: usize,
}

impl Entry {
    pub(crate) fn new(state: EntryState) -> Self {
        Self {
            state,
            uid: None,
            manifest: None,
            fields: FieldHashes::default(),
            replicas: None,
            ended: None,
            shard: usize::MAX,
        }
    }

    /// Whether the object was never applied.
    pub(crate) fn is_bare(&self) -> bool {
        self.state == EntryState::Intent && self.uid.is_none() && self.manifest.is_none()
    }

    /// Whether the object exists because of the agent.
    pub(crate) fn is_ours(&self) -> bool {
        self.state != EntryState::Used
    }
}

/// The serialized form of an entry.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(default, rename = "g", skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(rename = "k")]
    kind: String,
    #[serde(default, rename = "ns", skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "s")]
    state: EntryState,
    #[serde(default, rename = "u", skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(default, rename = "m", skip_serializing_if = "Option::is_none")]
    manifest: Option<ManifestHash>,
    #[serde(default, rename = "f", skip_serializing_if = "String::is_empty")]
    fields: String,
    #[serde(default, rename = "r", skip_serializing_if = "Option::is_none")]
    replicas: Option<i64>,
    #[serde(default, rename = "e", skip_serializing_if = "Option::is_none")]
    ended: Option<JobEnd>,
}

impl Kept {
    pub(crate) fn of(object: &ObjectRef, entry: &Entry) -> Self {
        Self {
            group: object.group.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            state: entry.state,
            uid: entry.uid.clone(),
            manifest: entry.manifest.clone(),
            fields: STANDARD_NO_PAD.encode(entry.fields.to_bytes()),
            replicas: entry.replicas,
            ended: entry.ended.clone(),
        }
    }

    pub(crate) fn into_entry(self, shard: usize) -> Option<(ObjectRef, Entry)> {
        let fields = FieldHashes::from_bytes(&STANDARD_NO_PAD.decode(&self.fields).ok()?);
        let Self { group, kind, namespace, name, state, uid, manifest, replicas, ended, .. } = self;
        let object = ObjectRef { group, kind, namespace, name };
        Some((object, Entry { state, uid, manifest, fields, replicas, ended, shard }))
    }
}
