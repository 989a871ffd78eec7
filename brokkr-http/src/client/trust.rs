//! What a client needs before it sends its key: a connection that nobody can read.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity, Url};

use super::error::ClientError;

/// How a client proves who the broker is, and who it is itself.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) allow_plain_http: bool,
    pub(super) authority: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl Trust {
    /// Checks the address of a broker.
    pub(super) fn check(&self, url: &str) -> Result<(), ClientError> {
        let parsed = Url::parse(url).map_err(|_| ClientError::Build(format!("\"{url}\" is not a valid URL")))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(ClientError::Build(format!("\"{url}\" is not an http or https URL")));
        }
        if parsed.scheme() == "http" && !self.allow_plain_http && !is_loopback(&parsed) {
            return Err(ClientError::PlainHttp { url: url.to_owned() });
        }
        Ok(())
    }

    /// Applies the files to a client of these brokers.
    pub(super) fn apply(
        &self,
        mut http: reqwest::ClientBuilder,
        urls: &[String],
    ) -> Result<reqwest::ClientBuilder, ClientError> {
        if let Some(file) = &self.authority {
            let certificates = Certificate::from_pem_bundle(&read(file)?).map_err(|error| unusable(file, &error))?;
            if certificates.is_empty() {
                return Err(ClientError::Build(format!("{} contains no certificate in PEM form", file.display())));
            }
            http = http.tls_certs_only(certificates);
        }
        if let Some((certificate, key)) = &self.identity {
            let mut both = read(certificate)?;
            both.push(b'\n');
            both.extend(read(key)?);
            http = http.identity(Identity::from_pem(&both).map_err(|error| unusable(certificate, &error))?);
        }
        // A proxy of the environment would carry the key over the network after all.
        let is_local = |url: &String| Url::parse(url).is_ok_and(|url| url.scheme() == "http" && is_loopback(&url));
        Ok(if !self.allow_plain_http && urls.iter().any(is_local) { http.no_proxy() } else { http })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(file).map_err(|error| ClientError::Build(format!("cannot read {}: {error}", file.display())))
}

fn unusable(file: &Path, error: &reqwest::Error) -> ClientError {
    use std::error::Error as _;
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    ClientError::Build(format!("cannot use {}: {reason}", file.display()))
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        // Resolvers answer these names with loopback addresses only (RFC 6761, section 6.3).
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_goes_over_plain_http_to_loopback_addresses_only() {
        for (url, is_sent) in [
            ("http://127.0.0.1:3000", true),
            ("http://127.255.0.9", true),
            ("http://[::1]:3000", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://localhost:3000", true),
            ("http://LOCALHOST", true),
            ("http://a.localhost", true),
            ("http://2130706433", true),
            ("https://broker.example.com", true),
            ("https://203.0.113.1", true),
            ("http://broker.example.com", false),
            ("http://localhost.example.com", false),
            ("http://notlocalhost", false),
            ("http://localhost.", false),
            ("http://127.0.0.1.example.com", false),
            ("http://127.0.0.1@broker.example.com", false),
            ("http://0.0.0.0:3000", false),
            ("http://10.0.0.1", false),
            ("http://[fe80::1]", false),
            ("HTTP://broker.example.com", false),
        ] {
            let checked = Trust::default().check(url);
            assert_eq!(checked.is_ok(), is_sent, "{url}: {checked:?}");
            let allowed = Trust { allow_plain_http: true, ..Trust::default() };
            assert!(allowed.check(url).is_ok(), "{url}");
        }
        for url in ["ftp://127.0.0.1", "broker", "http://"] {
            let allowed = Trust { allow_plain_http: true, ..Trust::default() };
            assert!(matches!(allowed.check(url), Err(ClientError::Build(_))), "{url}");
        }
    }
}
