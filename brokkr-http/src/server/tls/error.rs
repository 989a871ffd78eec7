//! Why TLS files cannot be used.

use std::io;
use std::path::PathBuf;

/// The error of [`ServerBuilder::tls`](crate::server::ServerBuilder::tls).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file does not contain what it should.
    #[error("{} contains no {expected} in PEM form", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        expected: &'static str,
    },
    /// The private key does not belong to the certificate.
    #[error("the private key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The new certificate has expired.
    #[error("the certificate in {} has expired; replace it", path.display())]
    Expired {
        /// The file with the certificate.
        path: PathBuf,
    },
    /// The certificate, the key or the authority is not valid or not supported.
    #[error("cannot use {}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}
