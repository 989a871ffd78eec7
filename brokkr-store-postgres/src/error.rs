//! Database errors by meaning.

use brokkr_core::model::Revision;
use brokkr_core::store::{StoreError, UniqueKey};

/// Why no store could be made of a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is none.
    #[error("the database's address cannot be read: {0}")]
    Address(#[source] sqlx::Error),
    /// The database cannot be reached, or refuses.
    #[error("the database cannot be used: {0}")]
    Database(#[source] sqlx::Error),
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

/// Why the schema could not be brought up to date. What was done stays done; running it again goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The address is none.
    #[error("the database's address cannot be read: {0}")]
    Address(#[source] sqlx::Error),
    /// The database cannot be reached, or refuses.
    #[error("the database cannot be used: {0}")]
    Database(#[source] sqlx::Error),
    /// A step failed.
    #[error("the migration failed: {0}")]
    Step(#[source] sqlx::migrate::MigrateError),
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
            // time-out; lock not got in time; read-only because it is a standby.
            let away = code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57P0")
                || matches!(&*code, "57014" | "55P03" | "25006" | "40001" | "40P01" | "58030");
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
        "api_key_short_id" => UniqueKey::KeyShortId,
        // Which one is known to the caller: it committed at most one per stack.
        "deployment_object_revision" => UniqueKey::StackRevision(Revision::new(0)),
        _ => return None,
    })
}
