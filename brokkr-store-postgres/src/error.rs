//! Errors of connections and migrations, and the classification of database errors.

use std::error::Error;

use brokkr_core::model::{EntityKind, Revision};
use brokkr_core::store::{StoreError, UniqueKey};

/// The driver's error, for logs.
type Cause = Box<dyn Error + Send + Sync>;

/// An error of [`PostgresStore::connect`](crate::PostgresStore::connect).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not a valid connection URL.
    #[error("invalid database address: {0}; expected postgres://user:password@host:port/database")]
    Address(#[source] Cause),
    /// The database cannot be reached, or refuses the connection or a statement.
    #[error("cannot use the database: {0}")]
    Database(#[source] Cause),
    /// The TLS handshake failed: the server's certificate is missing, not trusted, or for another host.
    #[error(
        "cannot establish TLS with the database as sslmode requires: {0}; sslrootcert must name a file with the certificate of the authority that signed the server's certificate, and with sslmode=verify-full the server's certificate must have a name that matches the address"
    )]
    Tls(#[source] Cause),
    /// The schema lacks tables or migrations of this version.
    #[error("the database schema has migration {found}, but this version needs {needed}; run brokkr-broker migrate")]
    Schema {
        /// The newest applied migration; 0 if there is none.
        found: i64,
        /// The migration that this version needs.
        needed: i64,
    },
    /// The role could change immutable records.
    #[error(
        "the role {role} {problem}, so it could change immutable records; create a role for brokers with the SQL of brokkr-broker migrate --roles, or allow privileged roles for development"
    )]
    Privileged {
        /// The name of the role.
        role: String,
        /// The excessive right.
        problem: &'static str,
    },
}

impl ConnectError {
    /// Classifies an error by its remedy.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        if is_tls(&error) { Self::Tls(error.into()) } else { Self::Database(error.into()) }
    }
}

/// The driver reports a certificate error as invalid data.
fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// An error of [`migrate`](crate::migrate). Completed steps persist; running the migration again continues after them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The address is not a valid connection URL.
    #[error("invalid database address: {0}; expected postgres://user:password@host:port/database")]
    Address(#[source] Cause),
    /// The database cannot be reached, or refuses the connection or a statement.
    #[error("cannot use the database: {0}")]
    Database(#[source] Cause),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(#[source] ConnectError),
    /// A migration step failed and was rolled back.
    #[error("migration failed: {0}")]
    Step(#[source] Cause),
    /// Other sessions held the locks that a step needs. The step was rolled back.
    #[error(
        "could not acquire a lock in {tries} attempts, held by {holders}; end those sessions, or run the migration again later"
    )]
    Locked {
        /// The number of attempts.
        tries: u32,
        /// The sessions that held locks at every attempt.
        holders: String,
    },
}

impl MigrateError {
    /// Wraps the error of a statement.
    pub(crate) fn database(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }

    /// Whether a statement failed because of a lock, so that trying again may help.
    pub(crate) fn is_held_up(&self) -> bool {
        use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
        match self {
            Self::Database(cause) => cause.downcast_ref().is_some_and(is_locked),
            Self::Step(cause) => match cause.downcast_ref() {
                Some(Execute(error) | ExecuteMigration(error, _)) => is_locked(error),
                _ => false,
            },
            _ => false,
        }
    }

    /// Classifies an error by its remedy.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        if is_tls(&error) { Self::Tls(ConnectError::Tls(error.into())) } else { Self::Database(error.into()) }
    }
}

/// Whether the error is a lock timeout or a deadlock.
fn is_locked(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| matches!(code.as_str(), "55P03" | "40P01"))
}

/// Whether repeating the transaction may help, by SQLSTATE (PostgreSQL documentation, appendix A).
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    // Serialization failure, deadlock.
    code(error).is_some_and(|code| matches!(code.as_str(), "40001" | "40P01"))
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// Converts a database error to a store error.
pub(crate) fn meaning(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::RowNotFound => StoreError::NotFound,
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            match database.constraint().and_then(unique_key) {
                Some(key) => StoreError::NotUnique(key),
                None => StoreError::Internal(Box::new(error)),
            }
        }
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            // Connection lost; out of resources (disk, memory, connections); shutting down or starting; statement
            // timeout; lock timeout; read-only standby; idle-transaction timeout.
            let away = code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57P0")
                || matches!(&*code, "57014" | "55P03" | "25006" | "25P03" | "25P04" | "40001" | "40P01" | "58030");
            if away { StoreError::Unavailable(Box::new(error)) } else { StoreError::Internal(Box::new(error)) }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Internal(Box::new(error)),
    }
}

fn unique_key(constraint: &str) -> Option<UniqueKey> {
    Some(match constraint {
        "generator_name" => UniqueKey::GeneratorName,
        "agent_name" => UniqueKey::AgentName,
        "stack_name" => UniqueKey::StackName,
        // The caller knows the kind and replaces this one.
        "document_name" => UniqueKey::Name(EntityKind::Environment),
        "api_key_short_id" => UniqueKey::KeyShortId,
        // The caller knows the revision and replaces this one: it committed at most one per stack.
        "deployment_object_revision" => UniqueKey::StackRevision(Revision::new(0)),
        _ => return None,
    })
}
