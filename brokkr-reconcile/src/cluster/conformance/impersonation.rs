//! Checks of requests as another user.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::conformance::fixture::{Fixture, by, eventually, only};
use crate::cluster::{ApiKind, Cluster, ClusterError, ClusterResult, ImpersonatedUser, meta};

const RBAC: &str = "rbac.authorization.k8s.io";

/// A user without rights, and the cluster as this user sees it.
struct Stranger {
    fixture: Fixture,
    group: String,
    cluster: Arc<dyn Cluster>,
}

impl Stranger {
    async fn new(cluster: Arc<dyn Cluster>) -> Self {
        let fixture = Fixture::new(cluster.clone()).await;
        let group = format!("{}:group", fixture.namespace);
        let user = ImpersonatedUser { name: format!("{}:user", fixture.namespace), groups: vec![group.clone()] };
        Self { fixture, group, cluster: cluster.impersonate(&user) }
    }

    /// Applies a ConfigMap as the user.
    async fn applies(&self, name: &str, dry_run: bool) -> ClusterResult<Value> {
        let body = self.fixture.config_map(name, json!({"k": "1"}));
        let mut options = by("one");
        options.dry_run = dry_run;
        self.cluster.apply(&self.fixture.at(name), &body, &options).await.map(|it| it.object)
    }

    fn role(&self, name: &str, rules: &Value) -> Value {
        let metadata = json!({"name": name, "namespace": self.fixture.namespace});
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": metadata, "rules": rules})
    }

    /// Gives the user's group these rights in the namespace.
    async fn grant(&self, rules: Value) {
        let mut binding = self.role("granted", &rules);
        let role = binding.clone();
        binding["kind"] = json!("RoleBinding");
        binding.as_object_mut().expect("an object").remove("rules");
        binding["roleRef"] = json!({"apiGroup": RBAC, "kind": "Role", "name": "granted"});
        binding["subjects"] = json!([{"apiGroup": RBAC, "kind": "Group", "name": self.group}]);
        for (kind, plural, body) in [("Role", "roles", role), ("RoleBinding", "rolebindings", binding)] {
            let kind = ApiKind::v1(RBAC, kind, plural, true);
            let at = kind.at(Some(&self.fixture.namespace), "granted");
            self.fixture.cluster.apply(&at, &body, &by("fixture")).await.expect("a grant");
        }
    }
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

/// A request as another user has the rights of that user, and not those of the client.
pub async fn impersonated_user_has_only_its_own_rights(cluster: Arc<dyn Cluster>) {
    let stranger = Stranger::new(cluster).await;
    let fixture = &stranger.fixture;
    for dry_run in [true, false] {
        let refused = stranger.applies("a", dry_run).await;
        assert!(matches!(refused, Err(ClusterError::Forbidden(_))), "dry run {dry_run}: {refused:?}");
    }
    assert_eq!(fixture.get("a").await, None);
    let there = fixture.apply("one", "there", json!({"k": "1"})).await.expect("the client's own rights").object;
    let uid = meta::uid(&there).unwrap_or_default();
    let read = stranger.cluster.get(&fixture.at("there")).await;
    assert!(matches!(read, Err(ClusterError::Forbidden(_))), "{read:?}");
    let deleted = stranger.cluster.delete(&fixture.at("there"), &only(uid)).await;
    assert!(matches!(deleted, Err(ClusterError::Forbidden(_))), "{deleted:?}");
    assert!(fixture.get("there").await.is_some());

    stranger.grant(json!([rule("", "configmaps", &["create", "patch"])])).await;
    eventually("the group's rights count", || async { stranger.applies("a", false).await.is_ok() }).await;
    assert!(fixture.get("a").await.is_some());
    let deleted = stranger.cluster.delete(&fixture.at("there"), &only(uid)).await;
    assert!(matches!(deleted, Err(ClusterError::Forbidden(_))), "{deleted:?}");
}

/// The server refuses to let an impersonated user hand on rights that the user does not have.
pub async fn impersonated_user_cannot_escalate(cluster: Arc<dyn Cluster>) {
    let stranger = Stranger::new(cluster).await;
    let roles = rule(RBAC, "roles", &["create", "patch"]);
    stranger.grant(json!([roles, rule("", "configmaps", &["create", "patch"])])).await;
    let kind = ApiKind::v1(RBAC, "Role", "roles", true);
    let namespace = stranger.fixture.namespace.as_str();
    let applies = async |name: &str, rules: Value| {
        let role = stranger.role(name, &rules);
        stranger.cluster.apply(&kind.at(Some(namespace), name), &role, &by("one")).await
    };
    let own = json!([rule("", "configmaps", &["patch"])]);
    eventually("rights of its own", || async { applies("own", own.clone()).await.is_ok() }).await;
    for (name, rules) in [
        ("other-kind", json!([rule("", "secrets", &["get"])])),
        ("other-verb", json!([rule("", "configmaps", &["patch", "delete"])])),
        ("everything", json!([rule("*", "*", &["*"])])),
    ] {
        let refused = applies(name, rules).await;
        assert!(matches!(refused, Err(ClusterError::Forbidden(_) | ClusterError::Denied(_))), "{name}: {refused:?}");
        assert_eq!(stranger.fixture.cluster.get(&kind.at(Some(namespace), name)).await, Ok(None), "{name}");
    }
}
