//! The table of rights, written from the documented API and scopes and not from the broker's own table.

/// What an operation needs, and a request to it that succeeds.
///
/// Scopes are alternatives, divided by `|`; those with `+` are needed together. `any` is every valid key, `none` no key at all.
pub(super) struct Row {
    pub(super) operation: &'static str,
    /// The scopes of which an admin's key needs one.
    pub(super) admin: &'static str,
    /// The scopes of which a generator's key needs one, for its own rows.
    pub(super) generator: &'static str,
    /// Whether an agent may call it, for its own rows.
    pub(super) agent: &'static str,
    /// The body. `{n}` is a number that no earlier request had, `{generator}` the name of the tenant's generator. Empty: no body.
    pub(super) body: &'static str,
    /// What else the row says.
    pub(super) more: More,
}

/// What few rows need.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Nothing,
    /// The status of a valid request; others answer 2xx.
    Status(u16),
    /// A request that an admin sends first, so that the operation has something to do.
    After(&'static str),
    /// Needs a join token in place of a key.
    JoinToken,
    /// The generator has neither stacks nor agents.
    Bare,
}

const fn row(
    operation: &'static str,
    admin: &'static str,
    generator: &'static str,
    agent: &'static str,
    body: &'static str,
) -> Row {
    Row { operation, admin, generator, agent, body, more: More::Nothing }
}

const fn with(row: Row, more: More) -> Row {
    Row { more, ..row }
}

/// The scopes of the presets, as `docs/how-to/keys.md` lists them.
pub(super) const PRESETS: [(&str, &[&str]); 4] = [
    (
        "admin",
        &[
            "stacks:read",
            "stacks:write",
            "fleet:read",
            "fleet:write",
            "audit:read",
            "keys",
            "secrets:read",
            "environments:promote",
            "break-glass",
        ],
    ),
    ("operator", &["stacks:read", "stacks:write", "fleet:read", "fleet:write", "audit:read", "environments:promote"]),
    ("auditor", &["stacks:read", "fleet:read", "audit:read"]),
    ("publisher", &["stacks:read", "stacks:write"]),
];

/// The scopes that an admin key can have alone. `gate:*` stands for every gate.
pub(super) const SINGLE: [&str; 11] = [
    "stacks:read",
    "stacks:write",
    "fleet:read",
    "fleet:write",
    "audit:read",
    "keys",
    "secrets:read",
    "rollouts:approve",
    "environments:promote",
    "break-glass",
    "gate:*",
];

const REPORT: &str =
    r#"{"instance_id": "01a1fcd4-803a-75bf-9d5b-27edfd6611d7", "sequence": 1, "cluster_uid": "cluster-{n}"}"#;
const MANIFESTS: &str = r#"{"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c{n}", "namespace": "{generator}"}, "data": {"n": "{n}"}}]}"#;
const PIN: &str = "PUT /api/v1/stacks/{id}/pins/{agent_id}";
const UNTARGET: &str = "DELETE /api/v1/stacks/{id}/targets/{agent_id}";

/// One row for each operation of the OpenAPI document. A new route needs a row here and nothing else, unless its path has a kind
/// of object that cannot be created with `POST` to the list that contains it.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("GET /healthz", "none", "none", "none", ""),
    row("GET /readyz", "none", "none", "none", ""),
    row("GET /api/v1/openapi.json", "none", "none", "none", ""),
    row("POST /api/v1/auth/pak", "any", "any", "any", ""),

    row("GET /api/v1/generators", "fleet:read|stacks:read", "stacks:read", "", ""),
    row("POST /api/v1/generators", "fleet:write+keys", "", "", r#"{"name": "g{n}", "key": {"scopes": ["keys"]}}"#),
    row("GET /api/v1/generators/{id}", "fleet:read|stacks:read", "stacks:read", "", ""),
    row("PATCH /api/v1/generators/{id}", "fleet:write", "", "", r#"{"description": "number {n}"}"#),
    with(row("DELETE /api/v1/generators/{id}", "fleet:write", "", "", ""), More::Bare),
    row("GET /api/v1/generators/{id}/keys", "keys|audit:read", "keys|stacks:read", "", ""),
    row("POST /api/v1/generators/{id}/keys", "keys", "keys", "", r#"{"name": "k{n}", "scopes": ["keys"]}"#),
    row("DELETE /api/v1/generators/{id}/keys/{key_id}", "keys", "keys", "", ""),
    row("POST /api/v1/generators/{id}/keys/{key_id}/rotate", "keys", "keys", "", "{}"),
    row("POST /api/v1/generators/{id}/rotate-pak", "keys", "keys", "", "{}"),

    row("GET /api/v1/agents", "fleet:read|stacks:read", "stacks:read", "any", ""),
    row("POST /api/v1/agents", "fleet:write+keys", "", "", r#"{"name": "a{n}"}"#),
    row("GET /api/v1/agents/{id}", "fleet:read|stacks:read", "stacks:read", "any", ""),
    row("PATCH /api/v1/agents/{id}", "fleet:write", "", "", r#"{"labels": {"n": "{n}"}}"#),
    row("DELETE /api/v1/agents/{id}", "fleet:write", "", "", ""),
    row("PUT /api/v1/agents/{id}/generators/{generator_id}", "fleet:write", "", "", "{}"),
    row("DELETE /api/v1/agents/{id}/generators/{generator_id}", "fleet:write", "stacks:write", "", ""),
    row("POST /api/v1/agents/{id}/confirm-epoch", "fleet:write", "", "", ""),
    row("GET /api/v1/agents/{id}/keys", "keys|audit:read", "", "", ""),
    row("POST /api/v1/agents/{id}/keys", "keys", "", "", r#"{"name": "k{n}"}"#),
    row("DELETE /api/v1/agents/{id}/keys/{key_id}", "keys", "", "", ""),
    row("POST /api/v1/agents/{id}/keys/{key_id}/rotate", "keys", "", "any", "{}"),
    row("POST /api/v1/agents/{id}/rotate-pak", "keys", "", "any", "{}"),
    row("POST /api/v1/agents/{id}/suspend", "fleet:write", "", "", r#"{"reason": "number {n}"}"#),
    row("POST /api/v1/agents/{id}/resume", "fleet:write", "", "", ""),
    row("GET /api/v1/agents/{id}/placement", "stacks:read", "stacks:read", "", ""),
    row("GET /api/v1/agents/{id}/events", "stacks:read", "stacks:read", "any", ""),
    row("GET /api/v1/agents/{id}/target-state", "fleet:read", "", "any", ""),
    row("POST /api/v1/agents/{id}/reports", "", "", "any", REPORT),

    row("GET /api/v1/join-tokens", "fleet:read", "", "", ""),
    row("POST /api/v1/join-tokens", "fleet:write+keys", "", "", r#"{"name": "t{n}", "expires_at": "2999-01-01T00:00:00Z"}"#),
    row("GET /api/v1/join-tokens/{id}", "fleet:read", "", "", ""),
    row("DELETE /api/v1/join-tokens/{id}", "fleet:write", "", "", ""),
    with(row("POST /api/v1/join", "", "", "", r#"{"name": "j{n}"}"#), More::JoinToken),

    row("GET /api/v1/controllers", "fleet:read", "", "", ""),
    row("POST /api/v1/controllers/confirm-epoch", "fleet:write", "", "", ""),

    row("GET /api/v1/keys", "keys|audit:read", "", "", ""),
    row("POST /api/v1/keys", "keys", "", "", r#"{"name": "k{n}", "scopes": ["keys"]}"#),
    row("DELETE /api/v1/keys/{key_id}", "keys", "", "", ""),
    row("POST /api/v1/keys/{key_id}/rotate", "keys", "", "", "{}"),

    row("GET /api/v1/environments", "fleet:read", "", "", ""),
    row("POST /api/v1/environments", "fleet:write", "", "", r#"{"name": "e{n}"}"#),
    row("GET /api/v1/environments/{id}", "fleet:read", "", "", ""),
    row("PATCH /api/v1/environments/{id}", "fleet:write", "", "", r#"{"description": "number {n}"}"#),
    row("DELETE /api/v1/environments/{id}", "fleet:write", "", "", ""),
    row(
        "POST /api/v1/environments/{id}/impact",
        "fleet:read+stacks:read",
        "",
        "",
        r#"{"generator": {"id": "00000000-0000-7000-8000-000000000001", "environments": null}}"#,
    ),
    row("GET /api/v1/grants", "fleet:read", "", "", ""),
    row("POST /api/v1/grants", "fleet:write", "", "", r#"{"name": "g{n}", "rules": {"kinds": ["ConfigMap"]}}"#),
    row("GET /api/v1/grants/{id}", "fleet:read", "", "", ""),
    row("PATCH /api/v1/grants/{id}", "fleet:write", "", "", r#"{"description": "number {n}"}"#),
    row("DELETE /api/v1/grants/{id}", "fleet:write", "", "", ""),

    row("GET /api/v1/stacks", "stacks:read", "stacks:read", "", ""),
    row("POST /api/v1/stacks", "stacks:write", "stacks:write", "", r#"{"name": "s{n}"}"#),
    row("PUT /api/v1/stacks/by-name/{name}", "stacks:write", "stacks:write", "", r#"{"description": "number {n}"}"#),
    row("GET /api/v1/stacks/{id}", "stacks:read", "stacks:read", "", ""),
    row("PATCH /api/v1/stacks/{id}", "stacks:write", "stacks:write", "", r#"{"description": "number {n}"}"#),
    row("DELETE /api/v1/stacks/{id}", "stacks:write", "stacks:write", "", ""),
    row("GET /api/v1/stacks/{id}/deployment-objects", "stacks:read", "stacks:read", "", ""),
    row("POST /api/v1/stacks/{id}/deployment-objects", "stacks:write", "stacks:write", "", MANIFESTS),
    // The ready-made broker has no generator of its own.
    with(
        row("POST /api/v1/stacks/{id}/generate", "stacks:write", "stacks:write", "", r#"{"generator": "nobody"}"#),
        More::Status(422),
    ),
    row("POST /api/v1/stacks/{id}/rollback", "stacks:write", "stacks:write", "", r#"{"revision": 1}"#),
    row("GET /api/v1/stacks/{id}/targets", "stacks:read", "stacks:read", "", ""),
    row("PUT /api/v1/stacks/{id}/targets/{agent_id}", "stacks:write", "stacks:write", "", ""),
    row("DELETE /api/v1/stacks/{id}/targets/{agent_id}", "stacks:write", "stacks:write", "", ""),
    with(
        row("POST /api/v1/stacks/{id}/targets/{agent_id}/abandon", "fleet:write", "", "", r#"{"reason": "lost"}"#),
        More::After(UNTARGET),
    ),
    row("GET /api/v1/stacks/{id}/releases", "stacks:read", "stacks:read", "", ""),
    row("PUT /api/v1/stacks/{id}/stable", "environments:promote", "environments:promote", "", r#"{"revision": 1, "reason": "number {n}"}"#),
    // The tenants' agents have no environment.
    with(
        row("POST /api/v1/stacks/{id}/promote", "environments:promote", "environments:promote", "", r#"{"from": "x", "to": "y", "reason": "r"}"#),
        More::Status(409),
    ),
    row("GET /api/v1/stacks/{id}/pins", "stacks:read", "stacks:read", "", ""),
    row("PUT /api/v1/stacks/{id}/pins/{agent_id}", "stacks:write", "stacks:write", "", r#"{"revision": 1, "reason": "number {n}"}"#),
    with(row("DELETE /api/v1/stacks/{id}/pins/{agent_id}", "stacks:write", "stacks:write", "", ""), More::After(PIN)),
    row("POST /api/v1/stacks/{id}/suspend", "stacks:write", "stacks:write", "", r#"{"reason": "number {n}"}"#),
    row("POST /api/v1/stacks/{id}/resume", "stacks:write", "stacks:write", "", "{}"),
    row("GET /api/v1/stacks/{id}/placement", "stacks:read", "stacks:read", "", ""),
    row("GET /api/v1/stacks/{id}/status", "stacks:read", "stacks:read", "", ""),
    row("GET /api/v1/stacks/{id}/events", "stacks:read", "stacks:read", "any", ""),
    row("GET /api/v1/deployment-objects/{id}", "stacks:read", "stacks:read", "any", ""),

    row("GET /api/v1/events", "stacks:read", "stacks:read", "any", ""),
    row("GET /api/v1/audit", "audit:read", "", "", ""),
    row("GET /api/v1/changes", "audit:read", "stacks:read", "", ""),
];

/// Whether scopes satisfy a cell of the table.
pub(super) fn permits(cell: &str, scopes: &[&str]) -> bool {
    let has = |wanted: &str| wanted.split('+').all(|one| scopes.contains(&one));
    cell == "any" || !cell.is_empty() && cell.split('|').any(has)
}

/// The row of an operation.
pub(super) fn of(operation: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.operation == operation)
}
