//! How to reach the database, and how long to wait for it.

use std::time::Duration;

use secrecy::SecretString;

/// How to reach the database, and how long to wait for it.
///
/// ```
/// use brokkr_store_postgres::PostgresConfig;
///
/// let config = PostgresConfig::new("postgres://brokkr_broker@db/brokkr?sslmode=verify-full").max_connections(20);
/// ```
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    pub(crate) url: SecretString,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) notify: bool,
    pub(crate) pooled: bool,
    pub(crate) allow_privileged_role: bool,
}

impl PostgresConfig {
    /// Default of [`max_connections`](Self::max_connections).
    pub const MAX_CONNECTIONS: u32 = 10;

    /// The defaults for this address: `postgres://user:password@host:port/database`, with `sslmode` and `sslrootcert` as in libpq.
    ///
    /// Without `sslmode` the connection uses TLS where the server offers it (`prefer`); use `verify-full` across networks.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            max_connections: Self::MAX_CONNECTIONS,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            notify: true,
            pooled: false,
            allow_privileged_role: false,
        }
    }

    /// The size of the connection pool, at least 1. Default: [`MAX_CONNECTIONS`](Self::MAX_CONNECTIONS). The store uses one
    /// connection more to listen.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How long an operation waits for a free connection. Default: 5 s. Then it fails as unavailable.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long one statement may run. Default: 10 s; the first snapshot of a large fleet gets longer. The store gives up a
    /// connection on which nothing arrives for 2 s more, and fails as unavailable.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long one statement waits for a lock. Default: 5 s. Then it fails as unavailable.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Whether brokers wake each other by `LISTEN` and `NOTIFY`. Default: true. Without it a broker sees the writes of others at
    /// its next poll, at most half a second later.
    #[must_use]
    pub fn notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// Whether a proxy that pools transactions (PgBouncer) stands in between. Default: false. The store then keeps nothing in a
    /// session: no prepared statements, no settings, no [`notify`](Self::notify); time-outs are those of the broker's role.
    #[must_use]
    pub fn pooled(mut self, pooled: bool) -> Self {
        self.pooled = pooled;
        self
    }

    /// Whether the store accepts a role that could change history: a superuser, the owner of the tables, or one that bypasses row
    /// security. Default: false; for development.
    #[must_use]
    pub fn allow_privileged_role(mut self, allow: bool) -> Self {
        self.allow_privileged_role = allow;
        self
    }
}
