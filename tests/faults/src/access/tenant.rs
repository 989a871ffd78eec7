//! A generator with everything that it can own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Request};
use super::secrets::canary;
use crate::Result;

/// Time limit until a stack is listed.
const LISTED: Duration = Duration::from_secs(30);

/// A generator with keys, two agents and a stack. Empty texts are ids of what it does not have.
#[derive(Debug, Clone, Default)]
pub(super) struct Tenant {
    pub(super) generator: String,
    /// The generator's name, and the namespace of its objects.
    pub(super) name: String,
    /// A key with every scope that a generator's key of this check can have.
    pub(super) full: String,
    /// Keys with `stacks:read` and `stacks:write`, and with one of them.
    pub(super) publisher: String,
    pub(super) reader: String,
    pub(super) writer: String,
    /// The id of a key that nobody uses.
    pub(super) generator_key: String,
    /// The agent that holds the stack.
    pub(super) agent: String,
    pub(super) agent_pak: String,
    pub(super) agent_key: String,
    /// An agent without a stack.
    pub(super) sibling: String,
    pub(super) sibling_pak: String,
    pub(super) stack: String,
    pub(super) stack_name: String,
    pub(super) object: String,
}

impl Tenant {
    /// Creates a tenant. The name is that of the generator, and the start of the others.
    pub(super) async fn new(client: &Client, admin: &str, name: &str) -> Result<Self> {
        let mut tenant = Self::bare(client, admin, name).await?;
        let generator = tenant.generator.clone();
        for (scopes, pak) in [
            (json!(["stacks:read", "stacks:write"]), &mut tenant.publisher),
            (json!(["stacks:read"]), &mut tenant.reader),
            (json!(["stacks:write"]), &mut tenant.writer),
        ] {
            let body = json!({"name": "key", "scopes": scopes});
            *pak = client.json(admin, "POST", &format!("/generators/{generator}/keys"), &body).await?.text("/pak")?;
        }
        (tenant.agent, tenant.agent_pak) = tenant.another_agent(client, admin, &format!("{name}-a")).await?;
        (tenant.sibling, tenant.sibling_pak) = tenant.another_agent(client, admin, &format!("{name}-b")).await?;
        let keys = format!("/agents/{}/keys", tenant.agent);
        tenant.agent_key = client.json(admin, "POST", &keys, &json!({"name": "spare"})).await?.text("/key/id")?;
        tenant.stack_name = format!("{name}-stack");
        (tenant.stack, tenant.object) = tenant.another_stack(client, &tenant.stack_name).await?;
        let target = format!("/stacks/{}/targets/{}", tenant.stack, tenant.agent);
        client.json(&tenant.full, "PUT", &target, &Value::Null).await?;
        tenant.until_listed(client).await?;
        Ok(tenant)
    }

    /// Creates a tenant without agents and stacks.
    pub(super) async fn bare(client: &Client, admin: &str, name: &str) -> Result<Self> {
        let scopes = json!(["stacks:read", "stacks:write", "secrets:read", "keys"]);
        let made = client.json(admin, "POST", "/generators", &json!({"name": name, "key": {"scopes": scopes}})).await?;
        let (generator, full) = (made.text("/generator/id")?, made.text("/pak")?);
        let spare = json!({"name": "spare"});
        let made = client.json(admin, "POST", &format!("/generators/{generator}/keys"), &spare).await?;
        let (name, generator_key) = (name.to_owned(), made.text("/key/id")?);
        Ok(Self { generator, name, full, generator_key, ..Self::default() })
    }

    pub(super) async fn another_agent(&self, client: &Client, admin: &str, name: &str) -> Result<(String, String)> {
        let body = json!({"name": name, "generator_ids": [self.generator]});
        let made = client.json(admin, "POST", "/agents", &body).await?;
        Ok((made.text("/agent/id")?, made.text("/pak")?))
    }

    /// Creates a stack with a Secret. Returns the ids of the stack and of its revision.
    pub(super) async fn another_stack(&self, client: &Client, name: &str) -> Result<(String, String)> {
        let stack = client.json(&self.full, "POST", "/stacks", &json!({"name": name})).await?.text("/id")?;
        let (text, encoded) = canary(0);
        let manifests = json!([
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": self.name}, "data": {"mode": "fast"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": self.name}, "stringData": {"password": text},
             "data": {"token": encoded}},
        ]);
        let path = format!("/stacks/{stack}/deployment-objects");
        let object = client.json(&self.full, "POST", &path, &json!({"manifests": manifests})).await?.text("/id")?;
        Ok((stack, object))
    }

    /// Polls as the agent until its target state lists the stack.
    async fn until_listed(&self, client: &Client) -> Result<()> {
        let began = Instant::now();
        let path = format!("/api/v1/agents/{}/target-state", self.agent);
        loop {
            let state = client.ask(&Request::new(&self.agent_pak, "GET", path.as_str())).await?;
            if state.body.contains(&self.stack) {
                return Ok(());
            }
            if began.elapsed() > LISTED {
                return Err(format!("the stack is not listed: {}", state.shown()).into());
            }
        }
    }

    /// The tenant's object for a path parameter, by the words of the path before it; `None` if tenants own no such objects.
    pub(super) fn id(&self, noun: &str) -> Option<&str> {
        Some(match noun {
            "generators" | "agents/generators" => &self.generator,
            "generators/keys" => &self.generator_key,
            "agents" | "stacks/targets" | "stacks/pins" => &self.agent,
            "agents/keys" => &self.agent_key,
            "stacks" => &self.stack,
            "stacks/by-name" => &self.stack_name,
            "deployment-objects" => &self.object,
            _ => return None,
        })
    }

    /// What answers to other tenants must not contain.
    pub(super) fn marks(&self) -> [&str; 7] {
        let Self { generator, agent, sibling, stack, stack_name, object, agent_key, .. } = self;
        [generator, agent, sibling, stack, stack_name, object, agent_key]
    }
}
