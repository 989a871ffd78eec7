//! How to reach the database, and how long to wait for it.

use std::time::Duration;

use secrecy::SecretString;

/// How to reach the database, and how long to wait for it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`, with `sslmode` and `sslrootcert` as libpq has them. Without `sslmode`
    /// TLS is used where the server offers it (`prefer`); use `verify-full` across networks.
    pub url: SecretString,
    /// Connections at the most; 10 by default. One more is used to listen.
    pub max_connections: u32,
    /// How long an operation waits for a free connection; 5 s by default. Then it is unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may take; 10 s by default. Reading the first snapshot of a large fleet is given longer. A server
    /// that is not heard from for 2 s longer than that is unavailable, and the connection is given up.
    pub statement_timeout: Duration,
    /// How long one statement waits for a lock; 5 s by default.
    pub lock_timeout: Duration,
    /// Whether brokers wake each other by `LISTEN` and `NOTIFY`; true by default. A hint only: without it they see each
    /// other's writes at their next look, at most half a second later.
    pub notify: bool,
    /// Whether a proxy that pools transactions (PgBouncer) stands in between: then nothing is kept in a connection's
    /// session, neither prepared statements nor settings, and `notify` is off. False by default. Time-outs are then those of
    /// the broker's role.
    pub pooled: bool,
    /// Whether a role is accepted that could change history: a superuser, the owner of the tables, or one that
    /// bypasses row security. False by default; for development.
    pub allow_privileged_role: bool,
}

impl PostgresConfig {
    /// The defaults, for this address.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            notify: true,
            pooled: false,
            allow_privileged_role: false,
        }
    }
}
