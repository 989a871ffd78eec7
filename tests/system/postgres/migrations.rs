//! Migrations continue after a kill at any step, and brokers serve requests in the meantime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brokkr_control::Broker;
use brokkr_core::model::StackSpec;
use brokkr_store_postgres::{MigrateError, migrate, migrate_steps};
use brokkr_testbed::{Process, program};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::support::{Database, eventually};

/// The newest step. Increase it with each new migration.
const STEPS: i64 = 15;

/// A session that holds a lock until drop.
async fn hold(database: &Database, statement: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url("postgres")).await.unwrap();
    for sql in ["BEGIN", statement] {
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }
    connection
}

fn start(database: &Database) -> Process {
    let variables = [("DATABASE_URL".to_owned(), database.url("brokkr_owner"))];
    Process::start(&program("brokkr-broker").unwrap(), &["migrate".to_owned()], &variables, &database.log("migrate"))
        .unwrap()
}

/// The backend of the migration, once it waits for a lock.
async fn waiting(database: &Database) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'brokkr-migrate' AND wait_event_type = 'Lock' AND state = 'active'";
    let found = std::cell::Cell::new(0);
    eventually("the migration waits for the lock", || async {
        found.set(database.query(sql).parse().map_err(|_| database.query("SELECT query FROM pg_stat_activity"))?);
        Ok::<(), String>(())
    })
    .await;
    found.get()
}

fn newest(database: &Database) -> String {
    database.query("SELECT coalesce(max(version), 0) FROM brokkr._migrations")
}

#[derive(Debug, Clone, Copy)]
enum Killed {
    Process,
    Backend,
}

/// The catalogues that the step after `done` writes to: each creates a function or adds a column. After the last one, the
/// migration writes the rights.
fn catalogues_after(done: i64) -> &'static str {
    if done == STEPS { "pg_catalog.pg_class" } else { "pg_catalog.pg_proc, pg_catalog.pg_attribute" }
}

/// Interrupts the step after `done` in its middle.
async fn interrupted(done: i64, killed: Killed) -> Database {
    let database = Database::empty();
    migrate_steps(&database.url("brokkr_owner").into(), done, &[]).await.unwrap();
    let before = newest(&database);
    let catalogues = catalogues_after(done);
    let holder = hold(&database, &format!("LOCK TABLE {catalogues} IN EXCLUSIVE MODE")).await;
    let process = start(&database);
    let backend = waiting(&database).await;
    match killed {
        Killed::Process => process.kill(),
        Killed::Backend => {
            database.query(&format!("SELECT pg_terminate_backend({backend})"));
            eventually("it ends", || async { if process.is_running() { Err("it runs") } else { Ok(()) } }).await;
            let said = std::fs::read_to_string(database.log("migrate")).unwrap();
            assert!(said.contains("error: "), "{said}");
        }
    }
    drop(holder);
    assert_eq!(newest(&database), before, "the next step left no changes");
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_killed_at_any_step_continues() {
    let fresh = Database::empty();
    migrate(fresh.url("brokkr_owner"), Some("brokkr_broker")).await.unwrap();
    assert_eq!(newest(&fresh), STEPS.to_string());
    let wanted = fresh.schema();
    assert!(wanted.contains("CREATE TABLE brokkr.stack (") && wanted.contains("TO brokkr_broker"));
    for done in 0..=STEPS {
        for killed in [Killed::Process, Killed::Backend] {
            let database = interrupted(done, killed).await;
            migrate(database.url("brokkr_owner"), Some("brokkr_broker")).await.unwrap();
            assert_eq!(database.schema(), wanted, "{done} steps, then {killed:?} killed");
            database.store().await;
        }
    }
}

/// A client that writes and reads continuously. Returns the number of operations and the longest duration.
fn busy(broker: Broker, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<(u32, Duration)> {
    tokio::spawn(async move {
        let (mut count, mut longest) = (0, Duration::ZERO);
        while !stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            let actor = broker.system_actor();
            let stack = broker.stack_create(&actor, None, StackSpec::named(format!("s{count}"))).await.unwrap();
            assert_eq!(broker.stack_get(&actor, stack.id).await.unwrap(), stack);
            longest = longest.max(began.elapsed());
            count += 1;
        }
        (count, longest)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unavailable_lock_fails_migration_without_blocking_brokers() {
    let database = Database::new();
    let broker = Broker::builder(Arc::new(database.store().await)).start().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let busy = busy(broker.clone(), stop.clone());
    let mut holder = hold(&database, "SELECT count(*) FROM brokkr.stack").await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut holder).await.unwrap();
    let step = [(1_000_000, "ALTER TABLE brokkr.stack ADD COLUMN later integer")];
    let url = database.url("brokkr_owner").into();

    let began = Instant::now();
    let refused = migrate_steps(&url, STEPS, &step).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(matches!(refused, MigrateError::Locked { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains(&format!("session {pid} of postgres holds AccessShareLock on stack")), "{said}");
    assert_eq!(newest(&database), STEPS.to_string());

    // The migration gets the lock once the session ends, and brokers without knowledge of the column continue.
    let ended = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        holder.execute("COMMIT").await.unwrap();
    };
    let (migrated, ()) = tokio::join!(migrate_steps(&url, STEPS, &step), ended);
    migrated.unwrap();
    assert_eq!(newest(&database), "1000000");
    let before = database.query("SELECT count(*) FROM brokkr.stack");
    eventually("brokers continue", || async {
        if database.query("SELECT count(*) FROM brokkr.stack") == before { Err("nothing new") } else { Ok(()) }
    })
    .await;
    stop.store(true, Ordering::SeqCst);
    let (count, longest) = busy.await.unwrap();
    // One attempt may delay other sessions by a second. All ten attempts must not add up.
    assert!(count > 100 && longest < Duration::from_secs(5), "{count} writes, the longest {longest:?}");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_migrations_beside_a_serving_broker_succeed() {
    let database = Database::new();
    let broker = Broker::builder(Arc::new(database.store().await)).start().await.unwrap();
    let wanted = database.schema();
    let stop = Arc::new(AtomicBool::new(false));
    let busy = busy(broker.clone(), stop.clone());
    for _ in 0..5 {
        let url = database.url("brokkr_owner");
        let again = || migrate(url.clone(), Some("brokkr_broker"));
        let (one, two, three) = tokio::join!(again(), again(), again());
        for done in [one, two, three] {
            done.unwrap();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let (count, longest) = busy.await.unwrap();
    assert!(count > 10 && longest < Duration::from_secs(5), "{count} writes, the longest {longest:?}");
    assert_eq!(database.schema(), wanted);
    broker.shutdown().await;
}
