//! Free TCP ports.

use std::net::TcpListener;

use crate::Result;

/// A TCP port of 127.0.0.1 that is free at the moment of the call.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
