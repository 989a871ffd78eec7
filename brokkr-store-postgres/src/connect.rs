//! Connections, with everything that must hold on each.

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::PostgresConfig;
use crate::error::ConnectError;
use crate::history;
use crate::session::Session;

/// The address, with time-outs and a name.
pub(crate) fn options(config: &PostgresConfig) -> Result<PgConnectOptions, ConnectError> {
    let options =
        PgConnectOptions::from_str(config.url.expose_secret()).map_err(|error| ConnectError::Address(error.into()))?;
    let options = options.application_name("brokkr-broker");
    if config.pooled {
        // Nothing that belongs to a session, and no setting that a proxy does not know.
        return Ok(options.extra_float_digits(None));
    }
    Ok(options.options([
        ("statement_timeout", milliseconds(config.statement_timeout)),
        ("lock_timeout", milliseconds(config.lock_timeout)),
        ("idle_in_transaction_session_timeout", milliseconds(config.statement_timeout)),
        ("default_transaction_isolation", "read committed".to_owned()),
        // Rows are read as JSON, whose times have the session's zone.
        ("timezone", "UTC".to_owned()),
    ]))
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// How long each step may take, counted here: a little longer than the server would let it.
pub(crate) fn patience(config: &PostgresConfig) -> Duration {
    config.statement_timeout + Duration::from_secs(2)
}

/// The pool.
pub(crate) fn pool(config: &PostgresConfig) -> Result<PgPool, ConnectError> {
    let options = options(config)?;
    let (pooled, patience) = (config.pooled, patience(config));
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        // A connection that broke is noticed when it is used; asking first would cost a round trip each time.
        .test_before_acquire(false)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        // A restore ends every connection: before anything is committed over a new one, the new history has begun. Where that
        // fails (no tables yet, a standby), so will whatever the connection is for, and say why.
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let mut session = Session::new(connection, pooled, patience);
                if let Err(error) = history::ensure_current(&mut session).await {
                    tracing::debug!(%error, "a new connection does not tell where history stands");
                }
                Ok(())
            })
        })
        .connect_lazy_with(options))
}
