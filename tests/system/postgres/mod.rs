//! The store on a PostgreSQL server.

mod behind;
mod conformance;
mod controllers;
mod feed_order;
mod join;
mod keys;
mod migrations;
mod proxy;
mod quiet;
mod random;
mod retention;
mod revocation;
mod rights;
mod statements;
mod tls;
mod view;
