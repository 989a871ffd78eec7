//! What stays closed to a tenant although its grant allows the kind and the namespace: Namespaces that it did not create, the
//! agent's own namespace, and RBAC beyond its own rights in the cluster.

use http::Method;
use serde_json::{Value, json};

use super::manifests::{Case, OWN, rbac, within};
use super::tenant::Tenant;
use super::{RECORDS, REPORTED, statuses};
use crate::Result;
use crate::agent::key::Key;
use crate::agent::manifests::namespace;
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::real::look::{Until, said};

const IMPERSONATE: &str = "BROKKR__AGENT__IMPERSONATE";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Stacks of one object each.
fn each(prefix: &str, manifests: Vec<Value>) -> Vec<Case> {
    let case = |(number, manifest)| Case { name: format!("{prefix}{number}"), manifests: vec![manifest] };
    manifests.into_iter().enumerate().map(case).collect()
}

/// Waits until the agent says this about each stack, and checks that none of the objects exists.
async fn refused(
    scene: &Scene,
    rounds: &mut Rounds,
    cases: &[Case],
    ids: &[(String, String)],
    expected: &str,
) -> Result<()> {
    let until = Until::within(REPORTED);
    let is_so = |status: &Value| said(status).contains(expected);
    eventually(until.left(), || async { Ok(statuses(scene, ids, is_so).await?.is_empty()) }).await?;
    let others = statuses(scene, ids, is_so).await?;
    for (case, (name, _)) in cases.iter().zip(ids) {
        let mut wrong: Vec<String> = others.iter().filter(|it| it.starts_with(&format!("{name}: "))).cloned().collect();
        for object in case.objects().into_iter().filter(|it| it["kind"] != "Namespace") {
            let there = scene.kube.get(&Key::of(object)).await?;
            must(&mut wrong, there.is_none(), format!("{} exists", Key::of(object)));
        }
        rounds.add(format!("{name}: {expected}"), wrong);
    }
    Ok(())
}

async fn deploy(scene: &mut Scene, tenant: &Tenant, cases: &[Case]) -> Result<Vec<(String, String)>> {
    let mut ids = Vec::new();
    for case in cases {
        ids.push((case.name.clone(), tenant.deploy(scene, case).await?));
    }
    Ok(ids)
}

async fn withdraw(scene: &mut Scene, tenant: &Tenant, ids: Vec<(String, String)>) -> Result<()> {
    for (_, id) in ids {
        tenant.own.send(Method::DELETE, &format!("/stacks/{id}"), None).await?;
        scene.leaving.push(id);
    }
    Ok(())
}

/// Restarts the agent with or without impersonation.
fn restart(scene: &mut Scene, impersonates: bool) -> Result<()> {
    scene.replica.process.set_env(IMPERSONATE, impersonates.to_string());
    scene.replica.start()
}

/// Lets the tenant write RBAC, and nothing else.
async fn let_write_rbac(scene: &Scene) -> Result<()> {
    let name = "authority-writer";
    let rules = json!([{"apiGroups": [RBAC], "resources": ["*"], "verbs": ["get", "create", "patch", "delete"]}]);
    let object = |kind: &str| json!({"apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": {"name": name}});
    let (mut role, mut binding) = (object("ClusterRole"), object("ClusterRoleBinding"));
    role["rules"] = rules;
    binding["roleRef"] = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": name});
    binding["subjects"] = json!([{"apiGroup": RBAC, "kind": "Group", "name": format!("brokkr:generator:{OWN}")}]);
    scene.kube.apply(&role).await?;
    scene.kube.apply(&binding).await?;
    Ok(())
}

pub(super) async fn check(scene: &mut Scene, tenant: &Tenant, rounds: &mut Rounds) -> Result<()> {
    // The scene's administrator has created the Namespace of the tenant's name.
    tenant.grant("default").await?;
    let cases = each("others", within(OWN, "authority-others"));
    let ids = deploy(scene, tenant, &cases).await?;
    refused(scene, rounds, &cases, &ids, "exists and was not created by").await?;
    withdraw(scene, tenant, ids).await?;

    tenant.grant("unrestricted").await?;
    let own = [within(RECORDS, "authority-records"), vec![namespace(RECORDS)]].concat();
    let cases = each("records", own);
    let ids = deploy(scene, tenant, &cases).await?;
    refused(scene, rounds, &cases, &ids, "is reserved for the agent").await?;
    withdraw(scene, tenant, ids).await?;

    let rules = json!({"kinds": ["*"], "namespaces": ["*"], "pod_security": "baseline"});
    tenant.admin.send(Method::POST, "/grants", Some(&json!({"name": "with-rbac", "rules": rules}))).await?;
    tenant.grant("with-rbac").await?;
    let cases = each("rbac", rbac());
    let ids = deploy(scene, tenant, &cases).await?;
    refused(scene, rounds, &cases, &ids, "only on agents that impersonate").await?;
    restart(scene, true)?;
    refused(scene, rounds, &cases, &ids, "give the user brokkr:generator:").await?;
    let_write_rbac(scene).await?;
    refused(scene, rounds, &cases, &ids, "attempting to grant RBAC permissions not currently held").await?;
    withdraw(scene, tenant, ids).await?;
    restart(scene, false)?;
    tenant.grant("default").await
}
