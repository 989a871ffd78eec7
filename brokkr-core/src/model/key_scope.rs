//! Scopes of keys: what the holder of a key may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::{KeyKind, Name, limits};

/// One right of a key. The owner of the key limits the rows: a generator's key reaches only the generator's own stacks.
///
/// ```
/// use brokkr_core::model::KeyScope;
///
/// assert_eq!("stacks:write".parse(), Ok(KeyScope::StacksWrite));
/// assert_eq!("gate:tests".parse::<KeyScope>()?.to_string(), "gate:tests");
/// # Ok::<_, brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyScope {
    /// `stacks:read`: read stacks, their deployment objects without secret values, their placement, status and events.
    StacksRead,
    /// `stacks:write`: create, change and delete stacks, publish, and set targets.
    StacksWrite,
    /// `fleet:read`: read agents, generators, grants, environments, join tokens and target states.
    FleetRead,
    /// `fleet:write`: change agents, generators, grants, environments, join tokens and registrations. Creating an agent, a
    /// generator or a join token creates a key, so it also needs `keys`.
    FleetWrite,
    /// `audit:read`: read the audit, the feed of all changes, and the metadata of all keys.
    AuditRead,
    /// `keys`: revoke keys, and create and rotate keys within the scopes and the expiry time of the presented key.
    Keys,
    /// `rollouts:approve`: approve rollouts.
    RolloutsApprove,
    /// `environments:promote`: promote releases from one environment to the next.
    EnvironmentsPromote,
    /// `break-glass`: act on a protected environment without its approvals, with a reason.
    BreakGlass,
    /// `secrets:read`: read the values of Secrets in manifests.
    SecretsRead,
    /// `gate:*`: report the result of every gate.
    AnyGate,
    /// `gate:<name>`: report the result of this gate.
    Gate(Name),
    /// `agent`: the agent protocol, for the key's own agent. Every agent key has it, and only agent keys.
    Agent,
}

/// The scopes without a gate's name.
const FIXED: [(KeyScope, &str); 12] = [
    (KeyScope::StacksRead, "stacks:read"),
    (KeyScope::StacksWrite, "stacks:write"),
    (KeyScope::FleetRead, "fleet:read"),
    (KeyScope::FleetWrite, "fleet:write"),
    (KeyScope::AuditRead, "audit:read"),
    (KeyScope::Keys, "keys"),
    (KeyScope::RolloutsApprove, "rollouts:approve"),
    (KeyScope::EnvironmentsPromote, "environments:promote"),
    (KeyScope::BreakGlass, "break-glass"),
    (KeyScope::SecretsRead, "secrets:read"),
    (KeyScope::AnyGate, "gate:*"),
    (KeyScope::Agent, "agent"),
];

impl KeyScope {
    /// Every scope, except those of single gates.
    pub fn fixed() -> impl Iterator<Item = Self> {
        FIXED.iter().map(|(scope, _)| scope.clone())
    }

    /// Whether the scope permits no change.
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::StacksRead | Self::FleetRead | Self::AuditRead | Self::SecretsRead)
    }

    /// Whether keys of this kind can have the scope.
    pub fn fits(&self, kind: KeyKind) -> bool {
        match kind {
            KeyKind::Agent | KeyKind::JoinToken => *self == Self::Agent,
            KeyKind::Admin => *self != Self::Agent,
            KeyKind::AdminReadOnly => self.only_reads(),
            KeyKind::Generator => {
                !matches!(self, Self::FleetRead | Self::FleetWrite | Self::AuditRead | Self::BreakGlass | Self::Agent)
            }
        }
    }
}

impl FromStr for KeyScope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some((scope, _)) = FIXED.iter().find(|(_, word)| *word == text) {
            return Ok(scope.clone());
        }
        if let Some(gate) = text.strip_prefix("gate:") {
            return Ok(Self::Gate(gate.parse()?));
        }
        let known: Vec<&str> = FIXED.iter().map(|(_, word)| *word).collect();
        let message = format!("\"{}\" is not a scope; use gate:<name> or one of: {}", excerpt(text), known.join(", "));
        Err(Invalid::new(InvalidCode::FieldInvalid, message))
    }
}

impl TryFrom<String> for KeyScope {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<KeyScope> for String {
    fn from(scope: KeyScope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(name) => write!(f, "gate:{name}"),
            fixed => f.write_str(FIXED.iter().find(|(scope, _)| scope == fixed).map_or("", |(_, word)| word)),
        }
    }
}

/// The scopes of one key, at most [`KEY_SCOPES_TOTAL`](limits::KEY_SCOPES_TOTAL).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<KeyScope>", into = "BTreeSet<KeyScope>")]
pub struct KeyScopes(BTreeSet<KeyScope>);

impl KeyScopes {
    /// Whether the scopes include this one. `gate:*` includes every gate.
    pub fn contains(&self, scope: &KeyScope) -> bool {
        self.0.contains(scope) || matches!(scope, KeyScope::Gate(_)) && self.0.contains(&KeyScope::AnyGate)
    }

    /// Whether every one of `others` is included.
    pub fn cover(&self, others: &Self) -> bool {
        self.lacks(others).is_none()
    }

    /// The first of `others` that is not included.
    pub fn lacks<'a>(&self, others: &'a Self) -> Option<&'a KeyScope> {
        others.iter().find(|scope| !self.contains(scope))
    }

    /// The scopes, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &KeyScope> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes of both sets.
    ///
    /// # Errors
    ///
    /// [`FieldInvalid`](InvalidCode::FieldInvalid) if there are too many.
    pub fn with(&self, others: &Self) -> Result<Self, Invalid> {
        self.0.union(&others.0).cloned().collect::<BTreeSet<_>>().try_into()
    }
}

impl TryFrom<BTreeSet<KeyScope>> for KeyScopes {
    type Error = Invalid;

    fn try_from(scopes: BTreeSet<KeyScope>) -> Result<Self, Invalid> {
        if scopes.len() > limits::KEY_SCOPES_TOTAL {
            let message = format!("{} scopes; at most {} are allowed", scopes.len(), limits::KEY_SCOPES_TOTAL);
            return Err(Invalid::new(InvalidCode::FieldInvalid, message));
        }
        Ok(Self(scopes))
    }
}

impl From<KeyScopes> for BTreeSet<KeyScope> {
    fn from(scopes: KeyScopes) -> Self {
        scopes.0
    }
}

impl fmt::Display for KeyScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A named set of scopes. A key stores the scopes, not the preset, so existing keys do not change with a preset.
// A version that adds a scope to `Admin` adds it to the stored keys that have every other one, in a migration: otherwise
// nobody could give the new scope to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Preset {
    /// Every scope.
    Admin,
    /// Runs the fleet and the rollouts. Without keys, without the values of Secrets, without `break-glass`.
    Operator,
    /// Reads everything except the values of Secrets.
    Auditor,
    /// Reads and writes stacks.
    Publisher,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Auditor, Self::Publisher];

    /// The scopes of the preset.
    pub fn scopes(self) -> KeyScopes {
        use KeyScope::{
            Agent, AnyGate, AuditRead, EnvironmentsPromote, FleetRead, FleetWrite, RolloutsApprove, StacksRead,
            StacksWrite,
        };
        KeyScopes(match self {
            Self::Admin => KeyScope::fixed().filter(|scope| *scope != Agent).collect(),
            Self::Operator => BTreeSet::from([
                StacksRead,
                StacksWrite,
                FleetRead,
                FleetWrite,
                AuditRead,
                RolloutsApprove,
                EnvironmentsPromote,
                AnyGate,
            ]),
            Self::Auditor => BTreeSet::from([StacksRead, FleetRead, AuditRead]),
            Self::Publisher => BTreeSet::from([StacksRead, StacksWrite]),
        })
    }
}

impl KeyKind {
    /// The scopes of keys of this kind for which nobody chose scopes.
    pub fn default_scopes(self) -> KeyScopes {
        match self {
            Self::Admin => Preset::Admin.scopes(),
            Self::AdminReadOnly => Preset::Auditor.scopes(),
            // A join token gives this scope to the keys of agents, and permits nothing else.
            Self::Agent | Self::JoinToken => KeyScopes(BTreeSet::from([KeyScope::Agent])),
            Self::Generator => Preset::Publisher.scopes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_and_read_alike() {
        for scope in KeyScope::fixed().chain(["gate:e2e-tests".parse().expect("a gate")]) {
            assert_eq!(scope.to_string().parse(), Ok(scope.clone()));
            assert_eq!(serde_json::to_value(&scope).expect("JSON"), scope.to_string());
        }
        for wrong in ["", "stacks", "stacks:*", "gate:", "gate:UP", "gate:a:b", "Keys", "keys "] {
            assert!(wrong.parse::<KeyScope>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn any_gate_includes_every_gate_and_one_gate_only_itself() {
        let set = |words: &[&str]| -> KeyScopes {
            let scopes: BTreeSet<KeyScope> = words.iter().map(|it| it.parse().expect("a scope")).collect();
            scopes.try_into().expect("few")
        };
        for (held, wanted, covers) in [
            (set(&["gate:*"]), set(&["gate:a", "gate:b"]), true),
            (set(&["gate:a"]), set(&["gate:a"]), true),
            (set(&["gate:a"]), set(&["gate:b"]), false),
            (set(&["gate:a"]), set(&["gate:*"]), false),
            (set(&["keys"]), set(&[]), true),
            (set(&[]), set(&["keys"]), false),
        ] {
            assert_eq!(held.cover(&wanted), covers, "{held} covers {wanted}");
        }
    }

    #[test]
    fn presets_hold_exactly_their_scopes() {
        for (preset, scopes) in [
            (
                Preset::Admin,
                "stacks:read, stacks:write, fleet:read, fleet:write, audit:read, keys, rollouts:approve, \
                 environments:promote, break-glass, secrets:read, gate:*",
            ),
            (
                Preset::Operator,
                "stacks:read, stacks:write, fleet:read, fleet:write, audit:read, rollouts:approve, \
                 environments:promote, gate:*",
            ),
            (Preset::Auditor, "stacks:read, fleet:read, audit:read"),
            (Preset::Publisher, "stacks:read, stacks:write"),
        ] {
            assert_eq!(preset.scopes().to_string(), scopes);
            assert!(Preset::Admin.scopes().cover(&preset.scopes()));
        }
        assert!(Preset::Auditor.scopes().iter().all(KeyScope::only_reads));
        for kind in KeyKind::ALL {
            assert!(kind.default_scopes().iter().all(|scope| scope.fits(kind)), "{kind:?}");
        }
    }

    #[test]
    fn number_of_scopes_is_limited() {
        let gates = |n: usize| -> BTreeSet<KeyScope> {
            (0..n).map(|n| format!("gate:g{n}").parse().expect("a gate")).collect()
        };
        assert!(KeyScopes::try_from(gates(limits::KEY_SCOPES_TOTAL - 1)).is_ok());
        assert!(KeyScopes::try_from(gates(limits::KEY_SCOPES_TOTAL)).is_ok());
        assert!(KeyScopes::try_from(gates(limits::KEY_SCOPES_TOTAL + 1)).is_err());
    }
}
