//! The store on a real PostgreSQL server.

mod conformance;
