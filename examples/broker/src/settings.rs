//! The broker's settings. Precedence: flags, environment, file, defaults.

use std::path::PathBuf;

use serde::Deserialize;

use crate::limits::{LimitSettings, QuotaSettings};

/// The content of a settings file or of the environment (`BROKKR__BROKER__…`).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Root {
    broker: BrokerSettings,
}

/// The broker's settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BrokerSettings {
    /// Address to listen on. Default: `127.0.0.1:3000`.
    pub(crate) listen: Option<String>,
    /// Address of `/metrics`; empty: none. Default: `127.0.0.1:9090`.
    pub(crate) metrics_listen: Option<String>,
    /// The certificate. Default: plain HTTP.
    pub(crate) tls: TlsSettings,
    /// Whether a proxy in front of the broker ends TLS, so that it accepts plain HTTP from other machines. Default: false.
    pub(crate) behind_tls_proxy: Option<bool>,
    /// Networks of proxies that name the addresses of clients. Default: none.
    pub(crate) trusted_proxies: Option<Listed>,
    /// The header in which they do. Default: `x-forwarded-for`.
    pub(crate) forwarded_header: Option<ForwardedHeader>,
    /// Maximum open connections. Default: 20,000, or what the limit of open files allows.
    pub(crate) connections: Option<usize>,
    /// Maximum open connections of one client address. Default: 256.
    pub(crate) connections_per_address: Option<usize>,
    /// Memory for all request bodies together, in MiB. Default: 64.
    pub(crate) body_budget_mib: Option<u32>,
    /// Limits of callers and kinds of work.
    pub(crate) limits: LimitSettings,
    /// What one generator may keep.
    pub(crate) quotas: QuotaSettings,
    /// `<short id>:sha256:<hex>` of an admin key that was generated elsewhere. Default: the first start generates one.
    pub(crate) admin_key_hash: Option<String>,
    /// File for the admin key that the first start generates. Default: the terminal.
    pub(crate) admin_key_file: Option<PathBuf>,
    /// Longest lifetime of new keys of admins and generators, in days. Default: without limit.
    pub(crate) key_max_days: Option<u32>,
    /// Size of the connection pool. Default: that of the store.
    pub(crate) database_connections: Option<u32>,
    /// Whether a transaction-pooling proxy is in front of the database. Default: false.
    pub(crate) database_pooled: Option<bool>,
    /// Days for which agent events are kept. Default: without limit.
    pub(crate) event_days: Option<u32>,
    /// Days for which audit records are kept. Default: without limit.
    pub(crate) audit_days: Option<u32>,
    /// Days for which changes are kept in the feed (`GET /changes`). Default: without limit.
    pub(crate) change_days: Option<u32>,
    /// Whether to accept a database role that can change history. Default: false.
    pub(crate) allow_privileged_database_role: Option<bool>,
}

/// The files of the certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsSettings {
    /// PEM file with the certificate and those of intermediate authorities.
    pub(crate) cert_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub(crate) key_file: Option<PathBuf>,
    /// PEM file with the authorities of clients' certificates. Default: clients are not asked for one.
    pub(crate) client_ca_file: Option<PathBuf>,
    /// Whether clients need a certificate. Default: optional.
    pub(crate) client_certificate: Option<ClientCertificate>,
}

/// Whether clients need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientCertificate {
    /// A client may present one.
    Optional,
    /// A client without one is refused.
    Required,
}

/// The header in which proxies name the addresses of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A list, or its elements separated by commas.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Listed {
    Text(String),
    List(Vec<String>),
}

impl Listed {
    /// The elements, without blank ones.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        };
        texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|it| !it.is_empty())
    }
}

impl TlsSettings {
    fn or(self, other: Self) -> Self {
        Self {
            cert_file: self.cert_file.or(other.cert_file),
            key_file: self.key_file.or(other.key_file),
            client_ca_file: self.client_ca_file.or(other.client_ca_file),
            client_certificate: self.client_certificate.or(other.client_certificate),
        }
    }
}

/// Reads the file and the environment. Unknown settings are errors.
pub(crate) fn load(file: Option<&PathBuf>) -> Result<BrokerSettings, config::ConfigError> {
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        builder = builder.add_source(config::File::from(file.as_path()));
    }
    // Reads only the broker's variables, because the environment may also contain an agent's.
    let own = config::Environment::with_prefix("BROKKR__BROKER").prefix_separator("__").separator("__");
    let environment: BrokerSettings = config::Config::builder().add_source(own).build()?.try_deserialize()?;
    let file: Root = builder.build()?.try_deserialize()?;
    Ok(BrokerSettings {
        listen: environment.listen.or(file.broker.listen),
        metrics_listen: environment.metrics_listen.or(file.broker.metrics_listen),
        tls: environment.tls.or(file.broker.tls),
        behind_tls_proxy: environment.behind_tls_proxy.or(file.broker.behind_tls_proxy),
        trusted_proxies: environment.trusted_proxies.or(file.broker.trusted_proxies),
        forwarded_header: environment.forwarded_header.or(file.broker.forwarded_header),
        connections: environment.connections.or(file.broker.connections),
        connections_per_address: environment.connections_per_address.or(file.broker.connections_per_address),
        body_budget_mib: environment.body_budget_mib.or(file.broker.body_budget_mib),
        limits: environment.limits.or(file.broker.limits),
        quotas: environment.quotas.or(file.broker.quotas),
        admin_key_hash: environment.admin_key_hash.or(file.broker.admin_key_hash),
        admin_key_file: environment.admin_key_file.or(file.broker.admin_key_file),
        key_max_days: environment.key_max_days.or(file.broker.key_max_days),
        database_connections: environment.database_connections.or(file.broker.database_connections),
        database_pooled: environment.database_pooled.or(file.broker.database_pooled),
        event_days: environment.event_days.or(file.broker.event_days),
        audit_days: environment.audit_days.or(file.broker.audit_days),
        change_days: environment.change_days.or(file.broker.change_days),
        allow_privileged_database_role: environment
            .allow_privileged_database_role
            .or(file.broker.allow_privileged_database_role),
    })
}
