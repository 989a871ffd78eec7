//! Typed identities: one type per entity, so that one cannot stand where another is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text is not the canonical form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID in lower-case hyphenated form")]
pub struct InvalidId;

/// Parses only the canonical form (RFC 9562: lower case, hyphens), so that one id has one spelling.
fn parse(text: &str) -> Result<Uuid, InvalidId> {
    let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
    let mut buffer = Uuid::encode_buffer();
    if id.hyphenated().encode_lower(&mut buffer) == text { Ok(id) } else { Err(InvalidId) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid, pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: UUID version 7 of the present time.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id that a store kept as a UUID.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID, for a store.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// Identity of an agent.
    AgentId;
    /// Identity of an audit record.
    AuditId;
    /// Identity of a deployment object.
    DeploymentObjectId;
    /// Identity of an environment.
    EnvironmentId;
    /// The history that a store's answers belong to. It changes when history may have forked: agents then
    /// remove nothing until an admin has confirmed the new one.
    Epoch;
    /// Identity of an event of an agent; given by the agent, so that a repeated report is recognised.
    EventId;
    /// Identity of a generator.
    GeneratorId;
    /// One run of an agent's process.
    InstanceId;
    /// Identity of a key.
    KeyId;
    /// Identity of one request to the broker.
    RequestId;
    /// Identity of a stack.
    StackId;
}

impl GeneratorId {
    /// The system generator: the owner of stacks that an admin creates without naming one. It exists in
    /// every store from the first start and is never deleted.
    pub const SYSTEM: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));
}

impl KeyId {
    /// The admin key that the first start of all makes. It has one identity, so that of several brokers that start on
    /// new data at the same moment one makes it.
    pub const INITIAL: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0002));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let id = StackId::generate();
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for wrong in [
            text.to_uppercase(),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            text.replace('-', ""),
            format!("{text} "),
            format!("{text}."),
            String::new(),
        ] {
            if wrong != text {
                assert_eq!(wrong.parse::<StackId>(), Err(InvalidId), "{wrong}");
            }
        }
    }
}
