//! Requests: the agent's user agent, and the input that the broker accepts.

use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};

use brokkr_testbed::text_at;
use http::Method;
use serde_json::{Value, json};

use crate::agent::World;
use crate::agent::manifests::{config_maps, custom, definition};
use crate::agent::rest::Rest;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

/// Every request of the agent to the API server has its user agent.
pub(super) async fn user_agent(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let from = world.cluster(0)?.audit_length()?;
    let mut scene = Scene::new(world, name).await?;
    let mut all = vec![
        definition("agents.example.com", "Scout"),
        custom("agents.example.com", "Scout", &scene.namespace, "a", "1"),
    ];
    all.extend(config_maps(&scene.namespace, "c", 0..3, 1));
    scene.publish("a", all).await?;
    scene.settle().await?;
    scene.delete("a").await?;
    scene.settle().await?;
    let mut file = BufReader::new(std::fs::File::open(&world.cluster(0)?.audit_log)?);
    file.seek(SeekFrom::Start(from))?;
    let user = format!("\"{}\"", scene.replica.user);
    let mut by_verb = std::collections::BTreeMap::new();
    for line in file.lines() {
        let line = line?;
        if !line.contains(&user) {
            continue;
        }
        let event: Value = serde_json::from_str(&line)?;
        if event["user"]["username"] == scene.replica.user.as_str() {
            let agent = event["userAgent"].as_str().unwrap_or("none").to_owned();
            let verb = event["verb"].as_str().unwrap_or_default().to_owned();
            by_verb.entry(verb).or_insert_with(std::collections::BTreeSet::new).insert(agent);
        }
    }
    for verb in ["get", "list", "watch", "patch", "delete"] {
        let mut wrong = Vec::new();
        let agents = by_verb.remove(verb).unwrap_or_default();
        let is_named = |it: &String| {
            it.strip_prefix("brokkr-agent/").is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        };
        must(
            &mut wrong,
            !agents.is_empty() && agents.iter().all(is_named),
            format!("the userAgent of {verb} is {agents:?}"),
        );
        rounds.add(verb, wrong);
    }
    super::look::end(scene, rounds).await
}

/// `If-Match: *` matches any version of an existing entity.
pub(super) async fn if_match_star(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let broker = world.broker()?;
    let cases = [
        ("agents", json!({"name": "star-agent", "cluster_name": "star"}), "/agent/id"),
        ("stacks", json!({"name": "star-stack"}), "/id"),
        ("generators", json!({"name": "star-generator"}), "/generator/id"),
    ];
    for (nouns, new, id_at) in cases {
        let mut wrong = Vec::new();
        let created = broker.send(Method::POST, &format!("/{nouns}"), Some(&new)).await?;
        let id = created.pointer(id_at).and_then(Value::as_str).ok_or_else(|| format!("no id in {created}"))?;
        let change =
            if nouns == "generators" { json!({"description": "star"}) } else { json!({"labels": {"star": "yes"}}) };
        let (status, answer) = patch_any(&broker, &format!("/{nouns}/{id}"), &change).await?;
        must(&mut wrong, status == 200, format!("PATCH /{nouns}/… with If-Match: * answers {status} {answer}"));
        must(&mut wrong, answer.to_string().contains("star"), format!("it is not changed: {answer}"));
        let nowhere = "00000000-0000-7000-8000-000000000000";
        let (status, answer) = patch_any(&broker, &format!("/{nouns}/{nowhere}"), &change).await?;
        must(&mut wrong, matches!(status, 404 | 412), format!("a missing one answers {status} {answer}"));
        rounds.add(nouns, wrong);
    }
    Ok(rounds.end(Vec::new()))
}

async fn patch_any(broker: &Rest, path: &str, change: &Value) -> Result<(u16, Value)> {
    let request = broker
        .http
        .request(Method::PATCH, format!("{}{path}", broker.base))
        .bearer_auth(&broker.token)
        .header("if-match", "*")
        .header("content-type", "application/merge-patch+json")
        .body(change.to_string());
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
}

/// The broker refuses integers that Kubernetes cannot store, in YAML and in JSON, and keeps all others exactly.
pub(super) async fn big_integers(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let broker = world.broker()?;
    let stack = broker.send(Method::POST, "/stacks", Some(&json!({"name": "big-integers"}))).await?;
    let path = format!("/stacks/{}/deployment-objects", stack["id"].as_str().ok_or("no id")?);
    let yaml = |number: &str| {
        format!("apiVersion: big.example.com/v1\nkind: Count\nmetadata:\n  name: a\nspec:\n  n: {number}\n")
    };
    let document = |number: &str| {
        format!(
            r#"{{"apiVersion":"big.example.com/v1","kind":"Count","metadata":{{"name":"a"}},"spec":{{"n":{number}}}}}"#
        )
    };
    for number in
        ["18446744073709551615", "9223372036854775809", "-9223372036854775809", "123456789012345678901234567890"]
    {
        let mut wrong = Vec::new();
        for (kind, body) in [
            ("application/yaml", yaml(number)),
            ("application/json", format!(r#"{{"manifests":[{}]}}"#, document(number))),
        ] {
            let (status, answer) = broker.ask_text(Method::POST, &path, kind, Some(body)).await?;
            must(&mut wrong, status == 422 || status == 400, format!("{number} as {kind} answers {status} {answer}"));
        }
        rounds.add(number, wrong);
    }
    for number in ["9223372036854775807", "-9223372036854775808", "9007199254740993"] {
        let mut wrong = Vec::new();
        let body = format!(r#"{{"manifests":[{}]}}"#, document(number));
        let (status, answer) = broker.ask_text(Method::POST, &path, "application/json", Some(body)).await?;
        must(&mut wrong, status == 201 || status == 200, format!("{number} answers {status} {answer}"));
        let stored = stored(&broker, text_at(&answer, "/id")?).await?;
        must(&mut wrong, stored.contains(number), format!("{number} is stored as {stored}"));
        rounds.add(number, wrong);
    }
    Ok(rounds.end(Vec::new()))
}

async fn stored(broker: &Rest, id: &str) -> Result<String> {
    let request = broker
        .http
        .get(format!("{}/deployment-objects/{id}", broker.base))
        .bearer_auth(&broker.token)
        .header("accept", "application/yaml");
    Ok(request.send().await?.text().await?)
}
