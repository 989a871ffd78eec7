//! Notifications of other brokers about commits. They are hints: a broker that misses one polls soon after.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::query::statements;

const CHANNEL: &str = "brokkr_change";
/// The minimum interval between notifications. One per write transaction would reduce the rate of commits to a sixth.
const INTERVAL: Duration = Duration::from_millis(25);
/// The pause before reconnecting after the listening connection was lost.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

statements! {
    NOTIFY = "SELECT pg_notify('brokkr_change', '')";
}

/// Sends coalesced notifications of this broker's commits until stopped.
pub(crate) async fn send(database: Database, committed: std::sync::Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = committed.notified() => {}
        }
        if let Err(error) = sqlx::query(NOTIFY).execute(&database).await {
            tracing::debug!(%error, "cannot notify other brokers; they see the commits at their next poll");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Increments the counter for each notification until stopped. A reconnection counts as a notification, because those
/// in between were lost.
pub(crate) async fn listen(options: PgConnectOptions, news: watch::Sender<u64>, stop: CancellationToken) {
    let work = async {
        loop {
            if let Err(error) = listen_once(&options, &news).await {
                tracing::debug!(%error, "lost the listening connection; reconnecting");
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn listen_once(options: &PgConnectOptions, news: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    // Use a separate pool, so that the listener does not occupy a connection for statements.
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    loop {
        news.send_modify(|count| *count += 1);
        if listener.try_recv().await?.is_none() {
            return Ok(());
        }
    }
}
