//! One object in an inventory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use brokkr_core::model::ObjectRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::health::JobEnd;
use crate::ownership::field_hashes::FieldHashes;

/// What an object is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EntryState {
    /// About to be created, or created a moment ago by a run that did not live to say so.
    Intent,
    /// Ours.
    Held,
    /// There before us, and used: never changed, never deleted.
    Used,
    /// Ours, and to be deleted as soon as nothing of others is in it.
    Retained,
}

/// The hash of a prepared manifest: what was applied last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestHash(String);

impl ManifestHash {
    pub(crate) fn of(body: &Value) -> Self {
        // Keys are sorted in the map itself, so the text is canonical for one build of this program and beyond.
        let text = body.to_string();
        Self(STANDARD_NO_PAD.encode(&Sha256::digest(text)[..16]))
    }
}

/// One object in an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) state: EntryState,
    /// Known once it was created or adopted.
    pub(crate) uid: Option<String>,
    /// What was applied last; absent before the first success.
    pub(crate) manifest: Option<ManifestHash>,
    /// The fields that our manager owned after that.
    pub(crate) fields: FieldHashes,
    /// The number of replicas that the manifest named that was applied last.
    pub(crate) replicas: Option<i64>,
    /// How it ended, if it is a Job that has: then nothing is missing when it is cleaned up.
    pub(crate) ended: Option<JobEnd>,
    /// The Secret that keeps this entry.
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

    /// Whether nothing came of it yet.
    pub(crate) fn is_bare(&self) -> bool {
        self.state == EntryState::Intent && self.uid.is_none() && self.manifest.is_none()
    }

    /// Whether the object exists because of us.
    pub(crate) fn is_ours(&self) -> bool {
        self.state != EntryState::Used
    }
}

/// The form in which an entry is kept.
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
