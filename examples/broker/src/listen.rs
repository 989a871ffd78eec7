//! Configures and binds the server.

use std::error::Error;
use std::io;

use brokkr_control::Broker;
use brokkr_core::model::{SourceNetwork, limits};
use brokkr_http::server::{PlainHttpRefused, Server, ServerBuilder, TlsFiles, TrustedProxies};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::settings::{BrokerSettings, ClientCertificate, ForwardedHeader, TlsSettings};
use crate::{descriptors, metrics};

/// Binds the API, and the metrics at an address of their own.
pub(crate) async fn bind(
    broker: Broker,
    address: &str,
    settings: &BrokerSettings,
    recorded: PrometheusHandle,
) -> Result<Server, Box<dyn Error>> {
    let connections = descriptors::connections(settings.connections.unwrap_or(limits::CONNECTIONS));
    let is_behind_proxy = settings.behind_tls_proxy.unwrap_or(false);
    let proxies = proxies(settings)?;
    if is_behind_proxy && settings.trusted_proxies.is_none() {
        tracing::warn!(
            "BROKKR__BROKER__TRUSTED_PROXIES is not set: every client has the proxy's address, so source networks of keys and \
             limits per address apply to the proxy; set it to the proxy's network"
        );
    }
    let mut server =
        Server::builder(broker).connections(connections).trusted_proxies(proxies).behind_tls_proxy(is_behind_proxy);
    if let Some(files) = files(&settings.tls)? {
        server = server.tls(files)?;
    }
    if let Some(listener) = metrics::listener(settings.metrics_listen.as_deref()).await? {
        println!("metrics on http://{}/metrics", listener.local_addr()?);
        server = server.metrics(listener, move || recorded.render());
    }
    limited(server, settings).bind(address).await.map_err(|error| explained(&error, address).into())
}

fn limited(mut server: ServerBuilder, settings: &BrokerSettings) -> ServerBuilder {
    if let Some(connections) = settings.connections_per_address {
        server = server.connections_per_address(connections);
    }
    if let Some(mib) = settings.body_budget_mib {
        server = server.body_budget(usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(1024 * 1024));
    }
    settings.limits.on(server)
}

fn proxies(settings: &BrokerSettings) -> Result<TrustedProxies, String> {
    let networks = settings.trusted_proxies.iter().flat_map(|it| it.elements());
    let parsed = networks.map(|text| {
        let network: Result<SourceNetwork, _> = text.parse();
        network.map_err(|error| format!("invalid network {text} in trusted_proxies: {error}"))
    });
    let proxies = TrustedProxies::new(parsed.collect::<Result<Vec<_>, _>>()?);
    Ok(match settings.forwarded_header {
        Some(ForwardedHeader::Forwarded) => proxies.forwarded(),
        Some(ForwardedHeader::XForwardedFor) | None => proxies,
    })
}

/// The files of the certificate; `None` without TLS.
fn files(tls: &TlsSettings) -> Result<Option<TlsFiles>, &'static str> {
    let mut files = match (&tls.cert_file, &tls.key_file) {
        (Some(certificate), Some(key)) => TlsFiles::new(certificate, key),
        (None, None) if tls.client_ca_file.is_none() && tls.client_certificate.is_none() => return Ok(None),
        _ => return Err("TLS needs both BROKKR__BROKER__TLS__CERT_FILE and BROKKR__BROKER__TLS__KEY_FILE"),
    };
    let is_required = tls.client_certificate == Some(ClientCertificate::Required);
    match &tls.client_ca_file {
        Some(file) => files = files.client_authority(file).require_client_certificate(is_required),
        None if tls.client_certificate.is_some() => {
            return Err("BROKKR__BROKER__TLS__CLIENT_CERTIFICATE needs BROKKR__BROKER__TLS__CLIENT_CA_FILE");
        }
        None => {}
    }
    Ok(Some(files))
}

fn explained(error: &io::Error, address: &str) -> String {
    if error.get_ref().is_some_and(|inner| inner.is::<PlainHttpRefused>()) {
        return format!(
            "refusing plain HTTP on {address}, because keys would cross the network unencrypted: set \
             BROKKR__BROKER__TLS__CERT_FILE and BROKKR__BROKER__TLS__KEY_FILE to serve TLS, or \
             BROKKR__BROKER__BEHIND_TLS_PROXY=true if a proxy in front of the broker ends TLS"
        );
    }
    format!("cannot listen on {address}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_tls_settings_are_refused() {
        let tls = |given: [bool; 4]| TlsSettings {
            cert_file: given[0].then(|| "tls.crt".into()),
            key_file: given[1].then(|| "tls.key".into()),
            client_ca_file: given[2].then(|| "ca.crt".into()),
            client_certificate: given[3].then_some(ClientCertificate::Required),
        };
        for (given, expected) in [
            ([false, false, false, false], Ok(false)),
            ([true, true, false, false], Ok(true)),
            ([true, true, true, false], Ok(true)),
            ([true, true, true, true], Ok(true)),
            ([true, false, false, false], Err(())),
            ([false, true, false, false], Err(())),
            ([false, false, true, false], Err(())),
            ([false, false, false, true], Err(())),
            ([true, true, false, true], Err(())),
        ] {
            assert_eq!(files(&tls(given)).map(|it| it.is_some()).map_err(|_| ()), expected, "{given:?}");
        }
    }

    #[test]
    fn proxies_are_a_list_of_networks() {
        for (value, is_valid) in [
            (serde_json::json!("10.0.0.0/8, fd00::/8,"), true),
            (serde_json::json!(["10.0.0.0/8"]), true),
            (serde_json::json!(""), true),
            (serde_json::json!("everyone"), false),
        ] {
            let settings = BrokerSettings {
                trusted_proxies: Some(serde_json::from_value(value.clone()).expect("a list")),
                ..BrokerSettings::default()
            };
            assert_eq!(proxies(&settings).is_ok(), is_valid, "{value}");
        }
    }
}
