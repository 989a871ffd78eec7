//! What a server serves.

use crate::cluster::ApiKind;

/// The kinds that a server serves, and the groups of which it could not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// All kinds in all versions; within a group and kind the preferred version first.
    pub kinds: Vec<ApiKind>,
    /// Groups whose content is unknown or out of date, because the server behind them does not answer.
    pub failed: Vec<String>,
}

impl Discovery {
    /// The kind in the preferred version.
    pub fn preferred(&self, group: &str, kind: &str) -> Option<&ApiKind> {
        self.kinds.iter().find(|it| it.group == group && it.kind == kind)
    }

    /// The kind in this version.
    pub fn exact(&self, group: &str, version: &str, kind: &str) -> Option<&ApiKind> {
        self.kinds.iter().find(|it| it.group == group && it.kind == kind && it.version == version)
    }

    /// Whether it is certain that nothing of this kind is served.
    pub fn certainly_lacks(&self, group: &str, kind: &str) -> bool {
        self.preferred(group, kind).is_none() && !self.failed.iter().any(|failed| failed == group)
    }
}
