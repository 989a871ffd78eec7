//! The two database roles: the owner of the tables, and the broker, which cannot change immutable records.

use sqlx::PgConnection;

use crate::database::Database;
use crate::error::ConnectError;
use crate::query::statements;

statements! {
    GRANT = "SELECT brokkr.grant_to($1)";
    /// The excessive rights of the current role, its own or those of a role that it is a member of.
    PRIVILEGES = "SELECT current_user::text,
            EXISTS (SELECT FROM pg_roles r WHERE r.rolsuper AND pg_has_role(current_user, r.oid, 'MEMBER')),
            EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'brokkr'::regnamespace
                AND pg_has_role(current_user, c.relowner, 'MEMBER')),
            EXISTS (SELECT FROM pg_roles r WHERE r.rolbypassrls AND pg_has_role(current_user, r.oid, 'MEMBER')),
            EXISTS (SELECT FROM unnest(ARRAY['content', 'deployment_object', 'agent_event', 'audit', 'change']) t (name)
                WHERE has_table_privilege(format('brokkr.%I', t.name), 'UPDATE, DELETE, TRUNCATE')
                    OR has_any_column_privilege(format('brokkr.%I', t.name), 'UPDATE'))";
}

/// Grants the broker's role its rights on all existing objects. Idempotent.
pub(crate) async fn grant(connection: &mut PgConnection, role: &str) -> Result<(), sqlx::Error> {
    sqlx::query(GRANT).bind(role).execute(connection).await?;
    Ok(())
}

/// Refuses a role that could change immutable records.
pub(crate) async fn check(database: &Database) -> Result<(), ConnectError> {
    let (role, is_super, owns, bypasses, may_change): (String, bool, bool, bool, bool) =
        sqlx::query_as(PRIVILEGES).fetch_one(database).await.map_err(ConnectError::of)?;
    let problem = match (is_super, owns, bypasses, may_change) {
        (true, ..) => "is a superuser or a member of a superuser role",
        (_, true, ..) => "owns the tables, or is a member of their owner",
        (_, _, true, _) => "bypasses row security, or is a member of a role that does",
        (.., true) => "has the right to change or delete immutable rows",
        _ => return Ok(()),
    };
    Err(ConnectError::Privileged { role, problem })
}

/// The SQL that creates both roles. An administrator runs it once, in Brokkr's database. The roles have no passwords;
/// the administrator decides how they authenticate.
///
/// ```
/// let sql = brokkr_store_postgres::roles_sql("brokkr_owner", "brokkr_broker");
/// assert!(sql.contains("CREATE ROLE \"brokkr_broker\" LOGIN"));
/// ```
pub fn roles_sql(owner: &str, broker: &str) -> String {
    let (owner_name, broker_name) = (literal(owner), literal(broker));
    let (owner, broker) = (quoted(owner), quoted(broker));
    format!(
        "-- Choose how these roles authenticate. To set a password: \\password and the role's name, in psql.\n\
         -- Owns the schema. Runs only the migrations and the purge.\n\
         CREATE ROLE {owner} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;\n\
         -- Brokers connect with this role. The migration grants its rights.\n\
         CREATE ROLE {broker} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;\n\
         -- These timeouts also apply behind a connection pooler in transaction mode, such as PgBouncer.\n\
         ALTER ROLE {broker} SET statement_timeout = '10s';\n\
         ALTER ROLE {broker} SET lock_timeout = '5s';\n\
         ALTER ROLE {broker} SET idle_in_transaction_session_timeout = '10s';\n\
         ALTER ROLE {broker} SET timezone = 'UTC';\n\
         DO $brokkr_roles$ BEGIN\n    \
         EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO %I', current_database(), {owner_name});\n    \
         EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {broker_name});\n\
         END $brokkr_roles$;\n"
    )
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A string literal that is valid for every setting of `standard_conforming_strings`.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('$', "\\x24"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_are_quoted() {
        let sql = roles_sql("own\"er", "broker");
        assert!(sql.contains("CREATE ROLE \"own\"\"er\" LOGIN"));
        assert!(sql.contains("CREATE ROLE \"broker\" LOGIN"));
        let sql = roles_sql("o'br\\ien$brokkr_roles$", "100%");
        assert!(sql.contains(r"current_database(), E'o\'br\\ien\x24brokkr_roles\x24')"), "{sql}");
        let block = sql.split("DO $brokkr_roles$").nth(1).expect("the block");
        assert_eq!(block.matches('$').count(), 2, "nothing in it ends it: {block}");
    }
}
