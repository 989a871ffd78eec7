//! Runs a broker, its API and the host's own routes on one listener.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use brokkr_control::Broker;
use brokkr_core::model::limits;
use tokio::net::{TcpListener, ToSocketAddrs};

use super::serve::serve;
use super::{AppState, Bounds, api, with_api_layer};

/// Configures a [`Server`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    broker: Broker,
    routes: Router,
    bounds: Bounds,
    connections: usize,
    per_address: usize,
    grace: Duration,
}

/// Serves a broker's API, and the host's own routes, on one listener.
///
/// Speaks HTTP/1.1, and HTTP/2 with prior knowledge, without TLS: terminate TLS in a proxy in front of it. The server closes
/// a connection whose client does not send a request head within [`limits::REQUEST_HEAD_SECONDS`].
///
/// The API contains no `/metrics`: install a metrics recorder and merge [`metrics_router`](super::metrics_router), as
/// `brokkr-broker` does.
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
    connections: usize,
    per_address: usize,
    grace: Duration,
}

impl Server {
    /// The default of [`ServerBuilder::grace`]: 20 s.
    pub const GRACE: Duration = Duration::from_secs(20);

    /// Configures a server for the API of `broker`.
    pub fn builder(broker: Broker) -> ServerBuilder {
        let (connections, grace) = (limits::CONNECTIONS, Self::GRACE);
        let bounds = Bounds::default();
        let per_address = limits::CONNECTIONS_PER_ADDRESS;
        ServerBuilder { broker, routes: Router::new(), bounds, connections, per_address, grace }
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
        let served = serve(self.connections, self.per_address, self.grace, self.listener, self.router, stop).await;
        self.broker.shutdown().await;
        served
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
    /// closes; meanwhile connections that have sent nothing for 2 s are closed. Set it below the process's limit of open files.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Limits the open connections of each client address; of an IPv6 address, those of its /64 network. Default:
    /// [`limits::CONNECTIONS_PER_ADDRESS`]. Further connections get 503 and are closed. Loopback addresses have no limit. Set
    /// it higher if a proxy on another machine connects for many clients.
    pub fn connections_per_address(mut self, connections: usize) -> Self {
        self.per_address = connections;
        self
    }

    /// Limits the memory of all request bodies together, in bytes. Default: [`limits::BODY_BUDGET_BYTES`]; at least twice
    /// [`limits::BODY_BYTES`]. Further bodies wait for up to 5 s, then their requests get 503 with `Retry-After`. One agent,
    /// generator or admin key gets at most half.
    pub fn body_budget(mut self, bytes: usize) -> Self {
        self.bounds.body_budget = bytes;
        self
    }

    /// Limits the requests of one agent, generator or admin key that change something, per second. Default:
    /// [`limits::WRITES_PER_SECOND`]; [`limits::WRITE_BURST`] times as many are allowed at once. Further ones get 429 with
    /// `Retry-After`.
    pub fn writes_per_second(mut self, writes: u32) -> Self {
        self.bounds.writes_per_second = writes;
        self
    }

    /// Sets how long open requests may run after the stop signal. Default: [`Server::GRACE`]. Afterwards the server closes
    /// their connections. Keep it below the supervisor's own timeout (30 s in Kubernetes).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns the router that the server would serve: the API, the host's own routes, and the [layer](super::ApiLayer)
    /// around both. For tests that send requests without a socket, and for hosts that serve it themselves, as
    /// [`router`](super::router) describes.
    pub fn router(self) -> Router {
        let state = AppState::with(self.broker, self.bounds);
        api(state.clone()).merge(with_api_layer(self.routes, state))
    }

    /// Binds the address and returns the server, which accepts connections once it [runs](Server::run).
    ///
    /// # Errors
    ///
    /// Returns the operating system's error if the address is in use or not available.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
        Ok(self.listener(TcpListener::bind(address).await?))
    }

    /// Uses a listener that the host has opened.
    pub fn listener(self, listener: TcpListener) -> Server {
        let (broker, connections, per_address, grace) =
            (self.broker.clone(), self.connections, self.per_address, self.grace);
        Server { broker, router: self.router(), listener, connections, per_address, grace }
    }
}
