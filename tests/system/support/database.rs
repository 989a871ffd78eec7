//! One PostgreSQL server for all tests, with a database for each test.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{PgBouncer, Postgres, ScratchFolder};

struct Shared {
    proxy: OnceLock<PgBouncer>,
    server: Postgres,
    // Declared last: the folder is deleted after the server has ended.
    folder: ScratchFolder,
}

fn shared() -> &'static Shared {
    // Keeps a failure too, so that all tests share one attempt and one message.
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let start = || {
            let folder = ScratchFolder::new("postgres")?;
            let server = Postgres::start(folder.path())?;
            server.create_brokkr("template_brokkr")?;
            let shared = Shared { proxy: OnceLock::new(), server, folder };
            let url = shared.server.url_of("brokkr_owner", "template_brokkr");
            // A separate runtime, because each test ends its own.
            let done = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(migrate(url, Some("brokkr_broker")))
            });
            done.join().unwrap().map_err(|error| brokkr_testbed::Error::new(error.to_string()))?;
            Ok::<_, brokkr_testbed::Error>(shared)
        };
        start().map_err(|error| error.to_string())
    });
    shared.as_ref().unwrap_or_else(|error| panic!("PostgreSQL did not start: {error}"))
}

/// A migrated database for one test. Dropping this deletes the database.
pub(crate) struct Database {
    pub(crate) name: String,
}

impl Database {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        shared().server.query(&format!("CREATE DATABASE {name} TEMPLATE template_brokkr OWNER brokkr_owner")).unwrap();
        Self { name }
    }

    /// A database without Brokkr's tables.
    pub(crate) fn empty() -> Self {
        let database = Self::new();
        database.query("DROP SCHEMA brokkr CASCADE");
        database
    }

    /// Runs a statement that must fail for this role. Returns the error.
    pub(crate) fn refused(&self, role: &str, sql: &str) -> String {
        shared().server.query_as(role, &self.name, sql).expect_err(sql).to_string()
    }

    /// Runs a statement as a superuser.
    pub(crate) fn query(&self, sql: &str) -> String {
        shared().server.query_in(&self.name, sql).unwrap()
    }

    /// The address for the role `postgres`, `brokkr_owner` or `brokkr_broker`.
    pub(crate) fn url(&self, role: &str) -> String {
        shared().server.url_of(role, &self.name)
    }

    /// The whole schema as SQL, including rights.
    pub(crate) fn schema(&self) -> String {
        let dumped = shared().server.run("pg_dump", &["--schema-only", &self.url("postgres")]).unwrap();
        assert!(dumped.status.success(), "{dumped:?}");
        let text = String::from_utf8(dumped.stdout).unwrap();
        // These lines contain a new random token each time.
        let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A log file in the server's folder.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        shared().folder.path().join(format!("{}-{name}.log", self.name))
    }

    /// The address through a connection pooler in transaction mode.
    pub(crate) fn proxied(&self) -> String {
        let shared = shared();
        let start = || PgBouncer::start(&shared.folder.path().join("proxy"), shared.server.port()).unwrap();
        shared.proxy.get_or_init(start).url_of(&self.name)
    }

    /// A store with the broker's role.
    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::connect(PostgresConfig::new(self.url("brokkr_broker"))).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = shared().server.query(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
