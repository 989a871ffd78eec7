//! Runs a broker, its API and the host's own routes on one listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use brokkr_control::Broker;
use brokkr_core::model::limits;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::oneshot;

use super::classes::WorkClass;
use super::metrics::metrics_router;
use super::proxies::TrustedProxies;
use super::serve::{Serving, serve};
use super::tls::{Tls, TlsError, TlsFiles};
use super::{AppState, Bounds, api, with_api_layer};

/// Maximum connections to the address of the metrics.
const METRICS_CONNECTIONS: usize = 64;

/// Plain HTTP was refused on an address that other machines reach: keys and Secrets would cross the network unencrypted.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "refusing plain HTTP on {address}, because keys would cross the network unencrypted: serve TLS, declare a proxy that ends \
         TLS in front of the server, or listen on a loopback address"
)]
pub struct PlainHttpRefused {
    /// The address.
    pub address: SocketAddr,
}

/// Configures a [`Server`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    broker: Broker,
    routes: Router,
    bounds: Bounds,
    serving: Serving,
    behind_tls_proxy: bool,
    metrics: Option<Metrics>,
}

/// A listener of its own, and the route that it serves.
#[derive(Debug)]
struct Metrics {
    listener: TcpListener,
    router: Router,
}

/// Serves a broker's API, and the host's own routes, on one listener.
///
/// Speaks HTTP/1.1 and HTTP/2, over [TLS](ServerBuilder::tls) or in plain text. It refuses plain HTTP on an address that other
/// machines reach, unless a [proxy that ends TLS](ServerBuilder::behind_tls_proxy) is in front of it. The server closes a
/// connection whose client does not send a request head within [`limits::REQUEST_HEAD_SECONDS`], or that has no open request for
/// [`limits::CONNECTION_UNUSED_SECONDS`].
///
/// The API contains no `/metrics`: install a metrics recorder and serve it on an [address of its
/// own](ServerBuilder::metrics).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::Router;
/// use axum::routing::get;
/// use brokkr_control::Broker;
/// use brokkr_core::store::MemoryStore;
/// use brokkr_http::server::Server;
///
/// let broker = Broker::builder(MemoryStore::new()).start().await?;
/// let own = Router::new().route("/about", get(|| async { "a control plane" }));
/// let server = Server::builder(broker).merge(own).bind("127.0.0.1:0").await?;
/// println!("listening on http://{}", server.local_addr()?);
/// # let shutdown_signal = || async {};
/// server.run(shutdown_signal()).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    broker: Broker,
    router: Router,
    listener: TcpListener,
    serving: Serving,
    metrics: Option<Metrics>,
}

impl Server {
    /// The default of [`ServerBuilder::grace`]: 20 s.
    pub const GRACE: Duration = Duration::from_secs(20);

    /// Configures a server for the API of `broker`.
    pub fn builder(broker: Broker) -> ServerBuilder {
        let serving = Serving {
            connections: limits::CONNECTIONS,
            per_address: limits::CONNECTIONS_PER_ADDRESS,
            grace: Self::GRACE,
            proxies: TrustedProxies::default(),
            tls: None,
        };
        let bounds = Bounds::default();
        ServerBuilder { broker, routes: Router::new(), bounds, serving, behind_tls_proxy: false, metrics: None }
    }

    /// The address that the server listens on. Useful after binding port 0.
    ///
    /// # Errors
    ///
    /// Returns the operating system's error if the socket has no address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `signal` resolves, then stops in this order: the broker ends waiting polls and `/readyz` answers 503;
    /// the listener closes; open requests get the [grace period](ServerBuilder::grace) to finish; the broker [shuts
    /// down](Broker::shutdown), which writes queued audit records.
    ///
    /// Not cancellation safe: if the future is dropped, open connections end with their tasks and queued audit records can
    /// be lost.
    ///
    /// # Errors
    ///
    /// Returns an error if the listener fails permanently. Errors of single connections are not returned.
    pub async fn run(self, signal: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let draining = self.broker.clone();
        let stop = async move {
            signal.await;
            draining.drain();
        };
        let (serving_api, ended) = oneshot::channel::<()>();
        let metrics = self.metrics.map(|metrics| {
            let (connections, grace) = (METRICS_CONNECTIONS, Duration::from_secs(1));
            let serving =
                Serving { connections, per_address: connections, grace, proxies: TrustedProxies::default(), tls: None };
            // Resolves when the sender is dropped.
            let stop = async { drop(ended.await) };
            tokio::spawn(serve(serving, metrics.listener, metrics.router, stop))
        });
        let tls = self.serving.tls.clone();
        let served = tokio::select! {
            served = serve(self.serving, self.listener, self.router, stop) => served,
            never = follow(tls) => match never {},
        };
        drop(serving_api);
        self.broker.shutdown().await;
        if let Some(metrics) = metrics {
            // The API has ended by now, so a failure of the metrics concerns nobody.
            let _ = metrics.await;
        }
        served
    }
}

/// Keeps the certificate up to date.
async fn follow(tls: Option<Arc<Tls>>) -> std::convert::Infallible {
    match tls {
        Some(tls) => tls.follow().await,
        None => std::future::pending().await,
    }
}

impl ServerBuilder {
    /// Adds the host's own routes. The API's [layer](super::ApiLayer) wraps them: they get an `x-request-id`, problem
    /// documents and the API's 405 response. Can be called several times.
    ///
    /// A fallback of `routes` is dropped: unknown paths get the API's 404 response.
    ///
    /// # Panics
    ///
    /// Panics if a route overlaps with a route of the API or of an earlier call, like [`Router::merge`].
    pub fn merge(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes.reset_fallback());
        self
    }

    /// Limits the number of open connections. Default: [`limits::CONNECTIONS`]. Further clients wait until a connection
    /// closes; meanwhile connections that have sent nothing for 2 s, or have no open request, are closed. Set it below the process's limit of open files.
    pub fn connections(mut self, connections: usize) -> Self {
        self.serving.connections = connections;
        self
    }

    /// Limits the open connections of each client address; of an IPv6 address, those of its /64 network. Default:
    /// [`limits::CONNECTIONS_PER_ADDRESS`]. Further connections get 503 and are closed. Loopback addresses and
    /// [trusted proxies](Self::trusted_proxies) have no limit.
    pub fn connections_per_address(mut self, connections: usize) -> Self {
        self.serving.per_address = connections;
        self
    }

    /// Limits the memory of all request bodies together, in bytes. Default: [`limits::BODY_BUDGET_BYTES`]; at least twice
    /// [`limits::BODY_BYTES`]. Of it, a quarter is for bodies of agents above [`limits::QUICK_BODY_BYTES`], a sixteenth each for
    /// smaller ones of agents and of others, and the rest for others. One agent, generator or admin key gets at most a quarter of
    /// each, or one body. Further bodies wait for up to 5 s, then their requests get 503 with `Retry-After`; those that fit do not
    /// wait for larger ones.
    pub fn body_budget(mut self, bytes: usize) -> Self {
        self.bounds.body_budget = bytes;
        self
    }

    /// Limits the requests of one agent, generator or admin key that change something, per second. Default:
    /// [`limits::WRITES_PER_SECOND`]; [`limits::RATE_BURST`] times as many are allowed at once. Further ones get 429 with
    /// `Retry-After`.
    pub fn writes_per_second(mut self, writes: u32) -> Self {
        self.bounds.per_second.writes = writes;
        self
    }

    /// Limits the requests of one key, per second; [`limits::RATE_BURST`] times as many at once. Default:
    /// [`limits::REQUESTS_PER_SECOND`]. Further ones get 429 with `Retry-After`.
    pub fn requests_per_second(mut self, requests: u32) -> Self {
        self.bounds.per_second.requests = requests;
        self
    }

    /// Limits the requests of one generator with all its keys, per second; [`limits::RATE_BURST`] times as many at once. Default:
    /// [`limits::OWNER_REQUESTS_PER_SECOND`]. Further ones get 429 with `Retry-After`.
    pub fn owner_requests_per_second(mut self, requests: u32) -> Self {
        self.bounds.per_second.owner_requests = requests;
        self
    }

    /// Limits the requests without a usable key from one client address, per second; [`limits::RATE_BURST`] times as many at
    /// once. Default: [`limits::UNAUTHENTICATED_PER_SECOND`]. Further ones get 429 instead of 401. Requests with a valid key do
    /// not count, so any number of agents can share an address.
    pub fn unauthenticated_per_second(mut self, requests: u32) -> Self {
        self.bounds.per_second.unauthenticated = requests;
        self
    }

    /// Limits the requests of one class of work that are served at once, at least 1. Defaults:
    /// [`limits::CONCURRENT_AGENT_REQUESTS`], [`limits::CONCURRENT_READS`], [`limits::CONCURRENT_WRITES`] and
    /// [`limits::CONCURRENT_LISTS`]. One agent, generator or admin key gets at most half. Further requests, at most 256, wait for
    /// [`limits::CLASS_WAIT_MILLIS`] milliseconds, then they get 503 with `Retry-After`. Polls that wait and probes do not count.
    pub fn concurrent(mut self, class: WorkClass, requests: usize) -> Self {
        self.bounds.at_once.set(class, requests);
        self
    }

    /// Sets how long open requests may run after the stop signal. Default: [`Server::GRACE`]. Afterwards the server closes
    /// their connections. Keep it below the supervisor's own timeout (30 s in Kubernetes).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.serving.grace = grace;
        self
    }

    /// Serves TLS, with the certificate in these files. A client that supports it speaks HTTP/2. Default: plain HTTP.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the files cannot be used. Later changes that cannot be used are logged, and the server continues with the
    /// certificate that it has.
    pub fn tls(mut self, files: TlsFiles) -> Result<Self, TlsError> {
        self.serving.tls = Some(Arc::new(Tls::load(files)?));
        Ok(self)
    }

    /// Declares that a proxy in front of the server ends TLS, so that the server accepts plain HTTP from other machines.
    /// Default: false. See that nothing else reaches the server's address.
    pub fn behind_tls_proxy(mut self, behind: bool) -> Self {
        self.behind_tls_proxy = behind;
        self
    }

    /// Believes proxies about the addresses of clients, which audit records contain and which the networks and limits of keys
    /// compare. Default: none; the address is that of the connection.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.serving.proxies = proxies;
        self
    }

    /// Serves `/metrics` on a listener of its own, without TLS and without keys, while the server runs. `render` returns the
    /// text of the metrics recorder, as for [`metrics_router`]. Default: none.
    pub fn metrics(mut self, listener: TcpListener, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Metrics { listener, router: metrics_router(self.broker.clone(), render) });
        self
    }

    /// Returns the router that the server would serve: the API, the host's own routes, and the [layer](super::ApiLayer)
    /// around both. For tests that send requests without a socket, and for hosts that serve it themselves, as
    /// [`router`](super::router) describes.
    pub fn router(self) -> Router {
        let state = AppState::with(self.broker, self.bounds, self.serving.proxies);
        api(state.clone()).merge(with_api_layer(self.routes, state))
    }

    /// Binds the address and returns the server, which accepts connections once it [runs](Server::run).
    ///
    /// # Errors
    ///
    /// Returns the operating system's error if the address is in use or not available, and [`PlainHttpRefused`] as
    /// [`listener`](Self::listener) does.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
        self.listener(TcpListener::bind(address).await?)
    }

    /// Uses a listener that the host has opened.
    ///
    /// # Errors
    ///
    /// [`PlainHttpRefused`], as the inner error, if the address is not a loopback address and there is neither
    /// [`tls`](Self::tls) nor a [proxy that ends TLS](Self::behind_tls_proxy).
    pub fn listener(mut self, listener: TcpListener) -> io::Result<Server> {
        let address = listener.local_addr()?;
        if self.serving.tls.is_none() && !self.behind_tls_proxy && !address.ip().to_canonical().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, PlainHttpRefused { address }));
        }
        let (broker, serving, metrics) = (self.broker.clone(), self.serving.clone(), self.metrics.take());
        Ok(Server { broker, router: self.router(), listener, serving, metrics })
    }
}
