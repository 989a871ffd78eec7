//! Connection options and the pool.

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::PostgresConfig;
use crate::error::ConnectError;
use crate::history;
use crate::session::Session;

/// Parses the address and adds timeouts and the application name.
pub(crate) fn options(config: &PostgresConfig) -> Result<PgConnectOptions, ConnectError> {
    let options =
        PgConnectOptions::from_str(config.url.expose_secret()).map_err(|error| ConnectError::Address(error.into()))?;
    let options = options.application_name("brokkr-broker");
    if config.pooled {
        // Set nothing that belongs to a session or that a proxy may refuse.
        return Ok(options.extra_float_digits(None));
    }
    Ok(options.options([
        ("statement_timeout", milliseconds(config.statement_timeout)),
        ("lock_timeout", milliseconds(config.lock_timeout)),
        ("idle_in_transaction_session_timeout", milliseconds(config.statement_timeout)),
        ("default_transaction_isolation", "read committed".to_owned()),
        // Rows are read as JSON, in which times have the session's time zone.
        ("timezone", "UTC".to_owned()),
    ]))
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// The timeout of each step on the client, slightly longer than that on the server.
pub(crate) fn step_timeout(config: &PostgresConfig) -> Duration {
    config.statement_timeout + Duration::from_secs(2)
}

/// Creates the connection pool.
pub(crate) fn pool(config: &PostgresConfig) -> Result<PgPool, ConnectError> {
    let options = options(config)?;
    let (pooled, step_timeout) = (config.pooled, step_timeout(config));
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        // The next statement detects a broken connection; testing it first would cost a round trip each time.
        .test_before_acquire(false)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        // A restore closes every connection, so checking here begins the new history before anything is committed. If
        // the check fails (no tables yet, a standby), the statement that needs the connection fails too and reports the
        // cause.
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let mut session = Session::new(connection, pooled, step_timeout);
                if let Err(error) = history::ensure_current(&mut session).await {
                    tracing::debug!(%error, "cannot check the history on a new connection");
                }
                Ok(())
            })
        })
        .connect_lazy_with(options))
}
