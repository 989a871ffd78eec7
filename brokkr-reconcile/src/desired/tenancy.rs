//! What a generator may deploy, and what the agent adds to its stacks.

use std::sync::Arc;

use brokkr_core::model::{GeneratorId, ObjectRef};
use brokkr_core::protocol::Tenant;
use serde_json::{Map, Value, json};

use crate::limits::LocalLimits;
use crate::order::{is_namespace, is_rbac, namespace_ref};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;

/// The level of the Pod Security Standards that a Namespace enforces.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";

/// The generator of a stack, with what its grant and the agent allow.
pub(crate) struct Tenancy<'a> {
    tenant: &'a Tenant,
    is_unrestricted: bool,
    /// Whether the agent writes the objects with the rights of the generator.
    impersonates: bool,
}

impl<'a> Tenancy<'a> {
    pub(crate) fn new(tenant: &'a Tenant, impersonates: bool) -> Self {
        Self { tenant, is_unrestricted: tenant.rules.is_unrestricted(), impersonates }
    }

    /// Returns the problem of an object that the grant does not allow.
    pub(crate) fn refuse(&self, object: &Arc<ObjectRef>, body: &Map<String, Value>) -> Option<ObjectProblem> {
        if self.is_unrestricted {
            return None;
        }
        let Tenant { name, rules, .. } = self.tenant;
        let refused = |message: String| ObjectProblem::failed(object.clone(), Reason::NotAllowed, message);
        let violations = rules.violations(name, &object.group, &object.kind, object.namespace.as_deref(), body);
        if !violations.is_empty() {
            let told = violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let problem = refused(format!("the grant of the generator {name}: {told}"));
            return Some(problem.with_remedy("change the object, or ask an admin of the broker for another grant"));
        }
        // With the agent's own rights, a tenant could grant itself all of them.
        if is_rbac(object) && !self.impersonates {
            let message = "a restricting grant allows RBAC only on agents that impersonate their generators";
            return Some(refused(message.to_owned()).with_remedy(format!(
                "ask the operator of the agent to set BROKKR__AGENT__IMPERSONATE=true and to give the generator rights; \
                 `brokkr-agent rbac --generator {name}` prints them"
            )));
        }
        None
    }

    /// Completes an object: a Namespace enforces the grant's level of the Pod Security Standards.
    pub(crate) fn complete(&self, object: &ObjectRef, body: &mut Map<String, Value>) {
        if self.is_unrestricted || !is_namespace(object) {
            return;
        }
        let metadata = body.entry("metadata").or_insert_with(|| json!({}));
        let Some(metadata) = metadata.as_object_mut() else { return };
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        // Below `privileged`, the grant does not allow labels of its own.
        if let Some(labels) = labels.as_object_mut().filter(|it| !it.contains_key(ENFORCE)) {
            labels.insert(ENFORCE.to_owned(), json!(self.tenant.rules.pod_security));
            labels.insert(ENFORCE_VERSION.to_owned(), json!("latest"));
        }
    }

    /// Returns the Namespace with the generator's name, if some of the objects are in it. Publishers need not add it: it is the
    /// default namespace of their stacks.
    pub(crate) fn own_namespace<'o>(
        &self,
        mut objects: impl Iterator<Item = &'o ObjectRef>,
        limits: &LocalLimits,
    ) -> Option<(Arc<ObjectRef>, Map<String, Value>)> {
        let name = self.tenant.name.as_str();
        let is_used = objects.any(|it| it.namespace.as_deref() == Some(name));
        // An agent that works only in some namespaces does not create them.
        if self.tenant.generator_id == GeneratorId::SYSTEM || limits.namespaces.is_some() || !is_used {
            return None;
        }
        let object = Arc::new(namespace_ref(name));
        let mut body = Map::new();
        body.insert("apiVersion".to_owned(), json!("v1"));
        body.insert("kind".to_owned(), json!("Namespace"));
        body.insert("metadata".to_owned(), json!({"name": name}));
        let is_refused = limits.refuse(&object).is_some() || self.refuse(&object, &body).is_some();
        (!is_refused).then_some((object, body))
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::{GrantRules, PodSecurity};

    use super::*;

    fn tenant(change: impl FnOnce(&mut GrantRules)) -> Tenant {
        let mut rules = GrantRules::default();
        change(&mut rules);
        Tenant { generator_id: GeneratorId::generate(), name: "shop".to_owned(), rules }
    }

    fn object(group: &str, kind: &str, namespace: &str) -> Arc<ObjectRef> {
        let namespace = Some(namespace.to_owned());
        Arc::new(ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace, name: "it".to_owned() })
    }

    #[test]
    fn rbac_needs_a_grant_and_impersonation() {
        let granted = tenant(|rules| {
            rules.kinds.insert("Role.rbac.authorization.k8s.io".parse().expect("a pattern"));
        });
        let role = object("rbac.authorization.k8s.io", "Role", "shop");
        for (tenant, impersonates, expected) in [
            (&tenant(|_| ()), false, Some("the kind Role.rbac.authorization.k8s.io is not allowed")),
            (&tenant(|_| ()), true, Some("the kind Role.rbac.authorization.k8s.io is not allowed")),
            (&granted, false, Some("only on agents that impersonate")),
            (&granted, true, None),
            (&tenant(|rules| *rules = GrantRules::unrestricted()), false, None),
        ] {
            let problem = Tenancy::new(tenant, impersonates).refuse(&role, &Map::new());
            match (&problem, expected) {
                (None, None) => {}
                (Some(problem), Some(expected)) if problem.message.contains(expected) => {}
                _ => panic!("impersonates: {impersonates}: {problem:?}"),
            }
            let remedy = problem.and_then(|it| it.remedy).unwrap_or_default();
            assert_eq!(
                remedy.contains("BROKKR__AGENT__IMPERSONATE"),
                expected.is_some_and(|it| it.starts_with("only"))
            );
        }
    }

    #[test]
    fn namespace_enforces_the_level_of_the_grant() {
        let labels = |rules: &dyn Fn(&mut GrantRules), own: Value| {
            let tenant = tenant(|it| rules(it));
            let mut body = Map::from_iter([("metadata".to_owned(), json!({"name": "shop", "labels": own}))]);
            Tenancy::new(&tenant, false).complete(&namespace_ref("shop"), &mut body);
            body["metadata"]["labels"].take()
        };
        let level = |level: &str| json!({ENFORCE: level, ENFORCE_VERSION: "latest"});
        assert_eq!(labels(&|_| (), json!({})), level("baseline"));
        assert_eq!(labels(&|it| it.pod_security = PodSecurity::Restricted, json!({})), level("restricted"));
        let own = json!({ENFORCE: "baseline"});
        assert_eq!(
            labels(&|it| it.pod_security = PodSecurity::Privileged, own.clone()),
            own,
            "the tenant's own choice"
        );
        assert_eq!(labels(&|it| *it = GrantRules::unrestricted(), json!({})), json!({}));
    }

    #[test]
    fn own_namespace_is_added_if_it_is_used_and_allowed() {
        let shop = tenant(|_| ());
        let own = |tenant: &Tenant, namespace: &str, limits: &LocalLimits| {
            let object = object("", "ConfigMap", namespace);
            let added = Tenancy::new(tenant, false).own_namespace(std::iter::once(&*object), limits);
            added.map(|(object, _)| object.name.clone())
        };
        let any = LocalLimits::default();
        assert_eq!(own(&shop, "shop", &any), Some("shop".to_owned()));
        assert_eq!(own(&shop, "shop-jobs", &any), None, "nothing is in it");
        assert_eq!(own(&tenant(|it| *it = GrantRules::nothing()), "shop", &any), None, "not granted");
        assert_eq!(own(&shop, "shop", &any.clone().only_namespaces(["shop"])), None, "the agent creates none");
        assert_eq!(own(&shop, "shop", &any.clone().only_kinds([])), None, "the agent may not");
        assert_eq!(own(&Tenant::system(), "system", &any), None);
    }
}
