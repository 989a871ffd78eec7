//! The registry of all kinds of entities.
//!
//! One line per kind declares its variants of [`Change`], [`EntityKind`] and [`EntityKey`], its position in the write
//! order, its storage, and whether the fleet view contains it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::entity::Record;
use crate::model::{
    Agent, AgentEvent, AgentId, AgentSession, AgentSilence, ApiKey, Assignment, DeploymentObject, DeploymentObjectId,
    Environment, EnvironmentId, EventId, GeneratorId, GeneratorPrincipal, Grant, GrantId, JoinToken, JoinTokenId,
    KeyId, Pin, PinId, Stack, StackId, StackRelease, StackReleaseId, StackStatus, Target, Version,
};

/// Where a store keeps the entities of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In a table per kind, with a column per field.
    Table,
    /// As JSON in a table that rare kinds share. A new kind needs no migration.
    Document,
}

/// A kind of entity. The registry implements it for every [`Record`] that it lists.
///
/// ```
/// use brokkr_core::model::{Entity as _, EntityKind, Stack, StackId};
///
/// let id = StackId::generate();
/// assert_eq!(Stack::key_of(id).kind(), EntityKind::Stack);
/// assert_eq!(Stack::key_of(id).to_string(), id.to_string());
/// assert_eq!(EntityKind::StackStatus.to_string(), "stack-status");
/// ```
pub trait Entity: Record + Into<Change> {
    /// The kind of the entity.
    const KIND: EntityKind;

    /// The key of the entity with this id, unique among all kinds.
    fn key_of(id: Self::Id) -> EntityKey;

    /// Extracts the entity from a change; `None` if the change is of another kind.
    fn from_change(change: Change) -> Option<Self>;
}

/// The one or two ids that an [`EntityKey`] consists of.
trait Ids {
    fn ids(&self) -> (Uuid, Option<Uuid>);
}

macro_rules! single_ids {
    ($($id:ty)*) => {$(
        impl Ids for ($id,) {
            fn ids(&self) -> (Uuid, Option<Uuid>) {
                (self.0.as_uuid(), None)
            }
        }
    )*};
}

single_ids! { GeneratorId GrantId KeyId AgentId StackId DeploymentObjectId EnvironmentId JoinTokenId PinId StackReleaseId }

impl Ids for (StackId, AgentId) {
    fn ids(&self) -> (Uuid, Option<Uuid>) {
        (self.0.as_uuid(), Some(self.1.as_uuid()))
    }
}

impl Ids for (AgentId, EventId) {
    fn ids(&self) -> (Uuid, Option<Uuid>) {
        (self.0.as_uuid(), Some(self.1.as_uuid()))
    }
}

/// Declares every kind: the meaning of its changes, its variant and type, the parts of its id, its storage, and whether
/// the fleet view contains it. Kinds that others refer to come first: stores write in this order.
macro_rules! entities {
    ($($(#[$doc:meta])* $kind:ident($noun:ty) by ($($part:ident: $id:ty),+) in $storage:ident, view: $view:literal;)*) => {
        /// A change of one entity, with the entity's complete state and version after the change.
        ///
        /// To fold a sequence of changes, keep the highest version of each entity. An entity with `deleted_at` is a
        /// tombstone. The enum is exhaustive on purpose: every store must handle a new kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "entity", rename_all = "kebab-case")]
        pub enum Change {
            $($(#[$doc])* $kind($noun),)*
        }

        /// The kinds of entities.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum EntityKind {
            $(
                #[doc = concat!("[`", stringify!($noun), "`].")]
                $kind,
            )*
        }

        /// The key of an entity of any kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntityKey {
            $(
                #[doc = concat!("[`", stringify!($noun), "`].")]
                $kind($($id),+),
            )*
        }

        impl EntityKind {
            /// All kinds in write order: kinds that others refer to come first.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// How a database store keeps entities of this kind.
            pub const fn storage(self) -> Storage {
                match self {
                    $(Self::$kind => Storage::$storage,)*
                }
            }

            /// Whether a pair of ids identifies an entity of this kind.
            pub const fn is_pair(self) -> bool {
                match self {
                    $(Self::$kind => [$(stringify!($part)),+].len() == 2,)*
                }
            }

            /// Whether the fleet view contains entities of this kind.
            pub const fn is_in_view(self) -> bool {
                match self {
                    $(Self::$kind => $view,)*
                }
            }
        }

        impl EntityKey {
            /// The kind.
            pub fn kind(&self) -> EntityKind {
                match self {
                    $(Self::$kind(..) => EntityKind::$kind,)*
                }
            }

            /// The id, or the two ids of a pair.
            pub fn ids(&self) -> (Uuid, Option<Uuid>) {
                match *self {
                    $(Self::$kind($($part),+) => ($($part,)+).ids(),)*
                }
            }
        }

        impl Change {
            /// The key of the changed entity.
            pub fn key(&self) -> EntityKey {
                match self {
                    $(Self::$kind(it) => <$noun>::key_of(it.id()),)*
                }
            }

            /// The entity's version after the change.
            pub fn version(&self) -> Version {
                match self {
                    $(Self::$kind(it) => it.version(),)*
                }
            }

            /// Whether the entity is a tombstone after the change.
            pub fn is_tombstone(&self) -> bool {
                match self {
                    $(Self::$kind(it) => it.deleted_at().is_some(),)*
                }
            }

            /// Whether a reader may forget the entity after the change: tombstones, and assignments whose removal the
            /// agent confirmed.
            pub fn is_gone(&self) -> bool {
                match self {
                    $(Self::$kind(it) => it.is_gone(),)*
                }
            }

            /// The generator that owns the entity; `None` if only admins may see it.
            pub fn generator(&self) -> Option<GeneratorId> {
                match self {
                    $(Self::$kind(it) => it.generator(),)*
                }
            }

            /// The entity's name, if it has one.
            pub fn name(&self) -> Option<&crate::model::Name> {
                match self {
                    $(Self::$kind(it) => it.name(),)*
                }
            }

            /// The entity's labels, if it has any.
            pub fn labels(&self) -> Option<&crate::model::Labels> {
                match self {
                    $(Self::$kind(it) => it.labels(),)*
                }
            }
        }

        $(
            impl From<$noun> for Change {
                fn from(entity: $noun) -> Self {
                    Self::$kind(entity)
                }
            }

            impl Entity for $noun {
                const KIND: EntityKind = EntityKind::$kind;

                fn key_of(id: Self::Id) -> EntityKey {
                    entities!(@key $kind, id, $($part)+)
                }

                fn from_change(change: Change) -> Option<Self> {
                    match change {
                        Change::$kind(entity) => Some(entity),
                        _ => None,
                    }
                }
            }
        )*
    };
    (@key $kind:ident, $id:ident, $one:ident) => { EntityKey::$kind($id) };
    (@key $kind:ident, $id:ident, $one:ident $other:ident) => { EntityKey::$kind($id.0, $id.1) };
}

entities! {
    /// A generator was created, changed or deleted.
    Generator(GeneratorPrincipal) by (id: GeneratorId) in Table, view: true;
    /// An environment was created, changed or deleted.
    Environment(Environment) by (id: EnvironmentId) in Document, view: true;
    /// A grant was created, changed or deleted.
    Grant(Grant) by (id: GrantId) in Document, view: true;
    /// A join token was created, used or deleted.
    JoinToken(JoinToken) by (id: JoinTokenId) in Document, view: true;
    /// An agent was created, changed or deleted.
    Agent(Agent) by (id: AgentId) in Table, view: true;
    /// An agent became silent, or is back.
    AgentSilence(AgentSilence) by (id: AgentId) in Document, view: true;
    /// A key was created or revoked.
    Key(ApiKey) by (id: KeyId) in Table, view: true;
    /// An agent reported.
    AgentSession(AgentSession) by (id: AgentId) in Table, view: false;
    /// A stack was created or changed, its deletion began, or it is gone.
    Stack(Stack) by (id: StackId) in Table, view: true;
    /// A deployment object was published. It never changes afterwards.
    DeploymentObject(DeploymentObject) by (id: DeploymentObjectId) in Table, view: true;
    /// A stack was assigned to an agent, or the state of the assignment changed.
    Assignment(Assignment) by (stack: StackId, agent: AgentId) in Table, view: true;
    /// A direct target was set or removed.
    Target(Target) by (stack: StackId, agent: AgentId) in Table, view: true;
    /// A revision of a stack became stable in an environment, or the stack was suspended or resumed there.
    StackRelease(StackRelease) by (id: StackReleaseId) in Document, view: true;
    /// A pin was set, changed or removed.
    Pin(Pin) by (id: PinId) in Document, view: true;
    /// The status of a stack on an agent changed.
    StackStatus(StackStatus) by (stack: StackId, agent: AgentId) in Table, view: false;
    /// An agent event was recorded. It never changes afterwards.
    Event(AgentEvent) by (agent: AgentId, event: EventId) in Table, view: false;
}

impl fmt::Display for EntityKind {
    /// Writes the name of the kind in the API and in stores, such as `stack-status`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for EntityKey {
    /// Writes the id; for pairs `<stack id>/<agent id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.ids()) {
            (Self::Event(_, id), _) => id.fmt(f),
            (_, (one, None)) => one.fmt(f),
            (_, (one, Some(other))) => write!(f, "{one}/{other}"),
        }
    }
}
