//! A client of the API.

mod control_plane;
mod transport;

pub use control_plane::HttpControlPlane;
pub use transport::{Client, ClientBuilder, ClientError, install_crypto_provider};
