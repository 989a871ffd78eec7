//! A broker with two tenants, and what all checks share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client::{Answer, Client, Request};
use super::document::{Operation, operations};
use super::table;
use super::tenant::Tenant;
use crate::Result;

/// A well-formed id that nothing has.
pub(super) const MISSING: &str = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";

pub(super) struct World {
    pub(super) client: Client,
    pub(super) admin: String,
    pub(super) operations: Vec<Operation>,
    pub(super) one: Tenant,
    /// The other tenant. No caller of the first one may see any of it.
    pub(super) two: Tenant,
    /// Deleted objects of the first tenant.
    deleted: Tenant,
    /// Living and deleted objects that no tenant owns, by the words of their path.
    living: RefCell<BTreeMap<String, String>>,
    gone: RefCell<BTreeMap<String, String>>,
    numbers: Cell<u32>,
    /// The operations that succeeded at least once.
    pub(super) succeeded: RefCell<BTreeSet<String>>,
}

impl World {
    /// Creates the tenants. `unknown` is a key of another broker.
    pub(super) async fn new(url: &str, admin: &str, unknown: &str) -> Result<Self> {
        let client = Client::new(url)?;
        client.secrets.add_key(admin);
        client.secrets.add_key(unknown);
        let one = Tenant::new(&client, admin, "first-tenant").await?;
        let two = Tenant::new(&client, admin, "second-tenant").await?;
        let deleted = deleted(&client, admin, &one).await?;
        Ok(Self {
            operations: operations(&client).await?,
            client,
            admin: admin.to_owned(),
            one,
            two,
            deleted,
            living: RefCell::default(),
            gone: RefCell::default(),
            numbers: Cell::new(0),
            succeeded: RefCell::default(),
        })
    }

    /// A number that no earlier call returned.
    pub(super) fn number(&self) -> u32 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// A tenant that one request may change.
    pub(super) async fn fresh(&self, bare: bool) -> Result<Tenant> {
        let name = format!("fresh-{}", self.number());
        if bare {
            Tenant::bare(&self.client, &self.admin, &name).await
        } else {
            Tenant::new(&self.client, &self.admin, &name).await
        }
    }

    /// The body of a row, with a new number.
    pub(super) fn body(&self, row: &table::Row, tenant: &Tenant) -> String {
        row.body.replace("{n}", &self.number().to_string()).replace("{generator}", &tenant.name)
    }

    /// The ids of a tenant's objects for an operation's path. Objects that no tenant owns are new for operations that change.
    pub(super) async fn ids(&self, operation: &Operation, tenant: &Tenant, changes: bool) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for noun in &operation.nouns {
            ids.push(match tenant.id(noun) {
                Some(id) => id.to_owned(),
                None if changes => self.create(noun).await?,
                None => self.living(noun).await?,
            });
        }
        Ok(ids)
    }

    async fn living(&self, noun: &str) -> Result<String> {
        let known = self.living.borrow().get(noun).cloned();
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.create(noun).await?;
        self.living.borrow_mut().insert(noun.to_owned(), id.clone());
        Ok(id)
    }

    /// Creates an object with the row of `POST` to its list. Returns its id.
    async fn create(&self, noun: &str) -> Result<String> {
        let made = self.made(noun).await?;
        let nested = || made.as_object().into_iter().flat_map(|it| it.values()).find_map(|it| it.get("id"));
        let id = made.get("id").or_else(nested).and_then(Value::as_str);
        Ok(id.ok_or_else(|| format!("POST /{noun} returns no id: {made}"))?.to_owned())
    }

    /// The response to [`create`](Self::create).
    async fn made(&self, noun: &str) -> Result<Value> {
        let operation = format!("POST /api/v1/{noun}");
        let row = table::of(&operation).ok_or_else(|| format!("no row {operation}, which would create an object"))?;
        let body: Value = serde_json::from_str(&self.body(row, &self.one))?;
        Ok(self.client.json(&self.admin, "POST", &format!("/{noun}"), &body).await?.value())
    }

    /// A new join token.
    pub(super) async fn join_token(&self) -> Result<String> {
        let made = self.made("join-tokens").await?;
        Ok(made["token"].as_str().ok_or_else(|| format!("no token in {made}"))?.to_owned())
    }

    /// The id of a deleted object for a path parameter; `None` for names, which are free again.
    pub(super) async fn deleted(&self, noun: &str) -> Result<Option<String>> {
        if noun == "stacks/by-name" {
            return Ok(None);
        }
        if let Some(id) = self.deleted.id(noun) {
            return Ok(Some(id.to_owned()));
        }
        let known = self.gone.borrow().get(noun).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let id = self.create(noun).await?;
        self.client.json(&self.admin, "DELETE", &format!("/{noun}/{id}"), &Value::Null).await?;
        self.gone.borrow_mut().insert(noun.to_owned(), id.clone());
        Ok(Some(id))
    }

    /// Sends a request of an operation.
    pub(super) async fn send(&self, operation: &Operation, request: &Request) -> Result<Answer> {
        let answer = self.client.ask(request).await?;
        if (200..300).contains(&answer.status) {
            self.succeeded.borrow_mut().insert(operation.name.clone());
        }
        Ok(answer)
    }

    /// Whether a response names anything of the second tenant.
    pub(super) fn names_foreign(&self, answer: &Answer) -> Option<String> {
        let mark = self.two.marks().into_iter().find(|mark| answer.body.contains(mark))?;
        Some(format!("the response names {mark} of another tenant: {}", answer.shown()))
    }

    /// Both tenants' objects as an admin reads them, without the times of their use.
    pub(super) async fn snapshot(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for tenant in [&self.one, &self.two] {
            for path in [
                format!("/generators/{}", tenant.generator),
                format!("/generators/{}/keys", tenant.generator),
                format!("/agents/{}", tenant.agent),
                format!("/agents/{}/keys", tenant.agent),
                format!("/agents/{}", tenant.sibling),
                format!("/stacks/{}", tenant.stack),
                format!("/stacks/{}/targets", tenant.stack),
                format!("/stacks/{}/deployment-objects", tenant.stack),
            ] {
                let mut value = self.client.json(&self.admin, "GET", &path, &Value::Null).await?.value();
                without_use(&mut value);
                found.push(format!("{path} {value}"));
            }
        }
        Ok(found)
    }
}

fn without_use(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_use),
        Value::Object(map) => {
            for field in ["last_used_at", "last_seen_at", "session", "capabilities"] {
                map.remove(field);
            }
            map.values_mut().for_each(without_use);
        }
        _ => {}
    }
}

/// Creates one object of each kind for a tenant, and deletes them.
async fn deleted(client: &Client, admin: &str, tenant: &Tenant) -> Result<Tenant> {
    let generator = Tenant::bare(client, admin, "gone").await?.generator;
    let (agent, _) = tenant.another_agent(client, admin, "gone").await?;
    let (stack, object) = tenant.another_stack(client, "gone").await?;
    let mut keys = Vec::new();
    for owner in [format!("/generators/{}/keys", tenant.generator), format!("/agents/{}/keys", tenant.agent)] {
        let id = client.json(admin, "POST", &owner, &json!({"name": "gone"})).await?.text("/key/id")?;
        client.json(admin, "DELETE", &format!("{owner}/{id}"), &Value::Null).await?;
        keys.push(id);
    }
    for path in [format!("/stacks/{stack}"), format!("/agents/{agent}"), format!("/generators/{generator}")] {
        client.json(admin, "DELETE", &path, &Value::Null).await?;
    }
    let [generator_key, agent_key] = keys.as_slice() else { return Err("a key is missing".into()) };
    Ok(Tenant {
        generator,
        generator_key: generator_key.clone(),
        agent,
        agent_key: agent_key.clone(),
        stack,
        object,
        ..Tenant::default()
    })
}
