//! TLS with real handshakes: protocols, changes of the certificate, certificates of clients, and what is refused without TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use brokkr_control::{Broker, NewAgent};
use brokkr_core::protocol::ControlPlane as _;
use brokkr_core::store::MemoryStore;
use brokkr_http::client::{Client, ClientError, HttpControlPlane, install_crypto_provider};
use brokkr_http::server::{PlainHttpRefused, Server, ServerBuilder, TlsError, TlsFiles};
use brokkr_testbed::ScratchFolder;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Authority, Pair, eventually, stays};

/// How often the server checks its files.
const CHECK: Duration = Duration::from_millis(20);
/// Several checks.
const CHECKS: Duration = Duration::from_millis(200);

struct Served {
    address: SocketAddr,
    broker: Broker,
    authority: Authority,
    folder: ScratchFolder,
}

impl Served {
    /// A server whose files are in a folder behind a link, as in a volume of a Kubernetes Secret.
    async fn new(name: &str, configure: impl FnOnce(TlsFiles, &Path) -> TlsFiles) -> Self {
        install_crypto_provider();
        let (folder, authority) = (ScratchFolder::new(name).unwrap(), Authority::new("brokers"));
        authority.sign(2100).write(&folder.path().join("first"));
        std::os::unix::fs::symlink("first", folder.path().join("current")).unwrap();
        let current = folder.path().join("current");
        let files = TlsFiles::new(current.join("tls.crt"), current.join("tls.key"));
        let files = configure(files.reload_interval(CHECK), folder.path());
        let broker = Broker::builder(MemoryStore::new()).start().await.unwrap();
        let server = Server::builder(broker.clone()).tls(files).unwrap().bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, broker, authority, folder }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Replaces the link in one step.
    fn switch(&self, folder: &str) {
        let next = self.folder.path().join("next");
        std::os::unix::fs::symlink(folder, &next).unwrap();
        std::fs::rename(next, self.folder.path().join("current")).unwrap();
    }

    fn client(&self) -> reqwest::ClientBuilder {
        let authority = reqwest::Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([authority]).no_proxy().timeout(Duration::from_secs(20))
    }

    /// The certificate that the server presents now.
    async fn presented(&self) -> CertificateDer<'static> {
        let connection = connect(self, &[]).await.unwrap();
        connection.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

async fn connect(served: &Served, protocols: &[&[u8]]) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(served.authority.pem().as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let stream = TcpStream::connect(served.address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn leaf(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()
}

#[tokio::test]
async fn client_and_server_agree_on_a_protocol() {
    let served = Served::new("tls-protocols", |files, _| files).await;
    for (http1_only, expected) in [(false, http::Version::HTTP_2), (true, http::Version::HTTP_11)] {
        let client = if http1_only { served.client().http1_only() } else { served.client() }.build().unwrap();
        for _ in 0..3 {
            let response = client.get(format!("{}/healthz", served.url())).send().await.unwrap();
            assert_eq!((response.status().as_u16(), response.version()), (200, expected));
        }
    }
    // Without the extension the protocol is HTTP/1.1.
    let mut connection = connect(&served, &[]).await.unwrap();
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = connection.read_to_end(&mut said).await;
    assert!(said.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn strict_framing_holds_within_tls() {
    let served = Served::new("tls-framing", |files, _| files).await;
    for sent in [
        "GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /healthz HTTP/1.1\nhost: a\n\n",
        "POST /api/v1/auth/pak HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let mut connection = connect(&served, &[b"http/1.1"]).await.unwrap();
        connection.write_all(sent.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        connection.read_to_end(&mut said).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("HTTP/1.1 400") && said.contains("/problems/request-malformed"), "{sent:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_client_loses_its_connection() {
    let served = Served::new("tls-silent", |files, _| files).await;
    // Before, and after the handshake.
    let mut said = Vec::new();
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(silent.read_to_end(&mut said).await.unwrap(), 0);
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut shaken = connect(&served, &[protocol]).await.unwrap();
        // The server may end the connection without the closing alert.
        let _ = shaken.read_to_end(&mut said).await;
        assert!(said.is_empty(), "{said:?}");
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_not_answered() {
    let served = Served::new("tls-plain", |files, _| files).await;
    let mut plain = TcpStream::connect(served.address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_certificate_is_served_and_no_request_is_lost() {
    let served = Served::new("tls-reload", |files, _| files).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|n| {
            // Half of the clients keep their connections, half open one per request.
            let client = if n % 2 == 0 { served.client() } else { served.client().pool_max_idle_per_host(0) };
            let (client, url) = (client.build().unwrap(), format!("{}/healthz", served.url()));
            let (stop, sent) = (stop.clone(), sent.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "ok\n");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for n in 0..5 {
        let pair = served.authority.sign(2100);
        let folder = format!("certificate-{n}");
        pair.write(&served.folder.path().join(&folder));
        served.switch(&folder);
        eventually("the new certificate is served", || async {
            if served.presented().await == leaf(&pair) { Ok(()) } else { Err("the old one") }
        })
        .await;
        let before = sent.load(Ordering::Relaxed);
        eventually("requests succeed", || async {
            let now = sent.load(Ordering::Relaxed);
            if now >= before + 20 { Ok(()) } else { Err(now) }
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in load {
        client.await.expect("no request was lost");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_certificate_as_it_is() {
    let served = Served::new("tls-broken", |files, _| files).await;
    let first = served.presented().await;
    let (one, other) = (served.authority.sign(2100), served.authority.sign(2100));
    let broken = [
        ("mismatch", Pair { certificate: one.certificate.clone(), key: other.key }),
        ("half", Pair { certificate: one.certificate[..200].to_owned(), key: one.key.clone() }),
        ("empty", Pair { certificate: String::new(), key: String::new() }),
        ("expired", served.authority.sign(2021)),
    ];
    for (name, pair) in broken {
        pair.write(&served.folder.path().join(name));
        served.switch(name);
        stays(CHECKS, "the first certificate is served", || async {
            if served.presented().await == first { Ok(()) } else { Err(name) }
        })
        .await;
    }
    served.switch("missing");
    stays(CHECKS, "the first certificate is served", || async {
        if served.presented().await == first { Ok(()) } else { Err("without files") }
    })
    .await;
    one.write(&served.folder.path().join("good"));
    served.switch("good");
    eventually("a good pair is served again", || async {
        if served.presented().await == leaf(&one) { Ok(()) } else { Err("the old one") }
    })
    .await;
}

fn identity(pair: &Pair) -> reqwest::Identity {
    reqwest::Identity::from_pem(format!("{}\n{}", pair.certificate, pair.key).as_bytes()).unwrap()
}

#[tokio::test]
async fn clients_present_certificates_of_the_authority_only() {
    let (clients, foreign) = (Authority::new("clients"), Authority::new("strangers"));
    for is_required in [false, true] {
        let served = Served::new(&format!("tls-clients-{is_required}"), |files, folder| {
            let file = folder.join("clients.crt");
            std::fs::write(&file, clients.pem()).unwrap();
            files.client_authority(file).require_client_certificate(is_required)
        })
        .await;
        for (name, pair, is_accepted) in [
            ("none", None, !is_required),
            ("valid", Some(clients.sign(2100)), true),
            ("expired", Some(clients.sign(2021)), false),
            ("foreign", Some(foreign.sign(2100)), false),
        ] {
            let client = served.client();
            let client = if let Some(pair) = &pair { client.identity(identity(pair)) } else { client };
            let sent = client.build().unwrap().get(format!("{}/api/v1/stacks", served.url())).send().await;
            // A certificate does not replace the key.
            assert_eq!(sent.ok().map(|it| it.status().as_u16()), is_accepted.then_some(401), "{name}, {is_required}");
        }
    }
}

#[tokio::test]
async fn agent_connects_with_its_authority_and_certificate() {
    let clients = Authority::new("the clients'");
    let served = Served::new("tls-agent", |files, folder| {
        let file = folder.join("clients.crt");
        std::fs::write(&file, clients.pem()).unwrap();
        files.client_authority(file).require_client_certificate(true)
    })
    .await;
    let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
    let (agent, key) = served.broker.agent_create(&served.broker.system_actor(), new).await.unwrap();
    let key = key.pak.unwrap().expose_secret().to_owned();
    let file = served.folder.path().join("authority.crt");
    std::fs::write(&file, served.authority.pem()).unwrap();
    let (certificate, private) = clients.sign(2100).write(&served.folder.path().join("agent"));
    let builder = || Client::builder([served.url()], key.clone());
    let whole = builder().authority(&file).certificate(&certificate, &private).build().unwrap();
    let identified = HttpControlPlane::new(whole).identify().await.unwrap();
    assert_eq!(identified.agent_id, agent.id);
    let lacking: [(&str, Client); 2] = [
        ("certificate", builder().authority(&file).build().unwrap()),
        ("authority", builder().certificate(&certificate, &private).build().unwrap()),
    ];
    for (what, client) in lacking {
        assert!(HttpControlPlane::new(client).identify().await.is_err(), "without {what}");
    }
    let missing: PathBuf = served.folder.path().join("nothing.crt");
    for broken in
        [builder().authority(&missing), builder().authority(&private), builder().certificate(&missing, &private)]
    {
        let error = broken.build().unwrap_err();
        assert!(matches!(error, ClientError::Build(_)), "{error}");
        assert!(error.to_string().contains("tls.key") || error.to_string().contains("nothing.crt"), "{error}");
    }
}

#[tokio::test]
async fn plain_http_needs_a_loopback_address_or_a_declared_proxy() {
    let served = Served::new("tls-exposed", |files, _| files).await;
    let (certificate, key) = served.authority.sign(2100).write(&served.folder.path().join("other"));
    let builder = || Server::builder(served.broker.clone());
    let tls = || builder().tls(TlsFiles::new(&certificate, &key)).unwrap();
    let cases: [(ServerBuilder, &str, bool); 6] = [
        (builder(), "127.0.0.1:0", true),
        (builder(), "0.0.0.0:0", false),
        (builder(), "[::]:0", false),
        (builder().behind_tls_proxy(true), "0.0.0.0:0", true),
        (tls(), "0.0.0.0:0", true),
        (builder().behind_tls_proxy(false), "0.0.0.0:0", false),
    ];
    for (builder, address, is_served) in cases {
        let bound = builder.bind(address).await;
        let refused =
            bound.as_ref().err().and_then(|error| error.get_ref()).is_some_and(|it| it.is::<PlainHttpRefused>());
        assert_eq!((bound.is_ok(), refused), (is_served, !is_served), "{address}");
    }
}

#[tokio::test]
async fn server_does_not_start_with_files_that_cannot_be_used() {
    let served = Served::new("tls-start", |files, _| files).await;
    let (one, other) = (served.authority.sign(2100), served.authority.sign(2100));
    let folder = |name: &str| served.folder.path().join(name);
    let start = |(certificate, key): (PathBuf, PathBuf)| {
        Server::builder(served.broker.clone()).tls(TlsFiles::new(certificate, key))
    };
    let mixed = Pair { certificate: one.certificate.clone(), key: other.key.clone() };
    assert!(matches!(start(mixed.write(&folder("mixed"))), Err(TlsError::Mismatch { .. })));
    let swapped = Pair { certificate: one.key.clone(), key: one.certificate.clone() };
    assert!(matches!(start(swapped.write(&folder("swapped"))), Err(TlsError::NotPem { .. })));
    assert!(matches!(start((folder("none.crt"), folder("none.key"))), Err(TlsError::Read { .. })));
    assert!(start(one.write(&folder("one"))).is_ok());
}
