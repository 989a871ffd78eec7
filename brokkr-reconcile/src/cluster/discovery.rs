//! The result of API discovery.

use crate::cluster::ApiKind;

/// The kinds that an API server serves, and the groups whose discovery failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// All kinds in all versions. Within a group and kind, the preferred version comes first.
    pub kinds: Vec<ApiKind>,
    /// Groups whose kinds are unknown or stale, because the aggregated API server does not respond.
    pub failed: Vec<String>,
}

impl Discovery {
    /// Returns the kind in its preferred version.
    pub fn preferred(&self, group: &str, kind: &str) -> Option<&ApiKind> {
        self.kinds.iter().find(|it| it.group == group && it.kind == kind)
    }

    /// Returns the kind in the given version.
    pub fn exact(&self, group: &str, version: &str, kind: &str) -> Option<&ApiKind> {
        self.kinds.iter().find(|it| it.group == group && it.kind == kind && it.version == version)
    }

    /// Whether the server certainly does not serve the kind: discovery of its group succeeded and does not list it.
    pub fn certainly_lacks(&self, group: &str, kind: &str) -> bool {
        self.preferred(group, kind).is_none() && !self.failed.iter().any(|failed| failed == group)
    }
}
