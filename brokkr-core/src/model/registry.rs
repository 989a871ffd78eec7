//! Every noun that is recorded, declared once.
//!
//! From one line per noun follow [`Change`], [`EntityKind`], [`EntityKey`], the order in which stores write, where a noun is
//! stored and whether the fleet view needs it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::entity::Record;
use crate::model::{
    Agent, AgentEvent, AgentId, AgentSession, ApiKey, Assignment, DeploymentObject, DeploymentObjectId, Environment,
    EnvironmentId, EventId, GeneratorId, GeneratorPrincipal, KeyId, Stack, StackId, StackStatus, Target, Version,
};

/// Where a store keeps the entities of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In a table of their own, with a column per field.
    Table,
    /// In the table that rare nouns share, as JSON. A new noun needs no migration.
    Document,
}

/// A recorded noun. Implemented by the registry for every [`Record`] that it lists.
///
/// ```
/// use brokkr_core::model::{Entity as _, EntityKind, Stack, StackId};
///
/// let id = StackId::generate();
/// assert_eq!(Stack::key_of(id).kind(), EntityKind::Stack);
/// assert_eq!(Stack::key_of(id).to_string(), id.to_string());
/// ```
pub trait Entity: Record + Into<Change> {
    /// Its kind.
    const KIND: EntityKind;

    /// The identity of the entity with this id, among all kinds.
    fn key_of(id: Self::Id) -> EntityKey;

    /// The entity that a change is about; `None` for a change of another kind.
    fn from_change(change: Change) -> Option<Self>;
}

/// An id as the two that an [`EntityKey`] consists of: the second is absent where one is enough.
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

single_ids! { GeneratorId KeyId AgentId StackId DeploymentObjectId EnvironmentId }

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

/// Declares every noun: what a change of it means, its variant and type, the parts of its id, where it is stored, and whether the
/// fleet view needs it. What others refer to comes first: stores write in this order.
macro_rules! entities {
    ($($(#[$doc:meta])* $kind:ident($noun:ty) by ($($part:ident: $id:ty),+) in $storage:ident, view: $view:literal;)*) => {
        /// One fact, with the complete state of its entity after it and that entity's version.
        ///
        /// Folding a sequence of changes is "the higher version wins"; an entity with `deleted_at` is a tombstone.
        /// The enum is exhaustive on purpose: a new kind must break every store that would ignore it.
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

        /// The identity of an entity of any kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntityKey {
            $(
                #[doc = concat!("[`", stringify!($noun), "`].")]
                $kind($($id),+),
            )*
        }

        impl EntityKind {
            /// Every kind, in the order in which stores write: what others refer to comes first.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Where stores keep entities of this kind.
            pub const fn storage(self) -> Storage {
                match self {
                    $(Self::$kind => Storage::$storage,)*
                }
            }

            /// Whether an entity of this kind is known by a pair of ids.
            pub const fn is_pair(self) -> bool {
                match self {
                    $(Self::$kind => [$(stringify!($part)),+].len() == 2,)*
                }
            }

            /// Whether the fleet view is made of this kind.
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

            /// The ids that it consists of: one, or those of a pair.
            pub fn ids(&self) -> (Uuid, Option<Uuid>) {
                match *self {
                    $(Self::$kind($($part),+) => ($($part,)+).ids(),)*
                }
            }
        }

        impl Change {
            /// The entity.
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

            /// Whether a reader may forget the entity after the change: tombstones, and pairs that are confirmed to be gone.
            pub fn is_gone(&self) -> bool {
                match self {
                    $(Self::$kind(it) => it.is_gone(),)*
                }
            }

            /// The generator whose rows the entity is among; `None` for what belongs to admins only.
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
    Environment(Environment) by (id: EnvironmentId) in Document, view: false;
    /// An agent was created, changed or deleted.
    Agent(Agent) by (id: AgentId) in Table, view: true;
    /// A key was made or revoked.
    Key(ApiKey) by (id: KeyId) in Table, view: true;
    /// An agent's process reported.
    AgentSession(AgentSession) by (id: AgentId) in Table, view: false;
    /// A stack was created, changed, ordered to go, or is gone.
    Stack(Stack) by (id: StackId) in Table, view: true;
    /// A deployment object was published: its metadata. Never changes afterwards.
    DeploymentObject(DeploymentObject) by (id: DeploymentObjectId) in Table, view: true;
    /// A pair was listed, or its removal moved on.
    Assignment(Assignment) by (stack: StackId, agent: AgentId) in Table, view: true;
    /// A direct target was set or removed.
    Target(Target) by (stack: StackId, agent: AgentId) in Table, view: true;
    /// An agent reported on a stack.
    StackStatus(StackStatus) by (stack: StackId, agent: AgentId) in Table, view: false;
    /// An outcome was recorded. Never changes afterwards.
    Event(AgentEvent) by (agent: AgentId, event: EventId) in Table, view: false;
}

impl fmt::Display for EntityKey {
    /// The id alone; for pairs `<stack id>/<agent id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.ids()) {
            (Self::Event(_, id), _) => id.fmt(f),
            (_, (one, None)) => one.fmt(f),
            (_, (one, Some(other))) => write!(f, "{one}/{other}"),
        }
    }
}
