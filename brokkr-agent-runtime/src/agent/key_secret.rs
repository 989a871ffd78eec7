//! The Secret with the agent's key.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brokkr_core::model::AgentId;
use brokkr_core::pak::{KeyHash, Pak};
use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster, ClusterError, ClusterResult, Patch};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// The field of the Secret with the key.
const KEY: &str = "pak";
/// The field with the agent's id. Present once the broker has accepted the key.
const AGENT: &str = "agent-id";

/// A key in the cluster.
#[derive(Debug)]
pub(super) struct StoredKey {
    pub(super) pak: SecretString,
    pub(super) hash: KeyHash,
    /// Whether the broker has accepted the key.
    pub(super) is_joined: bool,
}

/// The Secret that keeps an agent's key across restarts, for all replicas of the agent.
#[derive(Debug)]
pub(super) struct KeySecret {
    cluster: Arc<dyn Cluster>,
    kind: ApiKind,
    namespace: String,
    name: String,
    /// Differs between processes, so that the API server refuses to replace one replica's key by another's.
    manager: String,
}

impl KeySecret {
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: &str, name: &str) -> Self {
        let kind = ApiKind::v1("", "Secret", "secrets", true);
        let manager = format!("brokkr-agent-key-{:016x}", fastrand::u64(..));
        Self { cluster, kind, namespace: namespace.to_owned(), name: name.to_owned(), manager }
    }

    /// Reads the key; `None` if there is none.
    pub(super) async fn read(&self) -> ClusterResult<Option<StoredKey>> {
        let secret = self.cluster.get(&self.kind.at(Some(&self.namespace), &self.name)).await?;
        let Some(data) = secret.as_ref().and_then(|it| it.get("data")) else { return Ok(None) };
        let field = |name: &str| data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(encoded) = field(KEY) else { return Ok(None) };
        let unreadable = || {
            ClusterError::Invalid(format!(
                "the field {KEY} of the Secret {}/{} is not an API key; delete the Secret, or correct it",
                self.namespace, self.name
            ))
        };
        let text = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(unreadable)?;
        let pak = text.trim();
        let hash = KeyHash::of(pak).map_err(|_| unreadable())?;
        Ok(Some(StoredKey { pak: pak.into(), hash, is_joined: field(AGENT).is_some() }))
    }

    /// Stores a new key, unless the Secret has one already: the API server refuses that as a conflict.
    pub(super) async fn create(&self, pak: Pak) -> ClusterResult<()> {
        let text = pak.into_secret();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "data": {KEY: STANDARD.encode(text.expose_secret())},
        });
        let options = ApplyOptions { field_manager: &self.manager, force: false, dry_run: false };
        self.cluster.apply(&self.kind.at(Some(&self.namespace), &self.name), &body, &options).await?;
        Ok(())
    }

    /// Notes that the broker has accepted the key.
    pub(super) async fn joined(&self, agent: AgentId) -> ClusterResult<()> {
        let patch = Patch::Merge(json!({"data": {AGENT: STANDARD.encode(agent.to_string())}}));
        self.cluster.patch(&self.kind.at(Some(&self.namespace), &self.name), &patch, &self.manager).await?;
        Ok(())
    }
}
