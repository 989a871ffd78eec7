//! Typed ids: one type per kind of entity, so that the compiler catches mixed-up ids.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The text is not the canonical form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid id: expected {FORM}")]
pub struct InvalidId;

const FORM: &str = "a UUID in lower-case hyphenated form";

/// Accepts only the canonical form (RFC 9562: lower case, hyphens), so that each id has exactly one text form.
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
            /// Generates a new id: a UUID version 7 of the current time.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Creates an id from the UUID that a store holds.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID of the id.
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
                text.parse().map_err(|_| D::Error::invalid_value(Unexpected::Other("another text"), &FORM))
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
    /// The id of a history of the record. A new epoch begins when the record may have been set back, for example by a
    /// restore. Agents then remove nothing until an admin confirms the new epoch.
    Epoch;
    /// Identity of an agent event. The agent chooses it, so that the broker recognises repeated reports.
    EventId;
    /// Identity of a generator.
    GeneratorId;
    /// Identity of a grant.
    GrantId;
    /// Identity of one run of an agent's or a broker's process.
    InstanceId;
    /// Identity of a join token.
    JoinTokenId;
    /// Identity of a key.
    KeyId;
    /// Identity of one request to the broker.
    RequestId;
    /// Identity of a stack.
    StackId;
}

impl GeneratorId {
    /// The system generator. It owns the stacks that an admin creates without naming a generator. Every store has it
    /// from the first start, and it cannot be deleted.
    pub const SYSTEM: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));
}

impl GrantId {
    /// The grant `default`, which new registrations have. Every store has it from the first start; admins may change it.
    pub const DEFAULT: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0003));
    /// The grant `unrestricted`, which allows everything. Every store has it from the first start, and it cannot be
    /// changed.
    pub const UNRESTRICTED: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0004));
}

impl KeyId {
    /// The admin key that the first start creates. Its id is fixed, so that only one is created when several brokers
    /// start on new data at the same time.
    pub const INITIAL: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0002));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_canonical_id_is_refused() {
        let id = StackId::generate();
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for invalid in [
            text.to_uppercase(),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            text.replace('-', ""),
            format!("{text} "),
            format!("{text}."),
            String::new(),
        ] {
            if invalid != text {
                assert_eq!(invalid.parse::<StackId>(), Err(InvalidId), "{invalid}");
            }
        }
    }
}
