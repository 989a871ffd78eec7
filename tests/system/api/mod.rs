//! The API without sockets.

mod access;
mod bad_input;
mod document;
mod feed;
mod life;
mod limits;
mod polls;
mod repeats;
mod serving;
