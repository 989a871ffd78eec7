//! The database that the tests of the next store will use.

use brokkr_testbed::{Postgres, ScratchFolder};

#[tokio::test]
async fn a_postgresql_server_starts_answers_and_ends() {
    let folder = ScratchFolder::new("postgres").unwrap();
    let server = Postgres::start(folder.path()).unwrap();
    assert_eq!(server.query("select 40 + 2").unwrap(), "42");
    let pid = server.process().pid();
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
