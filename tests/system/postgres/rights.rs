//! Rights that the brokers' role lacks, and statements that fail even for the owner.

use brokkr_core::model::{Change, GeneratorId, GeneratorPrincipal};
use brokkr_core::store::conformance::sample;
use brokkr_core::store::{Maintenance as _, Store as _};
use brokkr_store_postgres::{ConnectError, PostgresConfig, PostgresStore, migrate, roles_sql};

use crate::support::Database;

/// A database in which every immutable table has a row.
async fn filled() -> Database {
    let database = Database::new();
    let store = database.store().await;
    let (stack, agent) = (sample::stack("web"), sample::agent("edge"));
    let object = sample::object(&stack, 1);
    let changes = vec![
        Change::Generator(GeneratorPrincipal { id: GeneratorId::SYSTEM, ..sample::generator("system") }),
        Change::Stack(stack.clone()),
        Change::Agent(agent.clone()),
        Change::DeploymentObject(object),
        Change::Event(sample::event(&stack, &agent, 0)),
    ];
    store.commit(sample::commit(changes)).await.unwrap();
    database
}

const IMMUTABLE: [&str; 5] = ["content", "deployment_object", "agent_event", "audit", "change"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_can_change_history() {
    let database = filled().await;
    for table in IMMUTABLE {
        let column = database.query(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'brokkr.{table}'::regclass AND attnum = 1"
        ));
        for statement in [
            format!("UPDATE brokkr.{table} SET {column} = {column}"),
            format!("DELETE FROM brokkr.{table}"),
            format!("TRUNCATE brokkr.{table} CASCADE"),
        ] {
            let by_broker = database.refused("brokkr_broker", &statement);
            assert!(by_broker.contains("permission denied"), "{statement}: {by_broker}");
            for role in ["brokkr_owner", "postgres"] {
                let refused = database.refused(role, &statement);
                assert!(refused.contains("are never changed"), "{role}, {statement}: {refused}");
            }
        }
        assert_eq!(database.query(&format!("SELECT count(*) > 0 FROM brokkr.{table}")), "t");
    }
    for statement in [
        "ALTER TABLE brokkr.audit DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "UPDATE brokkr.history SET place = 'here'",
        "UPDATE brokkr.feed_start SET epoch = 9",
        "SELECT brokkr.grant_to('brokkr_broker')",
        "CREATE TABLE brokkr.mine (id int)",
    ] {
        let refused = database.refused("brokkr_broker", statement);
        assert!(refused.contains("denied") || refused.contains("must be owner"), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_that_could_change_history_are_refused() {
    let database = Database::new();
    for role in ["postgres", "brokkr_owner"] {
        let config = PostgresConfig::new(database.url(role));
        let refused = PostgresStore::connect(config.clone()).await.unwrap_err();
        assert!(matches!(&refused, ConnectError::Privileged { role: named, .. } if named == role), "{refused}");
        PostgresStore::connect(config.allow_privileged_role(true)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inherited_and_accidental_rights_are_refused() {
    let database = Database::new();
    let role = format!("{}_role", database.name);
    database.query(&format!(
        "CREATE ROLE {role} LOGIN; CREATE ROLE {role}_dba SUPERUSER; SELECT brokkr.grant_to('{role}')"
    ));
    let connect = async || PostgresStore::connect(PostgresConfig::new(database.url(&role))).await;
    connect().await.unwrap();
    for (right, to) in [
        (format!("{role}_dba"), ""),
        ("brokkr_owner".to_owned(), ""),
        ("pg_write_all_data".to_owned(), ""),
        ("DELETE".to_owned(), "ON brokkr.audit"),
        ("UPDATE (detail)".to_owned(), "ON brokkr.audit"),
    ] {
        database.query(&format!("GRANT {right} {to} TO {role}"));
        let refused = connect().await.unwrap_err();
        assert!(matches!(refused, ConnectError::Privileged { .. }), "{right}: {refused}");
        database.query(&format!("REVOKE {right} {to} FROM {role}"));
    }
    connect().await.unwrap();
    database.query(&format!("DROP OWNED BY {role}; DROP ROLE {role}; DROP ROLE {role}_dba"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unmigrated_database_is_refused_and_second_migration_does_nothing() {
    let database = Database::empty();
    let config = PostgresConfig::new(database.url("postgres"));
    let refused = PostgresStore::connect(config.clone()).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Schema { found: 0, .. }), "{refused}");
    for _ in 0..2 {
        migrate(database.url("postgres"), Some("brokkr_broker")).await.unwrap();
    }
    database.store().await;
    assert_eq!(
        database.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0",
        "every table is in the schema brokkr"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printed_sql_creates_both_roles() {
    let database = Database::empty();
    // Every character that means something in SQL or in a format.
    let (owner, broker) = (format!("{}_own'er\\%", database.name), format!("{}-bro$$ker%s", database.name));
    database.query(&roles_sql(&owner, &broker));
    migrate(database.url(&owner), Some(&broker)).await.unwrap();
    let config = PostgresConfig::new(database.url(&broker));
    PostgresStore::connect(config).await.unwrap().check().await.unwrap();
}
