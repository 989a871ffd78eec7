//! The time from the start of a broker on a large database to its first answer.

use std::time::Duration;

use brokkr_testbed::text_at;
use http::Method;
use serde_json::json;

use crate::fixture::Database;
use crate::{Result, figure, seed};

const ROUNDS: usize = 3;

pub(crate) async fn run() -> Result<()> {
    let database = Database::start().await?;
    let (pak, agent) = {
        let broker = database.broker(10)?;
        let admin = broker.admin()?;
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
        let body = json!({"targeting": {}, "manifests": [manifest]});
        let applied = broker.call(admin, Method::PUT, "/stacks/by-name/first", Some(&body)).await?;
        let created = broker.call(admin, Method::POST, "/agents", Some(&json!({"name": "poller"}))).await?;
        let agent = text_at(&created, "/agent/id")?.to_owned();
        let stack = text_at(&applied, "/stack/id")?;
        broker.call(admin, Method::PUT, &format!("/stacks/{stack}/targets/{agent}"), None).await?;
        (text_at(&created, "/pak")?.to_owned(), agent)
    };
    println!("inserting 1,000 agents, 1,000 stacks on 100 agents each, 1,000,000 events");
    seed::fleet(&database, 1_000, 1_000, 100)?;
    seed::history(&database, 1_000, 1_000_000)?;
    println!("{} assignments", database.query("SELECT count(*) FROM brokkr.assignment")?);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let broker = database.broker(10)?;
        loop {
            let path = format!("/agents/{agent}/target-state");
            if let Ok(state) = broker.call(&pak, Method::GET, &path, None).await {
                let listed = state["count"].as_u64().unwrap_or(0);
                if listed == 0 {
                    return Err("the first answer lists no stacks".into());
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(broker.process.started.elapsed().as_secs_f64());
        println!("first poll answered after {:.2} s", broker.process.started.elapsed().as_secs_f64());
    }
    figure("first_poll_seconds", times.into_iter().fold(0.0, f64::max));
    Ok(())
}
