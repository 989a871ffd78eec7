//! The rights of impersonated users: RBAC, as far as Roles and their bindings decide.

use serde_json::Value;

use crate::cluster::memory::state::State;
use crate::cluster::{ApiKind, ClusterError, ClusterResult, ImpersonatedUser, ObjectKey, meta};

const RBAC: &str = "rbac.authorization.k8s.io";

/// What a request does, in the words of RBAC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) namespace: Option<&'a str>,
    /// Absent for requests about several objects.
    pub(super) name: Option<&'a str>,
}

impl<'a> Access<'a> {
    pub(super) fn to(verb: &'a str, at: &ObjectKey<'a>) -> Self {
        // The name of a new object is not known when the server checks the right to create.
        let name = Some(at.name).filter(|_| verb != "create");
        Self { verb, group: &at.kind.group, resource: &at.kind.plural, namespace: at.namespace, name }
    }
}

/// The strings of a list in a rule.
fn texts<'v>(rule: &'v Value, field: &str) -> impl Iterator<Item = &'v str> {
    rule.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn allows(rule: &Value, access: &Access<'_>) -> bool {
    let has = |field: &str, wanted: &str| texts(rule, field).any(|it| it == "*" || it == wanted);
    let mut names = texts(rule, "resourceNames").peekable();
    let is_named = names.peek().is_none() || access.name.is_some_and(|name| names.any(|it| it == name));
    has("verbs", access.verb) && has("apiGroups", access.group) && has("resources", access.resource) && is_named
}

impl State {
    /// Checks the right of a user.
    pub(super) fn check_right(&self, user: &ImpersonatedUser, access: &Access<'_>) -> ClusterResult<()> {
        if self.rules_of(user, access.namespace).iter().any(|rule| allows(rule, access)) {
            return Ok(());
        }
        let Access { verb, group, resource, .. } = access;
        let place = match access.namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        Err(ClusterError::Forbidden(format!(
            "{resource} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}",
            user.name
        )))
    }

    /// Checks that a role, or the role of a binding, grants nothing that the user does not have.
    pub(super) fn check_escalation(
        &self,
        user: &ImpersonatedUser,
        at: &ObjectKey<'_>,
        body: &Value,
    ) -> ClusterResult<()> {
        if at.kind.group != RBAC {
            return Ok(());
        }
        let handed_on = match body.get("roleRef") {
            Some(role) => self.rules_of_role(role, at.namespace),
            None => body.get("rules").and_then(Value::as_array).into_iter().flatten().collect(),
        };
        let own = self.rules_of(user, at.namespace);
        if handed_on.into_iter().all(|rule| is_covered(rule, &own)) {
            return Ok(());
        }
        let message = format!(
            "{} \"{}\" is forbidden: user \"{}\" is attempting to grant RBAC permissions not currently held",
            at.kind.plural, at.name, user.name
        );
        Err(ClusterError::Denied(message))
    }

    /// The rules that apply to a user in a namespace, or in the whole cluster.
    fn rules_of(&self, user: &ImpersonatedUser, namespace: Option<&str>) -> Vec<&Value> {
        let of_kind = |kind: &str, plural: &str, namespaced, namespace| {
            let kind = ApiKind::v1(RBAC, kind, plural, namespaced);
            let bindings = self.of_kind(&kind, namespace).filter(|binding| is_about(binding, user));
            bindings.collect::<Vec<_>>()
        };
        let mut bindings = of_kind("ClusterRoleBinding", "clusterrolebindings", false, None);
        if namespace.is_some() {
            bindings.extend(of_kind("RoleBinding", "rolebindings", true, namespace));
        }
        let role = |binding: &Value| Some(self.rules_of_role(binding.get("roleRef")?, meta::namespace(binding)));
        bindings.into_iter().filter_map(role).flatten().collect()
    }

    fn rules_of_role(&self, role: &Value, namespace: Option<&str>) -> Vec<&Value> {
        let text = |field: &str| role.get(field).and_then(Value::as_str).unwrap_or_default();
        let kind = match text("kind") {
            "ClusterRole" => ApiKind::v1(RBAC, "ClusterRole", "clusterroles", false),
            _ => ApiKind::v1(RBAC, "Role", "roles", true),
        };
        let role = self.get(&kind.at(namespace, text("name")));
        role.and_then(|it| it.get("rules")?.as_array()).into_iter().flatten().collect()
    }
}

fn is_about(binding: &Value, user: &ImpersonatedUser) -> bool {
    let subjects = binding.get("subjects").and_then(Value::as_array).into_iter().flatten();
    subjects.into_iter().any(|subject| {
        let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
        match text("kind") {
            "User" => text("name") == user.name,
            "Group" => user.groups.iter().any(|it| it == text("name")),
            _ => false,
        }
    })
}

/// Whether a user with these rules has every right of a rule.
fn is_covered(rule: &Value, own: &[&Value]) -> bool {
    let names: Vec<Option<&str>> = match texts(rule, "resourceNames").collect::<Vec<_>>() {
        names if names.is_empty() => vec![None],
        names => names.into_iter().map(Some).collect(),
    };
    texts(rule, "verbs").all(|verb| {
        texts(rule, "apiGroups").all(|group| {
            texts(rule, "resources").all(|resource| {
                let access = |name| Access { verb, group, resource, namespace: None, name };
                names.iter().all(|name| own.iter().any(|rule| allows(rule, &access(*name))))
            })
        })
    })
}
