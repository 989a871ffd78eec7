//! Runs the commands of the README and the book.
//!
//! `cargo xtask check docs` fails for a page with commands that is not listed here.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod page;
mod transcript;

use brokkr_testbed::{Postgres, ScratchFolder};

use page::Page;

#[test]
fn readme() {
    Page::read("README.md").run();
}

#[test]
fn first_minutes() {
    Page::read("docs/tutorials/first-minutes.md").run();
}

#[test]
fn with_a_database() {
    let folder = ScratchFolder::new("docs-postgres").unwrap();
    let server = Postgres::start(folder.path()).unwrap();
    server.query("CREATE DATABASE brokkr").unwrap();
    let mut page = Page::read("docs/tutorials/with-a-database.md");
    for (variable, role) in [("ADMIN_URL", "postgres"), ("OWNER_URL", "brokkr_owner"), ("BROKER_URL", "brokkr_broker")]
    {
        page.set(variable, &server.url_of(role, "brokkr"));
    }
    page.run();
}

#[test]
fn keys() {
    Page::read("docs/how-to/keys.md").run();
}

#[test]
fn tls() {
    Page::read("docs/how-to/tls.md").run();
}

#[test]
fn audit() {
    Page::read("docs/how-to/audit.md").run();
}

#[test]
fn environments() {
    Page::read("docs/how-to/environments.md").run();
}

#[test]
fn join_tokens() {
    Page::read("docs/how-to/join-tokens.md").run();
}

#[test]
fn release_by_environment() {
    Page::read("docs/how-to/release-by-environment.md").run();
}

#[test]
fn agent_in_a_cluster() {
    Page::read("docs/how-to/agent-in-a-cluster.md").run();
}

#[test]
fn grants() {
    Page::read("docs/how-to/grants.md").run();
}

#[test]
fn configuration() {
    Page::read("docs/reference/configuration.md").run();
}
