//! Every operation on objects that a key's owner does not reach: of others, missing, deleted.

use super::callers::{Caller, Kind, of_tenants};
use super::client::Answer;
use super::document::Operation;
use super::table::{self, Row, permits};
use super::tenant::Tenant;
use super::world::{MISSING, World};
use crate::Result;
use crate::agent::rounds::Rounds;

pub(super) async fn check(world: &World, rounds: &mut Rounds) -> Result<()> {
    let before = world.snapshot().await?;
    for operation in &world.operations {
        let Some(row) = table::of(&operation.name) else { continue };
        for caller in of_tenants() {
            if permits(caller.cell(row), &caller.scopes) {
                unreachable(world, operation, row, &caller, rounds).await?;
            }
        }
        if row.admin != "none" && !operation.nouns.is_empty() {
            as_admin(world, operation, row, rounds).await?;
        }
    }
    let after = world.snapshot().await?;
    for (before, after) in before.iter().zip(&after) {
        let path = before.split(' ').next().unwrap_or_default();
        let wrong = if before == after { vec![] } else { vec![format!("was {before}, is {after}")] };
        rounds.add(format!("{path} after all requests"), wrong);
    }
    Ok(())
}

/// The second tenant's and the sibling's id for a path parameter.
fn foreign<'a>(world: &'a World, noun: &str, caller: &Caller) -> Vec<(&'static str, &'a str)> {
    let mut found: Vec<_> = world.two.id(noun).map(|id| ("of another tenant", id)).into_iter().collect();
    if caller.kind == Kind::Agent && noun == "agents" {
        found.push(("of the same tenant", world.one.sibling.as_str()));
    }
    found
}

/// The first tenant's callers with one id after the other replaced; the others' callers with the first tenant's ids.
async fn unreachable(
    world: &World,
    operation: &Operation,
    row: &Row,
    caller: &Caller,
    rounds: &mut Rounds,
) -> Result<()> {
    let own = world.ids(operation, &world.one, false).await?;
    for (at, noun) in operation.nouns.iter().enumerate().filter(|(_, noun)| *noun != "stacks/by-name") {
        let gone = world.deleted(noun).await?;
        let mut ids = vec![("missing", MISSING)];
        ids.extend(gone.as_deref().map(|id| ("deleted", id)));
        ids.extend(foreign(world, noun, caller));
        let mut first: Option<Answer> = None;
        for (what, id) in ids {
            let mut path = own.clone();
            if let Some(place) = path.get_mut(at) {
                id.clone_into(place);
            }
            let request = operation.request(caller.key(&world.one), &path, &world.body(row, &world.one));
            let answer = world.send(operation, &request).await?;
            let wrong = hidden(world, &answer, first.as_ref());
            rounds.add(format!("{} with {noun} {what} as {}", operation.name, caller.name), wrong);
            first.get_or_insert(answer);
        }
    }
    let is_named = operation.nouns.iter().any(|noun| noun == "stacks/by-name");
    if operation.nouns.is_empty() || is_named {
        return Ok(());
    }
    let sibling = Tenant { agent_pak: world.one.sibling_pak.clone(), ..world.one.clone() };
    let mut others = vec![("another tenant's", &world.two)];
    if caller.kind == Kind::Agent {
        others.push(("the same tenant's other", &sibling));
    }
    let missing: Vec<String> = operation.nouns.iter().map(|_| MISSING.to_owned()).collect();
    for (whose, other) in others {
        let ask = async |ids: &[String]| {
            world.send(operation, &operation.request(caller.key(other), ids, &world.body(row, other))).await
        };
        let (absent, answer) = (ask(&missing).await?, ask(&own).await?);
        let wrong = hidden(world, &answer, Some(&absent));
        rounds.add(format!("{} as {whose} {}", operation.name, caller.name), wrong);
    }
    Ok(())
}

/// An admin with missing and deleted ids. Revisions are records, which outlive their stacks.
async fn as_admin(world: &World, operation: &Operation, row: &Row, rounds: &mut Rounds) -> Result<()> {
    if row.admin.is_empty() {
        return Ok(());
    }
    let own = world.ids(operation, &world.one, false).await?;
    for (at, noun) in operation.nouns.iter().enumerate() {
        let Some(gone) = world.deleted(noun).await?.filter(|_| noun != "deployment-objects") else { continue };
        let mut first: Option<Answer> = None;
        for (what, id) in [("missing", MISSING), ("deleted", gone.as_str())] {
            let mut path = own.clone();
            if let Some(place) = path.get_mut(at) {
                id.clone_into(place);
            }
            let request = operation.request(&world.admin, &path, &world.body(row, &world.one));
            let answer = world.send(operation, &request).await?;
            let wrong = hidden(world, &answer, first.as_ref());
            rounds.add(format!("{} with {noun} {what} as admin", operation.name), wrong);
            first.get_or_insert(answer);
        }
    }
    Ok(())
}

/// What is wrong with an answer that has to be the 404 of `other`, byte for byte.
fn hidden(world: &World, answer: &Answer, other: Option<&Answer>) -> Vec<String> {
    let mut wrong = Vec::new();
    if (answer.status, answer.slug().as_str()) != (404, "not-found") {
        wrong.push(format!("expected 404: {}", answer.shown()));
    }
    if let Some(other) = other.filter(|other| other.comparable() != answer.comparable()) {
        wrong.push(format!("differs from the answer to a missing id: {} and {}", other.shown(), answer.shown()));
    }
    wrong.extend(world.names_foreign(answer));
    wrong
}
