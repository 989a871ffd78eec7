//! Changes, as the feed returns them.

use brokkr_core::model::{ActorRef, EntityKind, RequestId, Timestamp};
use brokkr_core::store::FeedEntry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    Agent, DeploymentObject, Environment, Event, Generator, Grant, JoinToken, Key, Pin, Release, Stack, Target,
};

/// One committed change of one entity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Position in the feed. Pass it as `after` to read the changes that follow.
    pub position: String,
    /// Commit time, by the broker's clock.
    pub at: Timestamp,
    /// The actor whose operation made the change.
    pub actor: ActorRef,
    /// The request that made the change.
    pub request_id: RequestId,
    /// The kind of the entity.
    pub kind: EntityKind,
    /// Whether the change deleted the entity; `entity` then holds its last state.
    pub deleted: bool,
    /// The entity's version after the change. Of two states the one with the higher version is newer.
    pub version: u64,
    /// The complete entity after the change, as the API returns it.
    #[schema(value_type = Object)]
    pub entity: Value,
}

/// One page of the feed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangePage {
    /// Changes in commit order.
    pub items: Vec<Change>,
    /// Pass it as `after` in the next request. Present even if the page is empty.
    pub next: String,
}

impl From<FeedEntry> for Change {
    fn from(entry: FeedEntry) -> Self {
        use brokkr_core::model::Change as Fact;
        let change = entry.change;
        let (kind, deleted, version) = (change.key().kind(), change.is_tombstone(), change.version().get());
        let entity = match change {
            Fact::Generator(it) => json!(Generator::from(it)),
            // `Key` omits the hash of the secret.
            Fact::Key(it) => json!(Key::from(it)),
            Fact::Environment(it) => json!(Environment::from(it)),
            Fact::Grant(it) => json!(Grant::from(it)),
            // `JoinToken` omits the hash of the secret.
            Fact::JoinToken(it) => json!(JoinToken::from(it)),
            Fact::Agent(it) => json!(Agent::from(it)),
            Fact::Stack(it) => json!(Stack::from(it)),
            Fact::DeploymentObject(it) => json!(DeploymentObject::from(it)),
            Fact::Target(it) => json!(Target::from(it)),
            Fact::StackRelease(it) => json!(Release::from(it)),
            Fact::Pin(it) => json!(Pin::from(it)),
            Fact::Event(it) => json!(Event::from(it)),
            Fact::AgentSession(it) => json!(it),
            Fact::AgentSilence(it) => json!(it),
            Fact::Assignment(it) => json!(it),
            Fact::StackStatus(it) => json!(it),
        };
        Self {
            position: entry.position.to_string(),
            at: entry.at,
            actor: entry.actor,
            request_id: entry.request_id,
            kind,
            deleted,
            version,
            entity,
        }
    }
}
