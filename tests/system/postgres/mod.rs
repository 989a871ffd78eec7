//! The store on a real PostgreSQL server.

mod behind;
mod conformance;
mod feed_order;
mod migrations;
mod proxy;
mod quiet;
mod random;
mod retention;
mod rights;
mod statements;
mod tls;
mod view;
