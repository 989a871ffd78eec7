//! An admission webhook with a configurable response.

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Result;

/// The response of the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Allow,
    Deny,
    /// No response until the caller times out.
    Silent,
}

struct State {
    manner: Manner,
    /// A review request: operation, object name, and whether it was a dry run.
    asked: Vec<(String, String, bool)>,
}

/// A webhook server with its own certificate. Ends on drop.
pub(crate) struct Admission {
    pub(crate) url: String,
    pub(crate) authority: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Admission {
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        make_certificate(folder)?;
        let certificate = CertificateDer::from_pem_file(folder.join("cert.pem"))?;
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}/", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State { manner: Manner::Allow, asked: Vec::new() }));
        let server = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), state.clone()));
        let authority = STANDARD.encode(std::fs::read(folder.join("cert.pem"))?);
        Ok(Self { url, authority, state, server })
    }

    pub(crate) fn be(&self, manner: Manner) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).manner = manner;
    }

    /// The review requests so far.
    pub(crate) fn asked(&self) -> Vec<(String, String, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }

    /// A configuration that makes an API server call the webhook for objects of one kind and namespace with the label
    /// `hooked`.
    pub(crate) fn configuration(&self, namespace: &str, group: &str, plural: &str, operations: &[&str]) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [{
                "name": "trial.example.brokkr.io",
                "clientConfig": {"url": self.url, "caBundle": self.authority},
                "rules": [{"operations": operations, "apiGroups": [group], "apiVersions": ["v1"], "resources": [plural], "scope": "Namespaced"}],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "timeoutSeconds": 10,
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "objectSelector": {"matchLabels": {"hooked": "yes"}},
            }],
        })
    }
}

/// A self-signed certificate for 127.0.0.1.
fn make_certificate(folder: &Path) -> Result<()> {
    let words = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=trial -addext subjectAltName=IP:127.0.0.1";
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), state.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| review(state.clone(), request));
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

async fn review(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let asked = &review["request"];
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let manner = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push((text("operation"), text("name"), asked["dryRun"] == true));
        state.manner
    };
    if manner == Manner::Silent {
        std::future::pending::<()>().await;
    }
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": asked["uid"], "allowed": manner == Manner::Allow, "status": {"message": "denied for a trial"}},
    });
    let mut response = Response::new(Full::from(answer.to_string()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}
