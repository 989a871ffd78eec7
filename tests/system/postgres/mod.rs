//! The store on a real PostgreSQL server.

mod conformance;
mod random;
mod rights;
mod statements;
