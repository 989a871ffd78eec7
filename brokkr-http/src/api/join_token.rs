//! Join tokens, and the exchange of one for an agent's key.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{ClusterUid, Description, KeyHashText, ShortText};
use brokkr_core::model::{ActorRef, Annotations, GeneratorId, GrantId, JoinTokenId, Labels, Name, Timestamp, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Registration;

/// A credential that new agents exchange for keys of their own, without the secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// Identity.
    pub id: JoinTokenId,
    /// Unique among join tokens.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers.
    #[schema(value_type = Description)]
    pub description: String,
    /// The public part of the token text, which identifies the token in logs.
    pub short_id: String,
    /// How many agents the token may create.
    pub max_uses: u32,
    /// How many agents it has created.
    pub uses: u32,
    /// Expiry time.
    pub expires_at: Timestamp,
    /// The environment of the new agents, null for none.
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// Labels of the new agents.
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the new agents.
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// The generators whose stacks the new agents serve, with their grants.
    pub registrations: Vec<Registration>,
    /// Expiry time of the keys of the new agents: that of the key that created the token; null if they do not expire.
    pub keys_expire_at: Option<Timestamp>,
    /// The actor that created the token.
    pub created_by: ActorRef,
    /// Increases with every change. Also the ETag.
    pub version: Version,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// A registration of new agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedRegistration {
    /// The generator.
    pub generator_id: GeneratorId,
    /// What its stacks may contain. Default: `default`, for the system generator `unrestricted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
}

/// Request body that creates a join token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "edge-rollout", "max_uses": 50, "expires_at": "9026-12-01T00:00:00Z", "labels": {"site": "edge"}})))]
pub struct CreateJoinToken {
    /// A DNS label, unique among join tokens.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers. Default: empty.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// How many agents the token may create. Default: 1.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub max_uses: u32,
    /// Expiry time, in the future; at the latest that of the presented key, or the end of the broker's maximum lifetime.
    pub expires_at: Timestamp,
    /// The name of an existing environment, which the new agents are in. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// Labels of the new agents, at most 64 with that of the environment, without the prefix `brokkr.io/`.
    #[serde(default)]
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the new agents.
    #[serde(default)]
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// The generators whose stacks the new agents serve, each once. Default: the system generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 256)]
    pub registrations: Option<Vec<WantedRegistration>>,
}

fn one() -> u32 {
    1
}

/// A new join token with its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedJoinToken {
    /// The join token.
    pub join_token: JoinToken,
    /// The secret token, returned only once; absent when the request is an idempotent repeat.
    pub token: Option<String>,
}

/// Request body with which an agent joins.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "edge-1", "cluster_name": "eu-west-1", "cluster_uid": "6a2f4f0e-5f0d-4a6c-9d67-0b8f4a3d9c11"})))]
pub struct JoinAgent {
    /// The name of the agent: a DNS label, unique among agents.
    #[schema(value_type = Name)]
    pub name: String,
    /// The name of the cluster that the agent serves. For display only.
    #[serde(default)]
    #[schema(value_type = ShortText)]
    pub cluster_name: String,
    /// UID of the Namespace `kube-system`, for the audit. Default: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ClusterUid>)]
    pub cluster_uid: Option<String>,
    /// The short id and the hash of an agent key that the agent has generated and stored. A join that is repeated with it
    /// returns the same agent. Default: the broker generates a key, and a join whose response is lost cannot be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeyHashText>)]
    pub key_hash: Option<String>,
}

impl From<brokkr_core::model::JoinToken> for JoinToken {
    fn from(it: brokkr_core::model::JoinToken) -> Self {
        Self {
            id: it.id,
            name: it.name.into(),
            description: it.description,
            short_id: it.short_id,
            max_uses: it.max_uses,
            uses: it.uses,
            expires_at: it.expires_at,
            environment: it.environment.map(Into::into),
            labels: it.labels.into(),
            annotations: it.annotations.into(),
            registrations: it.registrations.into_iter().map(Registration::from).collect(),
            keys_expire_at: it.keys_expire_at,
            created_by: it.created_by,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
