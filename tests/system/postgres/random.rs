//! Random histories on PostgreSQL and in memory: they must come to the same.

use std::sync::Arc;

use brokkr_core::store::MemoryStore;
use brokkr_core::store::conformance::random::Twins;

use crate::support::Database;

/// In several databases at the same time.
const DATABASES: u64 = 4;
/// Unless BROKKR_HISTORIES says otherwise; `cargo xtask faults postgres` plays 2,000.
const HISTORIES: u64 = 200;
const COMMITS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_come_to_the_same() {
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
