//! The kinds of API keys.

use serde::{Deserialize, Serialize};

/// The kinds of API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum KeyKind {
    /// A person or system that acts on the whole fleet, as far as the scopes of the key permit.
    Admin,
    /// As `admin`, with scopes that permit no change.
    AdminReadOnly,
    /// One agent.
    Agent,
    /// One generator: its own stacks and what belongs to them.
    Generator,
    /// A new agent, which exchanges the token for a key of its own.
    JoinToken,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Admin, Self::AdminReadOnly, Self::Agent, Self::Generator, Self::JoinToken];

    /// The word for this kind in the text of a key.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::AdminReadOnly => "reader",
            Self::Agent => "agent",
            Self::Generator => "generator",
            Self::JoinToken => "join",
        }
    }
}
