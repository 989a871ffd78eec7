//! A broker, its API and the host's own routes on one listener, from the start to the end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use brokkr_control::Broker;
use brokkr_core::model::limits;
use tokio::net::{TcpListener, ToSocketAddrs};

use super::serve::serve;
use super::{AppState, api, dressed};

/// Composes a [`Server`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    broker: Broker,
    routes: Router,
    state: AppState,
    connections: usize,
    grace: Duration,
}

/// A broker's API on a listener, with the host's own routes beside it.
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge) without TLS: put what terminates TLS in front of it. A client that does not send a
/// request's head within [`limits::REQUEST_HEAD_SECONDS`] loses its connection.
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
    grace: Duration,
}

impl Server {
    /// Default of [`ServerBuilder::grace`].
    pub const GRACE: Duration = Duration::from_secs(20);

    /// Composes a server of the API over `broker`.
    pub fn builder(broker: Broker) -> ServerBuilder {
        let state = AppState::of(broker.clone());
        let (connections, grace) = (limits::CONNECTIONS, Self::GRACE);
        ServerBuilder { broker, routes: Router::new(), state, connections, grace }
    }

    /// The address that the server listens on.
    ///
    /// # Errors
    ///
    /// What the operating system says of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `signal` resolves, then stops in the right order: waiting polls end and `/readyz` answers 503, no new
    /// connections are taken, open requests get the [grace](ServerBuilder::grace) to finish, and the broker
    /// [shuts down](Broker::shutdown), which writes the audit records that are still queued.
    ///
    /// Dropping the future instead ends connections when their tasks end, and may lose queued audit records.
    ///
    /// # Errors
    ///
    /// What the listener reports when it cannot accept connections at all.
    pub async fn run(self, signal: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let draining = self.broker.clone();
        let stop = async move {
            signal.await;
            draining.drain();
        };
        let served = serve(self.connections, self.grace, self.listener, self.router, stop).await;
        self.broker.shutdown().await;
        served
    }
}

impl ServerBuilder {
    /// Adds the host's own routes, under the API's [layer](super::ApiLayer): they get an `x-request-id`, problems in the API's form
    /// and the API's 405. May be called several times.
    ///
    /// A fallback of `routes` is dropped: paths that nobody serves get the API's 404.
    ///
    /// # Panics
    ///
    /// When a route overlaps with one of the API or of an earlier call, as [`Router::merge`] does.
    pub fn merge(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes.reset_fallback());
        self
    }

    /// The most connections at one time. Default: [`limits::CONNECTIONS`]. Further clients wait until one ends; lower it for a
    /// process that may open fewer files.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How long open requests may take to finish after the signal. Default: [`Server::GRACE`]. Then their connections are cut;
    /// keep it below the supervisor's own time-out (30 s in Kubernetes).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// What the operating system says when the address is taken or not its own.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
        Ok(self.listener(TcpListener::bind(address).await?))
    }

    /// Takes a listener that the host has opened.
    pub fn listener(self, listener: TcpListener) -> Server {
        let router = api(self.state.clone()).merge(dressed(self.routes, self.state));
        Server { broker: self.broker, router, listener, connections: self.connections, grace: self.grace }
    }
}
