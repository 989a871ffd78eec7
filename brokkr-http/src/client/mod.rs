//! A client of the API.

mod control_plane;
mod error;
mod transport;
mod trust;

pub use control_plane::HttpControlPlane;
pub use error::ClientError;
pub use transport::{Client, ClientBuilder, install_crypto_provider};
