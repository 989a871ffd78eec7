//! A client of the API.

mod control_plane;
mod enrolment;
mod error;
mod transport;
mod trust;

pub use control_plane::HttpControlPlane;
pub use enrolment::HttpEnrolment;
pub use error::ClientError;
pub use transport::{Client, ClientBuilder, install_crypto_provider};
