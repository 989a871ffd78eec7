//! Rights: each operation of the served OpenAPI document, with each kind of caller, on objects of its own, of others, missing and
//! deleted, on both stores. What is expected comes from the table in `table.rs` alone.

mod callers;
mod canaries;
mod client;
mod document;
mod objects;
mod references;
mod rights;
mod secrets;
mod table;
mod tenant;
mod world;

use std::path::{Path, PathBuf};
use std::time::Instant;

use brokkr_testbed::{BrokerProcess, ScratchFolder, free_port, program};

use self::secrets::CANARY;
use self::world::World;
use crate::agent::rounds::Rounds;
use crate::postgres::Database;
use crate::{Outcome, Result, chosen, tell};

/// The names of all groups. The last two judge what all before them have done.
const ALL: [&str; 7] = ["callers", "retired", "rights", "objects", "references", "rows", "canaries"];

/// A broker that logs everything.
struct Scene {
    name: &'static str,
    process: BrokerProcess,
    log: PathBuf,
    admin: String,
}

impl Scene {
    fn start(name: &'static str, folder: &Path, database: Option<&str>) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let trace = ["--log-level", "trace"];
        let process = BrokerProcess::start(&program("brokkr-broker")?, free_port()?, &trace, database, &log)?;
        let admin = process.admin.clone().ok_or("the broker printed no admin key")?;
        Ok(Self { name, process, log, admin })
    }
}

/// Runs all groups or one of them, on both stores. Returns true if a case failed.
pub(crate) async fn run(only: Option<&str>) -> Result<bool> {
    let names = chosen(&ALL, only)?;
    let database = Database::start("access").await?;
    let folder = ScratchFolder::new("access")?;
    // The server trusts local connections, so any password is accepted.
    let url = database.url().replacen('@', &format!(":{CANARY}password@"), 1);
    let memory = Scene::start("memory", folder.path(), None)?;
    let postgres = Scene::start("postgresql", folder.path(), Some(&url))?;
    let mut wrong = false;
    for (scene, other) in [(&memory, &postgres), (&postgres, &memory)] {
        let world = World::new(&scene.process.url, &scene.admin, &other.admin).await?;
        for name in &names {
            let began = Instant::now();
            let outcome = group(name, &world, scene, other).await;
            wrong |= tell(&format!("{}-{name}", scene.name), outcome);
            println!("==> {}-{name}: {} s", scene.name, began.elapsed().as_secs());
        }
        if !scene.process.process.is_running() || std::fs::read_to_string(&scene.log)?.contains("panicked") {
            println!("the broker ended or panicked; its log: {}", scene.log.display());
            wrong = true;
        }
    }
    Ok(wrong)
}

async fn group(name: &str, world: &World, scene: &Scene, other: &Scene) -> Result<Outcome> {
    let mut rounds = Rounds::default();
    match name {
        "callers" => callers::check_invalid(world, &other.admin, &mut rounds).await?,
        "retired" => callers::check_retired(world, &mut rounds).await?,
        "rights" => rights::check(world, &mut rounds).await?,
        "objects" => objects::check(world, &mut rounds).await?,
        "references" => references::check(world, &mut rounds).await?,
        "rows" => rights::rows(world, &mut rounds),
        _ => canaries::check(world, scene.name, &scene.log, &mut rounds).await?,
    }
    Ok(rounds.end(Vec::new()))
}
