//! Free ports.

use std::net::TcpListener;

use crate::Result;

/// A port on which nobody listens just now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
