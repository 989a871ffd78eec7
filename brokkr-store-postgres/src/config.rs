//! Configuration of the PostgreSQL store.

use std::time::Duration;

use secrecy::SecretString;

/// Configuration of the PostgreSQL store: address, pool and timeouts.
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

    /// A configuration with defaults for this address: `postgres://user:password@host:port/database`, with `sslmode`
    /// and `sslrootcert` as in libpq.
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

    /// Maximum connections of the pool, at least 1. Default: [`MAX_CONNECTIONS`](Self::MAX_CONNECTIONS). The store
    /// opens up to two more outside of the pool, to read the view and to listen.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How long an operation waits for a free connection. Default: 5 s. After that it fails with
    /// [`Unavailable`](brokkr_core::store::StoreError::Unavailable).
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long one statement may run on the server. Default: 10 s; view snapshots may take 60 s. If no answer arrives
    /// within 2 s more, the store closes the connection. In both cases the operation fails with
    /// [`Unavailable`](brokkr_core::store::StoreError::Unavailable).
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long one statement waits for a lock. Default: 5 s. After that it fails with
    /// [`Unavailable`](brokkr_core::store::StoreError::Unavailable).
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Whether brokers notify each other of commits with `LISTEN` and `NOTIFY`. Default: true. Without notifications a
    /// broker sees the commits of others when it next polls the database, at most half a second later.
    #[must_use]
    pub fn notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// Whether connections pass through a connection pooler in transaction mode, such as PgBouncer. Default: false. If true,
    /// the store keeps nothing in a session: it uses no prepared statements, no settings and no
    /// [`notify`](Self::notify), and the timeouts are those of the broker's role.
    #[must_use]
    pub fn pooled(mut self, pooled: bool) -> Self {
        self.pooled = pooled;
        self
    }

    /// Whether the store accepts a role that could change immutable records: a superuser, the owner of the tables, or a
    /// role that bypasses row security. Default: false. Use true only for development.
    #[must_use]
    pub fn allow_privileged_role(mut self, allow: bool) -> Self {
        self.allow_privileged_role = allow;
        self
    }
}
