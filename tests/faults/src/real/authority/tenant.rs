//! The tenant whose authority is checked.

use http::Method;
use serde_json::{Value, json};

use super::manifests::{Case, OWN};
use crate::Result;
use crate::agent::key::Key;
use crate::agent::rest::Rest;
use crate::agent::scene::Scene;

/// The tenant: a generator with a key, registered with the scene's agent.
pub(super) struct Tenant {
    pub(super) admin: Rest,
    pub(super) own: Rest,
    id: String,
    pub(super) agent: String,
}

impl Tenant {
    pub(super) async fn new(scene: &Scene) -> Result<Self> {
        let created = scene.broker.send(Method::POST, "/generators", Some(&json!({"name": OWN}))).await?;
        let text = |pointer: &str| created.pointer(pointer).and_then(Value::as_str).ok_or(format!("no {pointer}"));
        let own = Rest { token: text("/pak")?.to_owned(), ..scene.broker.clone() };
        let id = text("/generator/id")?.to_owned();
        Ok(Self { admin: scene.broker.clone(), own, id, agent: scene.agent.clone() })
    }

    /// Registers the agent with a built-in grant.
    pub(super) async fn grant(&self, name: &str) -> Result<()> {
        let grants = self.admin.send(Method::GET, "/grants?limit=500", None).await?;
        let mut grants = grants["items"].as_array().into_iter().flatten();
        let grant = grants.find(|it| it["name"] == name).ok_or(format!("no grant {name}"))?;
        let path = format!("/agents/{}/generators/{}", self.agent, self.id);
        self.admin.send(Method::PUT, &path, Some(&json!({"grant_id": grant["id"]}))).await?;
        Ok(())
    }

    pub(super) async fn publish(&self, case: &Case) -> Result<(u16, Value)> {
        let path = format!("/stacks/by-name/{}", case.name);
        let body = json!({"manifests": case.manifests});
        self.own.ask(Method::PUT, &path, "application/json", Some(&body)).await
    }

    /// Publishes a stack and targets it at the agent. Returns its id.
    pub(super) async fn deploy(&self, scene: &mut Scene, case: &Case) -> Result<String> {
        let (status, answer) = self.publish(case).await?;
        let id = answer.pointer("/stack/id").and_then(Value::as_str);
        let id = id.ok_or(format!("{}: {status} {answer}", case.name))?.to_owned();
        self.own.send(Method::PUT, &format!("/stacks/{id}/targets/{}", self.agent), None).await?;
        scene.known.insert(id.clone());
        scene.ever.extend(case.objects().into_iter().map(Key::of));
        Ok(id)
    }
}
