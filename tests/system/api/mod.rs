//! The API, called without sockets.

mod access;
mod bad_input;
mod document;
mod environments;
mod feed;
mod grants;
mod host;
mod host_callers;
mod life;
mod limits;
mod pages;
mod polls;
mod races;
mod repeats;
mod serving;
mod wire;
