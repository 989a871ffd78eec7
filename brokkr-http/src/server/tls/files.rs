//! The files with the certificate, its key and the authorities of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brokkr_core::model::Digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore, ServerConfig};
use x509_parser::time::ASN1Time;

use super::error::TlsError;

/// Where a server finds its certificate. The server follows the files: it serves a new certificate within
/// [`reload_interval`](Self::reload_interval), also if a link in the path changes, as with volumes of Kubernetes Secrets.
///
/// ```
/// use brokkr_http::server::TlsFiles;
///
/// let files = TlsFiles::new("/etc/brokkr/tls/tls.crt", "/etc/brokkr/tls/tls.key")
///     .client_authority("/etc/brokkr/tls/ca.crt")
///     .require_client_certificate(true);
/// ```
#[derive(Debug, Clone)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    authority: Option<PathBuf>,
    is_required: bool,
    pub(super) interval: Duration,
}

/// The content of the files.
pub(super) struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Option<Vec<u8>>,
}

/// A certificate in use.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) expires_at: ASN1Time,
    /// Of the files' content.
    pub(super) digest: Digest,
}

impl TlsFiles {
    /// The default of [`reload_interval`](Self::reload_interval): 10 s.
    pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

    /// Names the PEM files with the certificate, followed by those of intermediate authorities, and with its private key.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificate, key) = (certificate.into(), key.into());
        Self { certificate, key, authority: None, is_required: false, interval: Self::RELOAD_INTERVAL }
    }

    /// Asks clients for a certificate of one of the authorities in this PEM file. A client with a certificate of another
    /// authority is refused. A certificate does not replace the API key. Default: clients are not asked.
    #[must_use]
    pub fn client_authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authority = Some(file.into());
        self
    }

    /// Whether clients without a certificate are refused, also those of the probes `/healthz` and `/readyz`. Default: false.
    /// Without [`client_authority`](Self::client_authority) it has no effect.
    #[must_use]
    pub fn require_client_certificate(mut self, required: bool) -> Self {
        self.is_required = required;
        self
    }

    /// Sets how often the server reads the files again. Default: [`RELOAD_INTERVAL`](Self::RELOAD_INTERVAL).
    #[must_use]
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    pub(super) fn read(&self) -> Result<Content, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
        Ok(Content {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            authority: self.authority.as_deref().map(read).transpose()?,
        })
    }

    /// Reads and checks the files; `None` if they are the served ones. An expired certificate replaces none.
    pub(super) fn read_unless(&self, served: Digest) -> Result<Option<Loaded>, TlsError> {
        let content = self.read()?;
        if content.digest() == served {
            return Ok(None);
        }
        let loaded = self.load(&content)?;
        if loaded.seconds_left() <= 0 {
            return Err(TlsError::Expired { path: self.certificate.clone() });
        }
        Ok(Some(loaded))
    }

    pub(super) fn load(&self, content: &Content) -> Result<Loaded, TlsError> {
        let chain = certificates(&content.certificate, &self.certificate)?;
        let expires_at = chain.first().and_then(expiry).ok_or_else(|| TlsError::Invalid {
            path: self.certificate.clone(),
            reason: "the certificate's end cannot be read".to_owned(),
        })?;
        let key = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|_| TlsError::NotPem { path: self.key.clone(), expected: "private key" })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&self.certificate, &error))?;
        let builder = match self.verifier(content)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            error => invalid(&self.certificate, &error),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), expires_at, digest: content.digest() })
    }

    /// What checks the certificates of clients.
    fn verifier(&self, content: &Content) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(path), Some(authority)) = (&self.authority, &content.authority) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority, path)? {
            roots.add(certificate).map_err(|error| invalid(path, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.is_required { builder } else { builder.allow_unauthenticated() };
        builder.build().map(Some).map_err(|error| invalid(path, &error))
    }
}

fn invalid(path: &Path, error: &dyn std::error::Error) -> TlsError {
    TlsError::Invalid { path: path.to_owned(), reason: error.to_string() }
}

/// The certificates in a PEM file; at least one.
fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if found.is_empty() {
        return Err(TlsError::NotPem { path: path.to_owned(), expected: "certificate" });
    }
    Ok(found)
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<ASN1Time> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after)
}

impl Content {
    fn digest(&self) -> Digest {
        let mut all = Vec::new();
        for part in [Some(&self.certificate), Some(&self.key), self.authority.as_ref()].into_iter().flatten() {
            all.extend_from_slice(&part.len().to_be_bytes());
            all.extend_from_slice(part);
        }
        Digest::of(&all)
    }
}

impl Loaded {
    /// Seconds until the certificate expires; negative afterwards.
    pub(super) fn seconds_left(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.expires_at.timestamp().saturating_sub(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
    }
}
