//! A tenant's authority: what its grant does not allow reaches no cluster, although the agent is a cluster administrator.

mod closed;
mod manifests;
mod tenant;

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::look::Until;
use crate::agent::World;
use crate::agent::manifests::{definition, namespace};
use crate::agent::proxy::eventually;
use crate::agent::replica::Write;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

use manifests::{DEPLOYERS, OTHERS, OWN, cases};
use tenant::Tenant;

/// Where the agent keeps its own records.
const RECORDS: &str = "brokkr-system";
const REPORTED: Duration = Duration::from_secs(120);

/// The agent's status of a stack, if it matches.
pub(super) async fn statuses(
    scene: &Scene,
    ids: &[(String, String)],
    is_so: impl Fn(&Value) -> bool,
) -> Result<Vec<String>> {
    let mut others = Vec::new();
    for (name, id) in ids {
        let status = scene.status(id).await?;
        if !is_so(&status) {
            others.push(format!("{name}: {}", super::look::brief(&status)));
        }
    }
    Ok(others)
}

/// Refused at publication; refused by the agent although the broker sent it; applied with the right grant.
pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut scene = Scene::on(world, 1, name).await?;
    let mut rounds = Rounds::of(name);
    for (group, kind) in DEPLOYERS {
        scene.kube.apply(&definition(group, kind)).await?;
    }
    for space in [OWN, OTHERS] {
        scene.kube.apply(&namespace(space)).await?;
    }
    let tenant = Tenant::new(&scene).await?;
    tenant.grant("default").await?;
    for case in cases() {
        let (status, answer) = tenant.publish(&case).await?;
        let is_refused = status == 422 && answer["type"] == "/problems/not-granted";
        let mut wrong = Vec::new();
        must(&mut wrong, is_refused, format!("the broker answers {status} {answer} to {:?}", case.manifests));
        rounds.add(format!("{} at publication", case.name), wrong);
    }
    closed::check(&mut scene, &tenant, &mut rounds).await?;
    // As from a broker that checks nothing: the stacks come with the default grant, but were published under another one.
    scene.replica.stop();
    tenant.grant("unrestricted").await?;
    let mut ids = Vec::new();
    for case in cases() {
        let id = tenant.deploy(&mut scene, &case).await?;
        ids.push((case.name, id));
    }
    tenant.grant("default").await?;
    let before = scene.replica.writes()?.len();
    scene.replica.start()?;
    let until = Until::within(REPORTED);
    let refused = |status: &Value| super::look::said(status).contains("NotAllowed");
    eventually(until.left(), || async { Ok(statuses(&scene, &ids, refused).await?.is_empty()) }).await?;
    let others = statuses(&scene, &ids, refused).await?;
    let written: Vec<Write> = scene.replica.writes()?.split_off(before);
    let outside = written.iter().filter(|it| it.key.namespace != RECORDS).map(ToString::to_string);
    let outside: Vec<String> = outside.collect();
    for (name, _) in &ids {
        let own = others.iter().filter(|it| it.starts_with(&format!("{name}: "))).cloned();
        rounds.add(format!("{name} by the agent"), own.collect());
    }
    rounds.add("writes in the cluster", outside);
    // With the right grant each of them is applied.
    tenant.grant("unrestricted").await?;
    let until = Until::within(REPORTED);
    let applied = |status: &Value| status["applied_revision"] == 1;
    eventually(until.left(), || async { Ok(statuses(&scene, &ids, applied).await?.is_empty()) }).await?;
    let others = statuses(&scene, &ids, applied).await?;
    for (name, id) in &ids {
        let own = others.iter().filter(|it| it.starts_with(&format!("{name}: "))).cloned();
        rounds.add(format!("{name} when granted"), own.collect());
        tenant.own.send(Method::DELETE, &format!("/stacks/{id}"), None).await?;
    }
    scene.leaving.extend(ids.into_iter().map(|(_, id)| id));
    super::look::end(scene, rounds).await
}
