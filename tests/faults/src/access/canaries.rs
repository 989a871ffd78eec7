//! Secrets of the run: they appear in no response to others, no log, no metric, no record and no error.

use std::path::Path;

use serde_json::{Value, json};

use super::callers::of_tenants;
use super::client::Request;
use super::secrets::{CANARY, Secrets, canary};
use super::world::World;
use crate::Result;
use crate::agent::rounds::Rounds;

/// Refused publications: name, media type, and a body in which `{c}` is a canary.
const REFUSED: [(&str, &str, &str); 14] = [
    ("unclosed text", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: \"{c}\n"),
    ("unclosed mapping", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: {c}\n"),
    ("tab", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n\ta: {c}\n"),
    ("custom tag", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: !x {c}}\n"),
    ("value twice", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: {c}, a: {c}}\n"),
    ("unknown alias", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: {c}, b: *x}\n"),
    ("no name", "yaml", "apiVersion: v1\nkind: Secret\nstringData: {a: {c}}\n"),
    ("value in a list", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: [{c}]}\n"),
    ("text for a map", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {c}\n"),
    ("bad Base64", "yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: \"{c}%\"}\n"),
    (
        "another namespace",
        "yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: kube-system}\nstringData: {a: {c}}\n",
    ),
    (
        "twice",
        "json",
        r#"{"manifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "{c}"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "{c}2"}}]}"#,
    ),
    (
        "half",
        "json",
        r#"{"manifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "{c}"#,
    ),
    (
        "unknown field beside it",
        "json",
        r#"{"manifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "{c}"}}], "x": "{c}"}"#,
    ),
];

pub(super) async fn check(world: &World, store: &str, log: &Path, rounds: &mut Rounds) -> Result<()> {
    planted(rounds);
    reads(world, rounds).await?;
    refused(world, rounds).await?;
    repeats(world, rounds).await?;
    misplaced_keys(world).await?;
    outputs(world).await?;
    let secrets = &world.client.secrets;
    let (_, before, hits) = secrets.found();
    rounds.add("secrets in responses", hits);
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let logged = Secrets::of(secrets);
    logged.search("the log", &text, false);
    rounds.add("secrets in the log", logged.found().2);
    let (keys, _, _) = secrets.found();
    println!(
        "{store}: searched {before} bytes of responses and {} bytes of the log for {keys} keys and the canaries",
        text.len()
    );
    rounds.add("the log", if text.is_empty() { vec!["is empty".to_owned()] } else { vec![] });
    Ok(())
}

/// The search finds what it looks for.
fn planted(rounds: &mut Rounds) {
    let (text, encoded) = canary(7);
    let bytes = format!("{:?}", text.as_bytes());
    let key = format!("brokkr_admin_0123456789ab_{}_000000", "k".repeat(43));
    for form in [&text, &encoded, &bytes, &key] {
        let secrets = Secrets::default();
        secrets.add_key(&key);
        secrets.search("planted", &format!("value=\"{form}\", more"), false);
        let wrong = if secrets.found().2.len() == 1 { vec![] } else { vec!["is not found".to_owned()] };
        rounds.add(format!("planted {form}"), wrong);
    }
}

/// The stored manifests, as everyone that may read the revision.
async fn reads(world: &World, rounds: &mut Rounds) -> Result<()> {
    for caller in of_tenants().iter().filter(|it| it.name != "generator stacks:write") {
        let path = format!("/api/v1/deployment-objects/{}", world.one.object);
        let mut request = Request::new(caller.key(&world.one), "GET", path).with("accept", "application/yaml");
        request.shows_secrets = caller.reads_secrets();
        let answer = world.client.ask(&request).await?;
        let is_right = answer.status == 200 && answer.body.contains(CANARY) == caller.reads_secrets();
        let wrong = if is_right { vec![] } else { vec![answer.shown()] };
        rounds.add(format!("manifests as {}", caller.name), wrong);
    }
    Ok(())
}

async fn refused(world: &World, rounds: &mut Rounds) -> Result<()> {
    let path = format!("/api/v1/stacks/{}/deployment-objects", world.one.stack);
    for (number, (name, kind, body)) in REFUSED.into_iter().enumerate() {
        let body = body.replace("{c}", &canary(number + 1).0);
        let request =
            Request::new(&world.one.publisher, "POST", path.as_str()).body(&format!("application/{kind}"), body);
        let answer = world.client.ask(&request).await?;
        // Some are valid for the broker and refused by a cluster; none may be shown.
        let wrong = if answer.status < 500 { vec![] } else { vec![answer.shown()] };
        rounds.add(format!("publication: {name}"), wrong);
    }
    Ok(())
}

/// Repeated requests with an `Idempotency-Key` show no secret again.
async fn repeats(world: &World, rounds: &mut Rounds) -> Result<()> {
    let one = &world.one;
    let secret = json!({"manifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "again", "namespace": one.name},
        "stringData": {"a": canary(50).0}}]});
    let requests = [
        ("/agents".to_owned(), &world.admin, json!({"name": "repeated"})),
        ("/generators".to_owned(), &world.admin, json!({"name": "repeated"})),
        ("/keys".to_owned(), &world.admin, json!({"name": "repeated"})),
        (format!("/generators/{}/keys", one.generator), &one.full, json!({"name": "repeated"})),
        (format!("/agents/{}/keys", one.agent), &world.admin, json!({"name": "repeated"})),
        (format!("/agents/{}/rotate-pak", one.sibling), &world.admin, json!({"overlap_seconds": 600})),
        (format!("/stacks/{}/deployment-objects", one.stack), &one.full, secret),
    ];
    for (number, (path, key, body)) in requests.into_iter().enumerate() {
        let request =
            Request::new(key, "POST", format!("/api/v1{path}")).with("idempotency-key", &format!("canary-{number}"));
        let request = request.body("application/json", body.to_string());
        let (first, second) = (world.client.ask(&request).await?, world.client.ask(&request).await?);
        let is_right = (200..300).contains(&first.status) && second.status == first.status;
        let wrong = if is_right { vec![] } else { vec![first.shown(), second.shown()] };
        rounds.add(format!("repeated POST {path}"), wrong);
    }
    Ok(())
}

/// Keys where they do not belong: in the URL, in other fields, in a body.
async fn misplaced_keys(world: &World) -> Result<()> {
    let key = &world.one.full;
    let post = |body: String| Request::new(key, "POST", "/api/v1/stacks").body("application/json", body);
    for request in [
        Request::new(key, "GET", format!("/api/v1/stacks?key={key}")),
        Request::new(key, "GET", format!("/api/v1/stacks/{key}")),
        Request::new(key, "GET", "/api/v1/stacks").with("x-api-key", key).with("cookie", key),
        Request { authorization: Some(format!("Basic {key}")), ..Request::new(key, "GET", "/api/v1/stacks") },
        Request { authorization: Some(key.clone()), ..Request::new(key, "GET", "/api/v1/stacks") },
        post(format!(r#"{{"name": "{key}"}}"#)),
        post(format!(r#"{{"{key}": 1}}"#)),
        post(format!(r#"{{"name": "a", "labels": {{"a": "{key}"}}}}"#)),
    ] {
        world.client.ask(&request).await?;
    }
    Ok(())
}

/// Everything that an admin can read, which the client searches.
async fn outputs(world: &World) -> Result<()> {
    for path in ["/audit", "/events", "/keys", "/stacks", "/agents", "/generators"] {
        world.client.pages(&world.admin, path).await?;
    }
    let mut after = String::new();
    loop {
        let path = format!("/changes?limit=500{after}");
        let page = world.client.json(&world.admin, "GET", &path, &Value::Null).await?.value();
        let (items, next) = (page["items"].as_array().map_or(0, Vec::len), page["next"].as_str().unwrap_or_default());
        if items == 0 {
            break;
        }
        after = format!("&after={next}");
    }
    for path in ["/metrics".to_owned(), format!("/api/v1/stacks/{}/status", world.one.stack)] {
        world.client.ask(&Request::new(&world.admin, "GET", path)).await?;
    }
    Ok(())
}
