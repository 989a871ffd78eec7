//! Random histories on PostgreSQL and in memory must give the same results.

use std::sync::Arc;

use brokkr_core::store::MemoryStore;
use brokkr_core::store::conformance::random::Twins;

use crate::support::Database;

/// Number of databases in parallel.
const DATABASES: u64 = 4;
/// Default number of histories. `BROKKR_HISTORIES` changes it; `cargo xtask faults postgres` uses 2,000.
const HISTORIES: u64 = 200;
const COMMITS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_give_the_same_results() {
    let histories = std::env::var("BROKKR_HISTORIES").map_or(HISTORIES, |text| text.parse().unwrap());
    let play = |first: u64| async move {
        let database = Database::new();
        let mut twins = Twins::new(Arc::new(MemoryStore::new()), Arc::new(database.store().await)).await;
        let mut accepted = 0;
        for seed in (first..histories).step_by(DATABASES as usize) {
            accepted += twins.play(seed, COMMITS).await;
        }
        accepted
    };
    let games: Vec<_> = (0..DATABASES).map(|first| tokio::spawn(play(first))).collect();
    let mut accepted = 0;
    for game in games {
        accepted += game.await.unwrap();
    }
    assert!(accepted > histories as usize * COMMITS / 2, "{accepted} of {histories} histories of {COMMITS} commits");
}
