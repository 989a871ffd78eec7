//! The two roles: the owner of the tables, and the broker, which cannot change history.

use sqlx::PgConnection;

use crate::database::Database;
use crate::error::ConnectError;
use crate::query::statements;

statements! {
    GRANT = "SELECT brokkr.grant_to($1)";
    /// What the present role may do that a broker's must not.
    PRIVILEGES = "SELECT r.rolname::text, r.rolsuper, r.rolbypassrls,
            pg_has_role(r.oid, (SELECT relowner FROM pg_class WHERE oid = 'brokkr.change'::regclass), 'MEMBER')
        FROM pg_roles r WHERE r.rolname = current_user";
}

/// Gives the broker's role the rights on what exists now. Repeating it changes nothing.
pub(crate) async fn grant(connection: &mut PgConnection, role: &str) -> Result<(), sqlx::Error> {
    sqlx::query(GRANT).bind(role).execute(connection).await?;
    Ok(())
}

/// Refuses a role that could change history.
pub(crate) async fn check(database: &Database) -> Result<(), ConnectError> {
    let row: Option<(String, bool, bool, bool)> =
        sqlx::query_as(PRIVILEGES).fetch_optional(database).await.map_err(ConnectError::of)?;
    let Some((role, is_super, bypasses, owns)) = row else {
        return Ok(());
    };
    let problem = match (is_super, owns, bypasses) {
        (true, ..) => "is a superuser",
        (_, true, _) => "owns the tables",
        (.., true) => "bypasses row security",
        _ => return Ok(()),
    };
    Err(ConnectError::Privileged { role, problem })
}

/// The SQL that makes both roles, to be run once by an administrator of the database in that database. Passwords are left
/// to fill in.
pub fn roles_sql(owner: &str, broker: &str) -> String {
    let (owner, broker) = (quoted(owner), quoted(broker));
    format!(
        "-- Owns the schema; runs the migrations and the purge, and nothing else.\n\
         CREATE ROLE {owner} LOGIN PASSWORD '<fill in>' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;\n\
         -- What brokers connect as; its rights come with the migration.\n\
         CREATE ROLE {broker} LOGIN PASSWORD '<fill in>' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;\n\
         -- Time-outs that hold behind a proxy that pools transactions as well.\n\
         ALTER ROLE {broker} SET statement_timeout = '10s';\n\
         ALTER ROLE {broker} SET lock_timeout = '5s';\n\
         ALTER ROLE {broker} SET idle_in_transaction_session_timeout = '10s';\n\
         ALTER ROLE {broker} SET timezone = 'UTC';\n\
         DO $$ BEGIN\n    EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO {owner}', current_database());\n    \
         EXECUTE format('GRANT CONNECT ON DATABASE %I TO {broker}', current_database());\nEND $$;\n"
    )
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_roles_are_quoted() {
        let sql = roles_sql("own\"er", "broker");
        assert!(sql.contains("CREATE ROLE \"own\"\"er\" LOGIN"));
        assert!(sql.contains("CREATE ROLE \"broker\" LOGIN"));
    }
}
