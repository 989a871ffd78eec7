//! TLS: the server's certificate, which follows its files, and the handshake.

mod error;
mod files;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use brokkr_core::model::Digest;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, Chain, Join, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub use error::TlsError;
pub use files::TlsFiles;

use super::preface::PREFACE;
use files::Loaded;

const EXPIRES: &str = "brokkr_tls_certificate_expires_seconds";
const RELOADS: &str = "brokkr_tls_reloads_total";
const FAILED: &str = "brokkr_tls_handshakes_failed_total";

fn describe_metrics() {
    describe_gauge!(EXPIRES, Unit::Seconds, "Seconds until the server's certificate expires");
    describe_counter!(
        RELOADS,
        "Changes of the certificate's files: replaced, or failed once per check while they cannot be used"
    );
    describe_counter!(FAILED, "Connections whose TLS handshake failed");
}

type Accepted = tokio_rustls::server::TlsStream<TcpStream>;

/// A connection after its handshake. Reads begin with the bytes that were read already.
pub(super) type TlsStream = Join<Chain<io::Cursor<Vec<u8>>, ReadHalf<Accepted>>, WriteHalf<Accepted>>;

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    loaded: RwLock<Loaded>,
}

impl Tls {
    /// Reads the files.
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = files.load(&files.read()?)?;
        if loaded.seconds_left() <= 0 {
            tracing::error!(expired_at = %loaded.expires_at, "the TLS certificate has expired, so clients refuse it; replace it");
        }
        describe_metrics();
        Ok(Self { files, loaded: RwLock::new(loaded) })
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    fn seconds_left(&self) -> i64 {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).seconds_left()
    }

    fn served(&self) -> Digest {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).digest
    }

    /// Follows the files until it is dropped. Files that cannot be used change nothing: they may be half-written.
    pub(super) async fn follow(&self) -> Infallible {
        let mut failure = None;
        loop {
            gauge!(EXPIRES).set(self.seconds_left() as f64);
            tokio::time::sleep(self.files.interval).await;
            let (files, served) = (self.files.clone(), self.served());
            // A network file system may hang.
            let read = tokio::task::spawn_blocking(move || files.read_unless(served)).await;
            match read {
                Err(_) | Ok(Ok(None)) => failure = None,
                Ok(Ok(Some(loaded))) => {
                    failure = None;
                    self.replace(loaded);
                }
                Ok(Err(error)) => {
                    counter!(RELOADS, "outcome" => "failed").increment(1);
                    let error = error.to_string();
                    if failure.as_ref() != Some(&error) {
                        tracing::error!(%error, "cannot use the changed TLS files; still serving the certificate from before");
                    }
                    failure = Some(error);
                }
            }
        }
    }

    fn replace(&self, loaded: Loaded) {
        counter!(RELOADS, "outcome" => "replaced").increment(1);
        tracing::info!(expires_at = %loaded.expires_at, "serving a new TLS certificate");
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
    }

    /// Completes the handshake and waits for the first bytes of the first request. Returns whether the client speaks HTTP/2.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream, bool)> {
        let accepted = TlsAcceptor::from(self.config()).accept(stream).await;
        let mut stream = accepted.inspect_err(|error| {
            counter!(FAILED).increment(1);
            tracing::debug!(%error, "a TLS handshake failed");
        })?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let mut first = vec![0; if is_http2 { PREFACE.len() } else { 1 }];
        stream.read_exact(&mut first).await?;
        if is_http2 && first != PREFACE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (read, write) = tokio::io::split(stream);
        Ok((tokio::io::join(io::Cursor::new(first).chain(read), write), is_http2))
    }
}
