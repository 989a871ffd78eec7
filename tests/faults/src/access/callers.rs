//! The callers: valid keys with their scopes, and what is no valid key.

use std::time::{Duration, Instant};

use brokkr_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::client::{Answer, Request};
use super::table::{More, PRESETS, Row, SINGLE};
use super::tenant::Tenant;
use super::world::World;
use crate::Result;
use crate::agent::rounds::Rounds;

/// The name of the only credential that is no key.
const JOIN_TOKEN: &str = "a join token";
/// Time limit until an expired key is refused.
const EXPIRED: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Admin,
    Generator,
    Agent,
}

/// Whose key a caller presents.
#[derive(Debug, Clone)]
pub(super) enum Key {
    Fixed(String),
    /// A key of the tenant whose objects the request names.
    Of(fn(&Tenant) -> &str),
}

/// A caller with a valid key.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) scopes: Vec<&'static str>,
    key: Key,
    /// Whether it has every scope of its kind, so that each permitted request succeeds.
    pub(super) is_full: bool,
}

impl Caller {
    fn own(name: &str, kind: Kind, scopes: &[&'static str], key: fn(&Tenant) -> &str) -> Self {
        let is_full = name.ends_with("full") || kind == Kind::Agent;
        Self { name: name.to_owned(), kind, scopes: scopes.to_vec(), key: Key::Of(key), is_full }
    }

    pub(super) fn key<'a>(&'a self, tenant: &'a Tenant) -> &'a str {
        match &self.key {
            Key::Fixed(key) => key,
            Key::Of(of) => of(tenant),
        }
    }

    /// The cell of the table for this caller.
    pub(super) fn cell(&self, row: &Row) -> &'static str {
        match self.kind {
            Kind::Admin => row.admin,
            Kind::Generator => row.generator,
            Kind::Agent => row.agent,
        }
    }

    /// Whether responses may contain the values of Secrets.
    pub(super) fn reads_secrets(&self) -> bool {
        self.kind == Kind::Agent || self.scopes.contains(&"secrets:read")
    }
}

/// The callers of a tenant, on its own objects.
pub(super) fn of_tenants() -> Vec<Caller> {
    let generator =
        |name: &str, scopes: &[&'static str], key: fn(&Tenant) -> &str| Caller::own(name, Kind::Generator, scopes, key);
    let full = ["stacks:read", "stacks:write", "secrets:read", "keys"];
    vec![
        generator("generator full", &full, |it| &it.full),
        generator("generator publisher", &full[..2], |it| &it.publisher),
        generator("generator stacks:read", &full[..1], |it| &it.reader),
        generator("generator stacks:write", &full[1..2], |it| &it.writer),
        Caller::own("agent", Kind::Agent, &[], |it| &it.agent_pak),
    ]
}

/// Admin keys of each preset, of the earlier read-only kind, and with each scope alone.
pub(super) async fn admins(world: &World) -> Result<Vec<Caller>> {
    let mut callers = Vec::new();
    let mut add = async |name: &str, scopes: &[&'static str], terms: Value| -> Result<()> {
        let mut body = terms;
        body["name"] = json!(format!("admin-{}", world.number()));
        let key = world.client.json(&world.admin, "POST", "/keys", &body).await?.text("/pak")?;
        let (name, is_full) = (format!("admin {name}"), name == "admin");
        callers.push(Caller { name, kind: Kind::Admin, scopes: scopes.to_vec(), key: Key::Fixed(key), is_full });
        Ok(())
    };
    for (preset, scopes) in PRESETS {
        add(preset, scopes, json!({"preset": preset})).await?;
    }
    let (_, auditor) = PRESETS[2];
    add("of the kind admin-read-only", auditor, json!({"kind": "admin-read-only"})).await?;
    for scope in SINGLE {
        add(scope, &[scope], json!({"scopes": [scope]})).await?;
    }
    Ok(callers)
}

/// Values of `Authorization` that are no valid key here. `unknown` is a valid key of another broker.
async fn invalid(world: &World, unknown: &str) -> Result<Vec<(&'static str, Option<String>)>> {
    let client = &world.client;
    let made = async |terms: Value| -> Result<(String, String)> {
        let mut body = terms;
        body["name"] = json!(format!("invalid-{}", world.number()));
        body["preset"] = json!("admin");
        let made = client.json(&world.admin, "POST", "/keys", &body).await?;
        Ok((made.text("/key/id")?, made.text("/pak")?))
    };
    let (revoked_id, revoked) = made(json!({})).await?;
    client.json(&world.admin, "DELETE", &format!("/keys/{revoked_id}"), &Value::Null).await?;
    let (_, elsewhere) = made(json!({"source_networks": ["10.20.0.0/16", "2001:db8::/32"]})).await?;
    let soon = SystemClock.now().plus(Duration::from_secs(2));
    let (_, expired) = made(json!({"expires_at": soon})).await?;
    let began = Instant::now();
    while client.ask(&Request::new(&expired, "POST", "/api/v1/auth/pak")).await?.status != 401 {
        if began.elapsed() > EXPIRED {
            return Err("the key does not expire".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (agent, of_deleted_agent) = world.one.another_agent(client, &world.admin, "leaves").await?;
    client.json(&world.admin, "DELETE", &format!("/agents/{agent}"), &Value::Null).await?;
    let bearer = |key: &str| Some(format!("Bearer {key}"));
    let admin = &world.admin;
    let mistyped = if admin.ends_with('0') { '1' } else { '0' };
    Ok(vec![
        ("none", None),
        ("empty", bearer("")),
        ("malformed", bearer("brokkr_admin_x_y_z")),
        ("mistyped", bearer(&format!("{}{mistyped}", admin.get(..admin.len() - 1).unwrap_or_default()))),
        ("another scheme", Some(format!("Basic {admin}"))),
        ("unknown", bearer(unknown)),
        ("revoked", bearer(&revoked)),
        ("expired", bearer(&expired)),
        ("from another network", bearer(&elsewhere)),
        ("of a deleted agent", bearer(&of_deleted_agent)),
        (JOIN_TOKEN, bearer(&world.join_token().await?)),
    ])
}

/// Every operation without a valid key: the same 401 whatever is wrong with the key, or the public answer.
pub(super) async fn check_invalid(world: &World, unknown: &str, rounds: &mut Rounds) -> Result<()> {
    let callers = invalid(world, unknown).await?;
    for operation in &world.operations {
        let Some(row) = super::table::of(&operation.name) else { continue };
        let ids = world.ids(operation, &world.one, false).await?;
        let mut first: Option<Answer> = None;
        let is_join = row.more == More::JoinToken;
        for (name, authorization) in callers.iter().filter(|(name, _)| !is_join || *name != JOIN_TOKEN) {
            let mut request = operation.request("", &ids, &world.body(row, &world.one));
            request.authorization = authorization.clone();
            let answer = world.send(operation, &request).await?;
            let expected = if row.admin == "none" { 200 } else { 401 };
            let mut wrong = Vec::new();
            if answer.status != expected {
                wrong.push(format!("expected {expected}: {}", answer.shown()));
            }
            if let Some(first) = first.as_ref().filter(|first| first.comparable() != answer.comparable()) {
                wrong.push(format!(
                    "differs from the response without a key: {} and {}",
                    first.shown(),
                    answer.shown()
                ));
            }
            rounds.add(format!("{} with a key that is {name}", operation.name), wrong);
            first.get_or_insert(answer);
        }
    }
    Ok(())
}

/// Every operation as a retired agent, whose answer says so.
pub(super) async fn check_retired(world: &World, rounds: &mut Rounds) -> Result<()> {
    let (agent, key) = world.one.another_agent(&world.client, &world.admin, "retires").await?;
    let retire = Request::new(&world.admin, "PATCH", format!("/api/v1/agents/{agent}"));
    let retire = retire.body("application/merge-patch+json", r#"{"status": "retired"}"#).with("if-match", "*");
    let retired = world.client.ask(&retire).await?;
    if retired.status != 200 {
        return Err(format!("cannot retire: {}", retired.shown()).into());
    }
    for operation in &world.operations {
        let Some(row) = super::table::of(&operation.name).filter(|row| row.admin != "none") else { continue };
        let is_key = row.more != More::JoinToken;
        let ids = world.ids(operation, &world.one, false).await?;
        let request = operation.request(&key, &ids, &world.body(row, &world.one));
        let answer = world.send(operation, &request).await?;
        let expected = if is_key { (403, "agent-retired") } else { (401, "unauthenticated") };
        let is_right = (answer.status, answer.slug().as_str()) == expected;
        let wrong = if is_right { vec![] } else { vec![answer.shown()] };
        rounds.add(format!("{} as a retired agent", operation.name), wrong);
    }
    Ok(())
}
