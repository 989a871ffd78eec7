//! Polls that find nothing new cost the database nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::broker::{Broker, NewAgent, Origin};
use brokkr_core::protocol::{Poll, PollRequest};
use secrecy::ExposeSecret as _;

use crate::support::Database;

/// Calls of each kind of statement so far, by what they begin with.
fn scans(database: &Database) -> BTreeMap<String, i64> {
    let rows = database.query(
        "SELECT relname || ' ' || coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd
         FROM pg_stat_user_tables WHERE schemaname = 'brokkr'",
    );
    rows.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(table, count)| (table.to_owned(), count.parse().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_polls_touch_no_table_but_those_of_tail_and_telemetry() {
    const POLLS: usize = 10_000;
    let database = Database::new();
    let broker = Broker::builder(Arc::new(database.store().await)).start().await.unwrap();
    let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
    let (agent, pak) = broker.agent_create(&broker.system_actor(), new).await.unwrap();
    let pak = pak.pak.unwrap();
    let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
    let Poll::Changed(state) = broker.target_state(&actor, agent.id, PollRequest::default()).await.unwrap() else {
        panic!("the first poll knows nothing")
    };
    let request = PollRequest { known: Some(state.digest), ..PollRequest::default() };
    let before = scans(&database);
    let began = std::time::Instant::now();
    for _ in 0..POLLS {
        let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).unwrap();
        let poll = broker.target_state(&actor, agent.id, request).await.unwrap();
        assert!(matches!(poll, Poll::Unchanged { .. }));
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let seconds = began.elapsed().as_secs() as i64 + 1;
    for (table, count) in scans(&database) {
        let more = count - before.get(&table).copied().unwrap_or(0);
        let may = match table.as_str() {
            // The tail, twice a second, with where history stands.
            "change" | "history" | "feed_start" | "run" => 40 * seconds,
            // The flusher, four times a second, whatever the number of polls; it joins what it writes to.
            "agent_activity" | "key_activity" | "agent" | "api_key" => 20 * seconds,
            // What was before: connections write their statistics down some seconds late.
            _ => 10,
        };
        assert!(more <= may, "{table}: {more} more after {POLLS} polls in {seconds} s, {may} expected at the most");
    }
    broker.shutdown().await;
}
