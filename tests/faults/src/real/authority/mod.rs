//! A tenant's authority: what its grant does not allow reaches no cluster, although the agent is a cluster administrator.

mod manifests;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::look::Until;
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{definition, namespace};
use crate::agent::proxy::eventually;
use crate::agent::replica::Write;
use crate::agent::rest::Rest;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

use manifests::{Case, DEPLOYERS, OTHERS, OWN, cases};

/// Where the agent keeps its own records.
const RECORDS: &str = "brokkr-system";
const REPORTED: Duration = Duration::from_secs(120);

/// The tenant: a generator with a key, registered with the scene's agent.
struct Tenant {
    admin: Rest,
    own: Rest,
    id: String,
    agent: String,
}

impl Tenant {
    async fn new(scene: &Scene) -> Result<Self> {
        let created = scene.broker.send(Method::POST, "/generators", Some(&json!({"name": OWN}))).await?;
        let text = |pointer: &str| created.pointer(pointer).and_then(Value::as_str).ok_or(format!("no {pointer}"));
        let own = Rest { token: text("/pak")?.to_owned(), ..scene.broker.clone() };
        let id = text("/generator/id")?.to_owned();
        Ok(Self { admin: scene.broker.clone(), own, id, agent: scene.agent.clone() })
    }

    /// Registers the agent with a built-in grant.
    async fn grant(&self, name: &str) -> Result<()> {
        let grants = self.admin.send(Method::GET, "/grants?limit=500", None).await?;
        let mut grants = grants["items"].as_array().into_iter().flatten();
        let grant = grants.find(|it| it["name"] == name).ok_or(format!("no grant {name}"))?;
        let path = format!("/agents/{}/generators/{}", self.agent, self.id);
        self.admin.send(Method::PUT, &path, Some(&json!({"grant_id": grant["id"]}))).await?;
        Ok(())
    }

    async fn publish(&self, case: &Case) -> Result<(u16, Value)> {
        let path = format!("/stacks/by-name/{}", case.name);
        let body = json!({"manifests": case.manifests});
        self.own.ask(Method::PUT, &path, "application/json", Some(&body)).await
    }
}

/// The agent's status of a stack, if it matches.
async fn statuses(scene: &Scene, ids: &[(String, String)], is_so: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
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
    // As from a broker that checks nothing: the stacks come with the default grant, but were published under another one.
    scene.replica.stop();
    tenant.grant("unrestricted").await?;
    let mut ids = Vec::new();
    for case in cases() {
        let (status, answer) = tenant.publish(&case).await?;
        let id = answer.pointer("/stack/id").and_then(Value::as_str);
        let id = id.ok_or(format!("{}: {status} {answer}", case.name))?.to_owned();
        tenant.own.send(Method::PUT, &format!("/stacks/{id}/targets/{}", tenant.agent), None).await?;
        scene.known.insert(id.clone());
        scene.ever.extend(case.objects().into_iter().map(Key::of));
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
