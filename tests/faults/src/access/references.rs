//! Ids in queries and bodies: those of others get the answer to missing ones.

use super::callers::of_tenants;
use super::client::Request;
use super::world::{MISSING, World};
use crate::Result;
use crate::agent::rounds::Rounds;

/// Requests as a generator, with `{id}` in the place of an id, and the kind of the id.
const CASES: [(&str, &str, &str, &str); 10] = [
    ("GET", "/events?stack={id}", "", "stacks"),
    ("GET", "/events?agent={id}", "", "agents"),
    ("GET", "/agents/{own-agent}/events?stack={id}", "", "stacks"),
    ("GET", "/stacks/{own-stack}/events?agent={id}", "", "agents"),
    ("GET", "/stacks?generator={id}", "", "generators"),
    ("GET", "/stacks?name=second-tenant-stack&generator={id}", "", "generators"),
    ("POST", "/stacks", r#"{"name": "r{n}", "generator_id": "{id}"}"#, "generators"),
    ("POST", "/stacks", r#"{"name": "r{n}", "depends_on": ["{id}"]}"#, "stacks"),
    ("PUT", "/stacks/by-name/r{n}", r#"{"depends_on": ["{id}"]}"#, "stacks"),
    ("PUT", "/stacks/by-name/r{n}", r#"{"generator_id": "{id}"}"#, "generators"),
];

pub(super) async fn check(world: &World, rounds: &mut Rounds) -> Result<()> {
    for caller in of_tenants().iter().filter(|it| it.name != "generator stacks:write") {
        for (method, path, body, noun) in CASES {
            let gone = world.deleted(noun).await?.unwrap_or_default();
            let mut first: Option<String> = None;
            for (what, id) in [
                ("missing", MISSING),
                ("deleted", gone.as_str()),
                ("of another tenant", world.two.id(noun).unwrap_or_default()),
            ] {
                let number = world.number().to_string();
                let filled = |text: &str| {
                    let text = text.replace("{own-agent}", &world.one.agent).replace("{own-stack}", &world.one.stack);
                    text.replace("{id}", id).replace("{n}", &number)
                };
                let request = Request::new(caller.key(&world.one), method, format!("/api/v1{}", filled(path)));
                let answer = world.client.ask(&request.body("application/json", filled(body))).await?;
                // The request itself contains the id.
                let answered = answer.comparable().replace(id, "{id}");
                let mut wrong = Vec::new();
                if let Some(first) = first.as_ref().filter(|first| **first != answered) {
                    wrong.push(format!("differs from the answer to a missing id:\n{first}\n{answered}"));
                }
                let named = world.two.marks().into_iter().find(|mark| *mark != id && answer.body.contains(mark));
                wrong.extend(named.map(|mark| format!("names {mark} of another tenant: {}", answer.shown())));
                rounds.add(format!("{method} {path} {body} with {noun} {what} as {}", caller.name), wrong);
                first.get_or_insert(answered);
            }
        }
    }
    Ok(())
}
