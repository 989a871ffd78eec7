//! A client that sends nothing without a permit.
//!
//! Between a call and the bytes on the network lie queues and other tasks, and a process may be stopped at any place and go on
//! much later. So the permit is asked for by the socket, with each write to it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use brokkr_reconcile::cluster::Permit;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::ConfigExt as _;
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

/// How long connections that nobody needs are kept: each has buffers of its own.
const IDLE: Duration = Duration::from_secs(15);

/// A client for the same server whose connections are its own.
pub(super) fn client(config: &kube::Config, permit: Permit) -> kube::Result<kube::Client> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    let connector = config.rustls_https_connector_with_connector(Connector { connector, permit })?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector));
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

#[derive(Clone)]
struct Connector {
    connector: HttpConnector,
    permit: Permit,
}

type ConnectError = <HttpConnector as Service<Uri>>::Error;

impl Service<Uri> for Connector {
    type Response = Permitted;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Permitted, ConnectError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, permit) = (self.connector.call(uri), self.permit.clone());
        Box::pin(async move { Ok(Permitted { io: connecting.await?, permit }) })
    }
}

/// A connection that is written to only with a permit.
struct Permitted {
    io: TokioIo<TcpStream>,
    permit: Permit,
}

impl Permitted {
    fn check(&self) -> io::Result<()> {
        if (self.permit)() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "not leading any more"))
        }
    }
}

impl Read for Permitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Permitted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.io).poll_write_vectored(context, buffers)
    }
}

impl Connection for Permitted {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}
