//! What an agent may touch, as its own cluster's operators say: the broker cannot widen it.

use std::collections::BTreeSet;
use std::str::FromStr;

use brokkr_core::model::ObjectRef;

use crate::order::is_namespace;

/// What a person can do about an object that the limits forbid.
pub(crate) const LIMITS_REMEDY: &str = "take the object out of the stack, or let the agent's operator allow it \
                                        (BROKKR__AGENT__ALLOW_KINDS or BROKKR__AGENT__NAMESPACES)";

/// Kinds that are allowed: `Deployment.apps`, `ConfigMap`, `*.apps`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindPattern {
    /// `None` for every kind.
    kind: Option<String>,
    /// `None` for every group.
    group: Option<String>,
}

/// A text that is no pattern of kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no kinds; write Kind for the core group, Kind.group, *.group, or * for all")]
pub struct NotAPattern(String);

impl FromStr for KindPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self { kind: None, group: None });
        }
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_alphanumeric());
        let is_group = group.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-'));
        if !(kind == "*" || is_word(kind)) || !is_group || text.ends_with('.') {
            return Err(NotAPattern(text.chars().take(64).collect()));
        }
        Ok(Self { kind: (kind != "*").then(|| kind.to_owned()), group: Some(group.to_owned()) })
    }
}

impl KindPattern {
    fn matches(&self, object: &ObjectRef) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == object.kind)
            && self.group.as_ref().is_none_or(|group| *group == object.group)
    }
}

/// What an agent may touch. Without limits that is whatever its rights in the cluster allow.
///
/// ```
/// use brokkr_reconcile::LocalLimits;
///
/// let limits = LocalLimits::default()
///     .only_kinds(["ConfigMap".parse()?, "*.apps".parse()?])
///     .only_namespaces(["shop", "shop-jobs"]);
/// # Ok::<_, brokkr_reconcile::NotAPattern>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalLimits {
    kinds: Option<BTreeSet<KindPattern>>,
    pub(crate) namespaces: Option<BTreeSet<String>>,
}

impl LocalLimits {
    /// The only kinds that the agent may create, change and delete. Default: all. An empty list forbids every kind.
    #[must_use]
    pub fn only_kinds(mut self, kinds: impl IntoIterator<Item = KindPattern>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// The only namespaces that the agent works in. Default: all. It then needs rights in these alone: it asks nothing of the whole
    /// cluster, refuses objects without a namespace, and uses a Namespace without writing it. An empty list forbids every object.
    #[must_use]
    pub fn only_namespaces(mut self, namespaces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.namespaces = Some(namespaces.into_iter().map(Into::into).collect());
        self
    }

    /// Why an object may not be touched; `None` if it may. A Namespace among those it works in is never touched, only used.
    pub(crate) fn refuse(&self, object: &ObjectRef) -> Option<String> {
        if let Some(namespaces) = &self.namespaces {
            let place = if is_namespace(object) { Some(&object.name) } else { object.namespace.as_ref() };
            match place {
                None => return Some("this agent works in some namespaces only, and this object is in none".to_owned()),
                Some(namespace) if !namespaces.contains(namespace) => {
                    return Some(format!("this agent does not work in the namespace {namespace}"));
                }
                Some(_) if is_namespace(object) => return None,
                Some(_) => {}
            }
        }
        let kinds = self.kinds.as_ref()?;
        if kinds.iter().any(|it| it.matches(object)) {
            return None;
        }
        Some(format!("this agent is not allowed to manage the kind {}", object.kind))
    }

    /// Where to look for objects of a kind: in the whole cluster, or in each of these namespaces.
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
    fn patterns_match_kind_and_group() {
        let limits =
            |kinds: &[&str]| LocalLimits::default().only_kinds(kinds.iter().map(|it| it.parse().expect("a pattern")));
        let deployment = object("apps", "Deployment", Some("a"), "x");
        let map = object("", "ConfigMap", Some("a"), "x");
        assert_eq!(limits(&["*"]).refuse(&deployment), None);
        assert_eq!(limits(&["Deployment.apps"]).refuse(&deployment), None);
        assert_eq!(limits(&["*.apps"]).refuse(&deployment), None);
        assert!(limits(&["*.apps"]).refuse(&map).is_some());
        assert!(limits(&["Deployment"]).refuse(&deployment).is_some(), "that is another group's");
        assert_eq!(limits(&["ConfigMap"]).refuse(&map), None);
        assert!(limits(&[]).refuse(&map).is_some());
        for wrong in ["", ".", "a.", "a b", "*.a b", "Deploy*"] {
            assert!(wrong.parse::<KindPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn namespaces_limit_objects() {
        let limits = LocalLimits::default().only_namespaces(["a"]);
        assert_eq!(limits.refuse(&object("", "ConfigMap", Some("a"), "x")), None);
        assert!(limits.refuse(&object("", "ConfigMap", Some("b"), "x")).is_some());
        assert!(limits.refuse(&object("rbac.authorization.k8s.io", "ClusterRole", None, "x")).is_some());
        assert_eq!(limits.refuse(&object("", "Namespace", None, "a")), None);
        assert!(limits.refuse(&object("", "Namespace", None, "b")).is_some());
        assert_eq!(limits.places(true), [Some("a")]);
        assert!(limits.places(false).is_empty());
        assert_eq!(LocalLimits::default().places(false), [None]);
    }
}
