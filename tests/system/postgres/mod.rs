//! The store on a real PostgreSQL server.

mod conformance;
mod quiet;
mod random;
mod retention;
mod rights;
mod statements;
