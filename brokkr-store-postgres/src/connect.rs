//! Connections, with everything that must hold on each.

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::PostgresConfig;
use crate::error::ConnectError;

/// The address, with time-outs and a name.
pub(crate) fn options(config: &PostgresConfig) -> Result<PgConnectOptions, ConnectError> {
    let options = PgConnectOptions::from_str(config.url.expose_secret()).map_err(ConnectError::Address)?;
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

/// The pool.
pub(crate) fn pool(config: &PostgresConfig) -> Result<PgPool, ConnectError> {
    let options = options(config)?;
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        // A connection that broke is noticed when it is used; asking first would cost a round trip each time.
        .test_before_acquire(false)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        .connect_lazy_with(options))
}
