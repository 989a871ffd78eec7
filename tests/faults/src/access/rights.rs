//! Every operation with every valid key, on objects that the key's owner reaches.

use super::callers::{Caller, Kind, admins, of_tenants};
use super::client::Answer;
use super::document::Operation;
use super::table::{self, More, Row, permits};
use super::tenant::Tenant;
use super::world::World;
use crate::Result;
use crate::agent::rounds::Rounds;

/// The answers to a request that is permitted, but has nothing to do or needs further scopes for its content.
const PASSED: [u16; 3] = [409, 412, 422];

pub(super) async fn check(world: &World, rounds: &mut Rounds) -> Result<()> {
    let callers: Vec<Caller> = admins(world).await?.into_iter().chain(of_tenants()).collect();
    for operation in &world.operations {
        let Some(row) = table::of(&operation.name).filter(|row| row.admin != "none") else { continue };
        if row.more == More::JoinToken {
            let request = operation.request(&world.join_token().await?, &[], &world.body(row, &world.one));
            let answer = world.send(operation, &request).await?;
            rounds.add(format!("{} with a join token", operation.name), judged_status(&answer, 201));
        }
        for caller in &callers {
            let wrong = one(world, operation, row, caller).await?;
            rounds.add(format!("{} as {}", operation.name, caller.name), wrong);
        }
    }
    Ok(())
}

async fn one(world: &World, operation: &Operation, row: &Row, caller: &Caller) -> Result<Vec<String>> {
    let is_permitted = permits(caller.cell(row), &caller.scopes);
    let changes = is_permitted && operation.method != "GET";
    let fresh = if changes { Some(world.fresh(row.more == More::Bare).await?) } else { None };
    let tenant = fresh.as_ref().unwrap_or(&world.one);
    let ids = world.ids(operation, tenant, changes).await?;
    if let (More::After(first), true) = (row.more, changes) {
        before(world, first, tenant).await?;
    }
    let mut request = operation.request(caller.key(tenant), &ids, &world.body(row, tenant));
    request.shows_secrets = operation.nouns == ["deployment-objects"] && caller.reads_secrets();
    let answer = world.send(operation, &request).await?;
    let mut wrong = judged(row, caller, is_permitted, &answer);
    if caller.kind != Kind::Admin {
        wrong.extend(world.names_foreign(&answer));
    }
    Ok(wrong)
}

fn judged(row: &Row, caller: &Caller, is_permitted: bool, answer: &Answer) -> Vec<String> {
    let (status, slug) = (answer.status, answer.slug());
    let is_right = match row.more {
        More::JoinToken => (status, slug.as_str()) == (401, "unauthenticated"),
        _ if !is_permitted => (status, slug.as_str()) == (403, "forbidden"),
        More::Status(expected) => status == expected,
        _ => (200..300).contains(&status) || !caller.is_full && PASSED.contains(&status),
    };
    let expected = if is_permitted { "permitted" } else { "forbidden" };
    if is_right { vec![] } else { vec![format!("expected {expected}: {}", answer.shown())] }
}

fn judged_status(answer: &Answer, expected: u16) -> Vec<String> {
    if answer.status == expected { vec![] } else { vec![format!("expected {expected}: {}", answer.shown())] }
}

/// Sends the request that gives the operation something to do.
async fn before(world: &World, first: &str, tenant: &Tenant) -> Result<()> {
    let operation =
        world.operations.iter().find(|it| it.name == first).ok_or_else(|| format!("no operation {first}"))?;
    let ids = world.ids(operation, tenant, false).await?;
    let body = table::of(first).map(|row| world.body(row, tenant)).unwrap_or_default();
    let answer = world.client.ask(&operation.request(&world.admin, &ids, &body)).await?;
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(format!("{first}: {}", answer.shown()).into()) }
}

/// Each operation has a row, each row an operation, and each row succeeded at least once.
pub(super) fn rows(world: &World, rounds: &mut Rounds) {
    let succeeded = world.succeeded.borrow();
    for operation in &world.operations {
        let name = &operation.name;
        let wrong = match table::of(name) {
            None => vec!["has no row; add one to tests/faults/src/access/table.rs".to_owned()],
            // Nothing was sent if only this group runs.
            Some(row) if matches!(row.more, More::Status(_)) || succeeded.is_empty() => vec![],
            Some(_) if succeeded.contains(name) => vec![],
            Some(_) => vec!["never succeeded; correct the request in its row".to_owned()],
        };
        rounds.add(name, wrong);
    }
    for row in table::ROWS {
        let exists = world.operations.iter().any(|it| it.name == row.operation);
        rounds.add(row.operation, if exists { vec![] } else { vec!["is not in the document".to_owned()] });
    }
}
