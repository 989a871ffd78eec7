//! Typed ids: one type per kind of entity, so that the compiler catches mixed-up ids.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::model::Digest;

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
    /// Identity of a pin.
    PinId;
    /// Identity of one request to the broker.
    RequestId;
    /// Identity of a stack.
    StackId;
    /// Identity of the release of a stack in an environment.
    StackReleaseId;
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

/// The id that follows from two others: a UUID version 8.
fn derived(one: Uuid, other: Uuid) -> Uuid {
    let digest = Digest::of(&[*one.as_bytes(), *other.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_bytes()).for_each(|(byte, of)| *byte = *of);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl PinId {
    /// The id of the pin of a stack on an agent.
    pub fn of(stack: StackId, agent: AgentId) -> Self {
        Self(derived(stack.0, agent.0))
    }
}

impl StackReleaseId {
    /// The id of the release of a stack in an environment; `None`: on the agents without one.
    pub fn of(stack: StackId, environment: Option<EnvironmentId>) -> Self {
        Self(derived(stack.0, environment.map_or(Uuid::nil(), |id| id.0)))
    }
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
    fn derived_id_depends_on_both_parts() {
        let (stack, agent, environment) = (StackId::generate(), AgentId::generate(), EnvironmentId::generate());
        let id = PinId::of(stack, agent);
        assert_eq!(id, PinId::of(stack, agent));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.as_uuid().get_version_num(), 8);
        assert_ne!(id, PinId::of(StackId::generate(), agent));
        assert_ne!(id, PinId::of(stack, AgentId::generate()));
        let all = [Some(environment), Some(EnvironmentId::generate()), None].map(|it| StackReleaseId::of(stack, it));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_eq!(all[0], StackReleaseId::of(stack, Some(environment)));
    }

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
