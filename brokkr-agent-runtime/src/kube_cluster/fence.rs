//! A client that sends nothing while a fence is closed.
//!
//! A request passes through queues and tasks before its bytes reach the network, and the operating system may suspend the
//! process in between and resume it much later. So the socket checks the fence before each write.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use brokkr_reconcile::cluster::Fence;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::ConfigExt as _;
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

/// How long idle connections stay open. Each has its own buffers.
const IDLE: Duration = Duration::from_secs(15);

/// Returns a client for the same server with its own connections.
pub(super) fn client(config: &kube::Config, fence: Fence) -> kube::Result<kube::Client> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    let connector = config.rustls_https_connector_with_connector(Connector { connector, fence })?;
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
    fence: Fence,
}

type ConnectError = <HttpConnector as Service<Uri>>::Error;

impl Service<Uri> for Connector {
    type Response = FencedStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<FencedStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, fence) = (self.connector.call(uri), self.fence.clone());
        Box::pin(async move { Ok(FencedStream { io: connecting.await?, fence }) })
    }
}

/// A connection that accepts writes only while the fence is open.
struct FencedStream {
    io: TokioIo<TcpStream>,
    fence: Fence,
}

impl FencedStream {
    fn check(&self) -> io::Result<()> {
        if self.fence.may_write() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::PermissionDenied, "fenced")) }
    }
}

impl Read for FencedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for FencedStream {
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

impl Connection for FencedStream {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster as _, ClusterError};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::KubeCluster;

    /// Responds to every request with an empty object, and counts the received bytes.
    async fn serve(listener: TcpListener, received: tokio::sync::watch::Sender<usize>) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let received = received.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                    received.send_modify(|it| *it += bytes);
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    }

    #[tokio::test]
    async fn closed_fence_lets_no_byte_reach_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URI");
        let (sender, received) = tokio::sync::watch::channel(0);
        tokio::spawn(serve(listener, sender));
        let open = Arc::new(AtomicBool::new(true));
        let asked = open.clone();
        let fence = Fence::new(move || asked.load(Ordering::SeqCst));
        let cluster = KubeCluster::new(client(&kube::Config::new(uri), fence).expect("a client"));
        let kind = ApiKind::v1("", "ConfigMap", "configmaps", true);
        let at = kind.at(Some("default"), "a");
        let options = ApplyOptions { field_manager: "test", force: false, dry_run: false };
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});

        assert_eq!(cluster.apply(&at, &body, &options).await.map(|it| it.object), Ok(json!({})));
        let before = *received.borrow();
        assert!(before > 0, "an open fence lets the request through");

        // The connection is open and idle, so only the socket can stop the request.
        open.store(false, Ordering::SeqCst);
        assert_eq!(
            cluster.apply(&at, &body, &options).await.map(|it| it.object),
            Err::<Value, _>(ClusterError::Fenced)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(*received.borrow(), before);
    }
}
