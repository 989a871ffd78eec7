//! Telling other brokers that there is something new. Hints: whoever misses one looks by itself soon after.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::query::statements;

const CHANNEL: &str = "brokkr_change";
/// At most one notification in this time: one in each write transaction would cut the rate of commits to a sixth.
const PAUSE: Duration = Duration::from_millis(25);
/// How long to wait after the connection that listens was lost.
const AGAIN: Duration = Duration::from_millis(500);

statements! {
    NOTIFY = "SELECT pg_notify('brokkr_change', '')";
}

/// Sends notifications for this broker's commits, coalesced, until stopped.
pub(crate) async fn send(database: Database, committed: std::sync::Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = committed.notified() => {}
        }
        if let Err(error) = sqlx::query(NOTIFY).execute(&database).await {
            tracing::debug!(%error, "cannot notify other brokers; they look by themselves");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Passes notifications on as movements of the counter, until stopped. Every reconnection counts as one: what came meanwhile was
/// lost.
pub(crate) async fn listen(options: PgConnectOptions, news: watch::Sender<u64>, stop: CancellationToken) {
    let work = async {
        loop {
            if let Err(error) = listen_once(&options, &news).await {
                tracing::debug!(%error, "the connection that listens was lost; another one is made");
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn listen_once(options: &PgConnectOptions, news: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    // A pool of its own: a listener must not take the place of a connection that works.
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
