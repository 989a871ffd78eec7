//! The conformance suite of `Store` on PostgreSQL.

use std::sync::Arc;

use brokkr_core::store::Store;

use crate::support::Database;

async fn fresh() -> (Database, Arc<dyn Store>) {
    let database = Database::new();
    let store = Arc::new(database.store().await);
    (database, store)
}

brokkr_core::store_conformance!(fresh().await);
