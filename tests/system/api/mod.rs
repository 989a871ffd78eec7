//! The API, called without sockets.

mod access;
mod bad_input;
mod document;
mod environments;
mod feed;
mod grants;
mod host;
mod host_callers;
mod join;
mod keys;
mod life;
mod limits;
mod pages;
mod polls;
mod races;
mod repeats;
mod secrets;
mod serving;
mod wire;
