//! Why a grant does not allow an object.

use std::fmt;

/// The field of [`GrantRules`](super::GrantRules) that would have to allow more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GrantedField {
    /// The kinds.
    Kinds,
    /// The namespaces.
    Namespaces,
    /// The level of the Pod Security Standards.
    PodSecurity,
    /// Tokens of service accounts in Secrets and volumes.
    ServiceAccountTokens,
    /// The external IPs of Services.
    ExternalIps,
    /// Priority classes that Kubernetes reserves for its own components.
    SystemPriority,
    /// Taking over existing objects.
    Adopt,
    /// Taking over fields of other managers.
    ForceConflicts,
}

impl fmt::Display for GrantedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kinds => "kinds",
            Self::Namespaces => "namespaces",
            Self::PodSecurity => "pod_security",
            Self::ServiceAccountTokens => "service_account_tokens",
            Self::ExternalIps => "external_ips",
            Self::SystemPriority => "system_priority",
            Self::Adopt => "adopt",
            Self::ForceConflicts => "force_conflicts",
        })
    }
}

/// One thing in an object or in policies that a grant does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field of the grant that would have to allow more.
    pub field: GrantedField,
    /// What is not allowed, for example `the kind ClusterRole.rbac.authorization.k8s.io`.
    pub what: String,
}

impl Violation {
    pub(super) fn new(field: GrantedField, what: impl Into<String>) -> Self {
        Self { field, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not allowed ({})", self.what, self.field)
    }
}
