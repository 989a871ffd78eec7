//! HTTP requests to a broker.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ClientError;
use super::trust::Trust;
use crate::api::{API_V1, ProblemDocument};

/// Size limit of a response; exceeds the largest deployment object and target state.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Installs ring as the process's default TLS crypto provider, unless one is installed already.
///
/// A program calls this before it creates a client with the default HTTP client. Libraries should not call it: the choice
/// belongs to the program.
pub fn install_crypto_provider() {
    // The only possible error is an already installed provider, which works as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Configures a [`Client`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    urls: Vec<String>,
    pak: SecretString,
    http: Option<reqwest::Client>,
    trust: Trust,
}

impl ClientBuilder {
    /// Whether to send the key over plain HTTP to other machines, where everyone on the way can read it. Default: false; plain
    /// HTTP is only for loopback addresses.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.trust.allow_plain_http = allow;
        self
    }

    /// Trusts the authorities in this PEM file, and no others. Default: those of the system. Without effect with
    /// [`http`](Self::http).
    pub fn authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.trust.authority = Some(file.into());
        self
    }

    /// Presents the certificate in these PEM files to brokers that ask for one. Default: none. Without effect with
    /// [`http`](Self::http).
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.trust.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Uses this HTTP client. Default: a client with a connect timeout of 5 s that trusts the system's certificates, follows
    /// no redirects and uses the proxy variables of the environment. Set your own for other TLS settings or proxies.
    pub fn http(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Creates the client. Does not connect.
    ///
    /// # Errors
    ///
    /// [`ClientError::Build`] if an address is not an `http` or `https` URL, if there is no address, if a file cannot be used, or
    /// if no crypto provider is installed ([`install_crypto_provider`]). [`ClientError::PlainHttp`] if an address is an `http` URL of
    /// another machine, unless [`allow_plain_http`](Self::allow_plain_http) allows it.
    pub fn build(self) -> Result<Client, ClientError> {
        if self.urls.is_empty() {
            return Err(ClientError::Build("no broker address".to_owned()));
        }
        for url in &self.urls {
            self.trust.check(url)?;
        }
        let http = match self.http {
            Some(http) => http,
            None if rustls::crypto::CryptoProvider::get_default().is_none() => {
                return Err(ClientError::Build(
                    "no TLS crypto provider is installed; call install_crypto_provider first".to_owned(),
                ));
            }
            None => {
                let http = reqwest::Client::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .redirect(reqwest::redirect::Policy::none())
                    .user_agent(concat!("brokkr/", env!("CARGO_PKG_VERSION")))
                    .tcp_nodelay(true);
                let http = self.trust.apply(http, &self.urls)?;
                http.build().map_err(|error| ClientError::Build(error.to_string()))?
            }
        };
        let urls = self.urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Client { urls, pak: self.pak, http, preferred: Default::default() })
    }
}

/// A client of one broker. Several addresses are tried in turn.
#[derive(Clone)]
pub struct Client {
    urls: Vec<String>,
    pak: SecretString,
    http: reqwest::Client,
    /// The index of the address that responded last.
    preferred: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(header::HeaderName, String)>,
    pub(super) body: Option<&'a [u8]>,
    pub(super) timeout: Duration,
}

impl Call<'_> {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, headers: Vec::new(), body: None, timeout: Duration::from_secs(30) }
    }
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    /// Configures a client with the broker's addresses (`http://` or `https://`, without `/api/v1`) and a key.
    ///
    /// ```
    /// use brokkr_http::client::{Client, install_crypto_provider};
    ///
    /// install_crypto_provider();
    /// let client = Client::builder(["https://broker-1", "https://broker-2"], "brokkr_agent_…").build()?;
    /// # Ok::<_, brokkr_http::client::ClientError>(())
    /// ```
    pub fn builder(urls: impl IntoIterator<Item = impl Into<String>>, pak: impl Into<SecretString>) -> ClientBuilder {
        ClientBuilder {
            urls: urls.into_iter().map(Into::into).collect(),
            pak: pak.into(),
            http: None,
            trust: Trust::default(),
        }
    }

    /// Sends a JSON body to a path under `/api/v1` and deserializes the JSON response. A response without a body, as to
    /// deletions, deserializes as `()` or as the `None` of an option.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] if no address responds, [`ClientError::Problem`] if the broker refuses,
    /// [`ClientError::Malformed`] if the response is not the expected JSON.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let body =
            body.map(serde_json::to_vec).transpose().map_err(|error| ClientError::Malformed(error.to_string()))?;
        let mut call = Call { method, body: body.as_deref(), ..Call::get(path.to_owned()) };
        if call.body.is_some() {
            call.headers.push((header::CONTENT_TYPE, "application/json".to_owned()));
        }
        let answer = self.call(call).await?;
        let json: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
        serde_json::from_slice(json)
            .map_err(|_| ClientError::Malformed("the body does not have the expected form".to_owned()))
    }

    /// Tries the addresses in turn, starting with the one that responded last, until one responds. An error response counts.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        use std::sync::atomic::Ordering::Relaxed;
        let first = self.preferred.load(Relaxed);
        let mut last = ClientError::Unreachable("no broker address".to_owned());
        for n in 0..self.urls.len() {
            let index = (first + n) % self.urls.len();
            let Some(url) = self.urls.get(index) else {
                continue;
            };
            match self.call_one(url, &call).await {
                Ok(answer) => {
                    self.preferred.store(index, Relaxed);
                    return Ok(answer);
                }
                Err(error @ ClientError::Unreachable(_)) => last = error,
                Err(ClientError::Problem { problem, retry_after }) if problem.status == 503 => {
                    last = ClientError::Problem { problem, retry_after };
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn call_one(&self, url: &str, call: &Call<'_>) -> Result<Answer, ClientError> {
        let unreachable = |error: reqwest::Error| {
            // The innermost cause is the informative one. The URL is omitted: the caller knows it, and it may be long.
            let error = error.without_url();
            let mut innermost: &dyn std::error::Error = &error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            let what = if error.is_timeout() { "timed out".to_owned() } else { innermost.to_string() };
            ClientError::Unreachable(format!("{url}: {what}"))
        };
        let mut request = self
            .http
            .request(call.method.clone(), format!("{url}{API_V1}{}", call.path))
            .timeout(call.timeout)
            .bearer_auth(self.pak.expose_secret());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.body(body.to_vec());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if chunk.len() > ANSWER_BYTES - body.len() {
                return Err(ClientError::Malformed("the body is too large".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer { status: response.status(), headers: response.headers().clone(), body: body.freeze() };
        if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let retry_after = answer.headers.get(header::RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
        match serde_json::from_slice::<ProblemDocument>(&answer.body) {
            Ok(problem) if problem.status == answer.status.as_u16() => Err(ClientError::Problem {
                problem: Box::new(problem),
                retry_after: retry_after.map(Duration::from_secs),
            }),
            _ => Err(ClientError::Malformed(format!("status {} without a problem document", answer.status))),
        }
    }
}
