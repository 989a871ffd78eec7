//! The store on a real PostgreSQL server.

mod conformance;
mod quiet;
mod random;
mod rights;
mod statements;
