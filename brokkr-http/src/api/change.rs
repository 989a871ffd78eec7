//! Changes, as subscribers see them.

use brokkr_core::model::{ActorRef, EntityKind, RequestId, Timestamp};
use brokkr_core::store::FeedEntry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Agent, DeploymentObject, Environment, Event, Generator, Key, Stack, Target};

/// One committed change.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its place: pass the last one seen as `after` to go on.
    pub position: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Who decided.
    pub actor: ActorRef,
    /// In the course of which request.
    pub request_id: RequestId,
    /// Of what kind the entity is.
    pub kind: EntityKind,
    /// Whether the entity is gone.
    pub deleted: bool,
    /// How often the entity has changed; the higher version is the later state.
    pub version: u64,
    /// The entity after the change, in the form in which it is read.
    #[schema(value_type = Object)]
    pub entity: Value,
}

/// A part of the feed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangePage {
    /// The changes in order.
    pub items: Vec<Change>,
    /// Where to go on, also when there is nothing new.
    pub next: String,
}

impl From<FeedEntry> for Change {
    fn from(entry: FeedEntry) -> Self {
        use brokkr_core::model::Change as Fact;
        let change = entry.change;
        let (kind, deleted, version) = (change.key().kind(), change.is_tombstone(), change.version().get());
        let entity = match change {
            Fact::Generator(it) => json!(Generator::from(it)),
            // Without its hash.
            Fact::Key(it) => json!(Key::from(it)),
            Fact::Environment(it) => json!(Environment::from(it)),
            Fact::Agent(it) => json!(Agent::from(it)),
            Fact::Stack(it) => json!(Stack::from(it)),
            Fact::DeploymentObject(it) => json!(DeploymentObject::from(it)),
            Fact::Target(it) => json!(Target::from(it)),
            Fact::Event(it) => json!(Event::from(it)),
            Fact::AgentSession(it) => json!(it),
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
