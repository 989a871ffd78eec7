//! Every statement, looked at by the server.

use brokkr_store_postgres::statements;

use crate::support::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_can_be_prepared() {
    let database = Database::new();
    let statements = statements();
    assert!(statements.len() > 70, "{}", statements.len());
    for (name, sql) in statements.iter().filter(|(name, _)| !name.ends_with("SNAPSHOT_BEGIN")) {
        database.query(&format!("PREPARE p AS {sql}"));
        assert!(!name.is_empty());
    }
}
