//! A client of the API.

mod control_plane;
mod enrolment;
mod transport;

pub use control_plane::HttpControlPlane;
pub use enrolment::HttpEnrolment;
pub use transport::{Client, ClientBuilder, ClientError, install_crypto_provider};
