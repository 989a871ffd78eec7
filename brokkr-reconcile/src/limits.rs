//! Local limits: what an agent may manage, set by the operators of its cluster. The broker cannot widen them.

use std::collections::BTreeSet;

use brokkr_core::model::{KindPattern, ObjectRef};

use crate::order::is_namespace;

/// Limits what an agent may manage. Default: no limits beyond the agent's rights in the cluster.
///
/// ```
/// use brokkr_reconcile::LocalLimits;
///
/// let limits = LocalLimits::default()
///     .only_kinds(["ConfigMap".parse()?, "*.apps".parse()?])
///     .only_namespaces(["shop", "shop-jobs"]);
/// # Ok::<_, brokkr_core::model::NotAPattern>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalLimits {
    kinds: Option<BTreeSet<KindPattern>>,
    pub(crate) namespaces: Option<BTreeSet<String>>,
}

impl LocalLimits {
    /// Sets the only kinds that the agent may create, change and delete. Default: all. An empty list forbids every kind.
    #[must_use]
    pub fn only_kinds(mut self, kinds: impl IntoIterator<Item = KindPattern>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Sets the only namespaces that the agent works in. Default: all.
    ///
    /// The agent then needs rights only in these namespaces: it reads nothing cluster-wide, rejects cluster-scoped
    /// objects, and does not write the Namespaces themselves. An empty list forbids every object.
    #[must_use]
    pub fn only_namespaces(mut self, namespaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.namespaces = Some(namespaces.into_iter().map(Into::into).collect());
        self
    }

    /// Returns why the agent may not manage an object; `None` if it may. The agent may use, but never writes, a Namespace
    /// that it works in.
    pub(crate) fn refuse(&self, object: &ObjectRef) -> Option<String> {
        if let Some(problem) = self.refuse_place(object) {
            return Some(problem);
        }
        if self.namespaces.is_some() && is_namespace(object) {
            return None;
        }
        let kinds = self.kinds.as_ref()?;
        if kinds.iter().any(|it| it.matches(&object.group, &object.kind)) {
            return None;
        }
        Some(format!("this agent is not allowed to manage the kind {}", object.kind))
    }

    /// Returns how to fix an object that the limits forbid.
    pub(crate) fn remedy(&self, object: &ObjectRef) -> String {
        let setting = match self.refuse_place(object) {
            Some(_) => "BROKKR__AGENT__NAMESPACES",
            None => "BROKKR__AGENT__ALLOW_KINDS",
        };
        format!("remove the object from the stack, or ask the operator of the agent to allow it ({setting})")
    }

    /// Returns why the agent may not manage an object where it is.
    fn refuse_place(&self, object: &ObjectRef) -> Option<String> {
        let namespaces = self.namespaces.as_ref()?;
        let place = if is_namespace(object) { Some(&object.name) } else { object.namespace.as_ref() };
        match place {
            None => Some("this agent works only in some namespaces, and this object is cluster-scoped".to_owned()),
            Some(namespace) if !namespaces.contains(namespace) => {
                Some(format!("this agent is not allowed to work in the namespace {namespace}"))
            }
            Some(_) => None,
        }
    }

    /// Returns where to list objects of a kind: `None` for the whole cluster, or each allowed namespace.
    pub(crate) fn places(&self, namespaced: bool) -> Vec<Option<&str>> {
        match &self.namespaces {
            Some(namespaces) if namespaced => namespaces.iter().map(|it| Some(it.as_str())).collect(),
            Some(_) => Vec::new(),
            None => vec![None],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
        let namespace = namespace.map(str::to_owned);
        ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() }
    }

    #[test]
    fn kinds_limit_objects() {
        let limits =
            |kinds: &[&str]| LocalLimits::default().only_kinds(kinds.iter().map(|it| it.parse().expect("a pattern")));
        let deployment = object("apps", "Deployment", Some("a"), "x");
        let map = object("", "ConfigMap", Some("a"), "x");
        assert_eq!(limits(&["*"]).refuse(&deployment), None);
        assert_eq!(limits(&["Deployment.apps"]).refuse(&deployment), None);
        assert_eq!(limits(&["*.apps"]).refuse(&deployment), None);
        assert!(limits(&["*.apps"]).refuse(&map).is_some());
        assert!(limits(&["Deployment"]).refuse(&deployment).is_some(), "it is in another group");
        assert_eq!(limits(&["ConfigMap"]).refuse(&map), None);
        assert!(limits(&[]).refuse(&map).is_some());
    }

    #[test]
    fn namespaces_limit_objects() {
        let limits = LocalLimits::default().only_namespaces(["a"]);
        assert_eq!(limits.refuse(&object("", "ConfigMap", Some("a"), "x")), None);
        assert!(limits.refuse(&object("", "ConfigMap", Some("b"), "x")).is_some());
        assert!(limits.refuse(&object("rbac.authorization.k8s.io", "ClusterRole", None, "x")).is_some());
        assert_eq!(limits.refuse(&object("", "Namespace", None, "a")), None);
        let both = limits.clone().only_kinds(["Secret".parse().expect("a pattern")]);
        for (namespace, setting) in [("a", "BROKKR__AGENT__ALLOW_KINDS"), ("b", "BROKKR__AGENT__NAMESPACES")] {
            let map = object("", "ConfigMap", Some(namespace), "x");
            assert!(both.refuse(&map).is_some() && both.remedy(&map).ends_with(&format!("({setting})")), "{namespace}");
        }
        assert!(limits.refuse(&object("", "Namespace", None, "b")).is_some());
        assert_eq!(limits.places(true), [Some("a")]);
        assert!(limits.places(false).is_empty());
        assert_eq!(LocalLimits::default().places(false), [None]);
    }
}
