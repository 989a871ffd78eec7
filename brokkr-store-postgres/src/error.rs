//! Database errors by meaning.

use std::error::Error;

use brokkr_core::model::{EntityKind, Revision};
use brokkr_core::store::{StoreError, UniqueKey};

/// The driver's own error, for logs.
type Cause = Box<dyn Error + Send + Sync>;

/// Why no store could be made of a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is none.
    #[error("the database's address cannot be read: {0}")]
    Address(#[source] Cause),
    /// The database cannot be reached, or refuses.
    #[error("the database cannot be used: {0}")]
    Database(#[source] Cause),
    /// The server's certificate is not trusted, is another host's, or there is none.
    #[error(
        "no TLS with the database as sslmode demands it: {0}; sslrootcert must name a file with the certificate of the authority that signed the server's, and with sslmode=verify-full the address must have a name that is in it"
    )]
    Tls(#[source] Cause),
    /// There are no tables, or not all of them.
    #[error(
        "the database's schema is not that of this version (has {found}, needs {needed}); run the migration: brokkr-broker migrate"
    )]
    Schema {
        /// The newest migration that was run; 0 for none.
        found: i64,
        /// The newest that this version needs.
        needed: i64,
    },
    /// The role could change history.
    #[error(
        "the role {role} {problem}: a broker's role must not be able to change history; see brokkr-broker migrate --roles, or allow it for development"
    )]
    Privileged {
        /// The role.
        role: String,
        /// What it may do.
        problem: &'static str,
    },
}

impl ConnectError {
    /// By what can be done about it.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        if is_tls(&error) { Self::Tls(error.into()) } else { Self::Database(error.into()) }
    }
}

/// A handshake that fails over a certificate is reported as data that make no sense.
fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Why the schema could not be brought up to date. What was done stays done; running it again goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The address is none.
    #[error("the database's address cannot be read: {0}")]
    Address(#[source] Cause),
    /// The database cannot be reached, or refuses.
    #[error("the database cannot be used: {0}")]
    Database(#[source] Cause),
    /// There is no TLS as the address demands it.
    #[error("{0}")]
    Tls(#[source] ConnectError),
    /// A step failed.
    #[error("the migration failed: {0}")]
    Step(#[source] Cause),
    /// Others held locks for longer than brokers may be kept waiting. Nothing of the step that wanted them was done.
    #[error("a lock could not be had in {tries} tries: {holders}; end that, or run the migration again later")]
    Locked {
        /// How often it was tried.
        tries: u32,
        /// Who held which locks all the while.
        holders: String,
    },
}

impl MigrateError {
    /// A statement failed.
    pub(crate) fn database(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }

    /// Whether a statement failed for want of a lock, so that trying again may help.
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

    /// By what can be done about it.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        if is_tls(&error) { Self::Tls(ConnectError::Tls(error.into())) } else { Self::Database(error.into()) }
    }
}

/// Whether a lock was not to be had in time, or only by a deadlock.
fn is_locked(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| matches!(code.as_str(), "55P03" | "40P01"))
}

/// The class of an error, by SQLSTATE (PostgreSQL's documentation, appendix A).
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    // Serialization failure, deadlock.
    code(error).is_some_and(|code| matches!(code.as_str(), "40001" | "40P01"))
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// What a database error means to a caller of the store.
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
            // Connection lost; out of resources (disk, memory, connections); shut down or not yet up; cancelled by a
            // time-out; lock not got in time; read-only because it is a standby; a transaction that was left waiting.
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
        // Which kind is known to the caller.
        "document_name" => UniqueKey::Name(EntityKind::Environment),
        "api_key_short_id" => UniqueKey::KeyShortId,
        // Which one is known to the caller: it committed at most one per stack.
        "deployment_object_revision" => UniqueKey::StackRevision(Revision::new(0)),
        _ => return None,
    })
}
