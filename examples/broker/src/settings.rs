//! The broker's settings: flags > environment > file > defaults.

use std::path::PathBuf;

use serde::Deserialize;

/// What a file or the environment (`BROKKR__BROKER__…`) may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Root {
    broker: BrokerSettings,
}

/// The broker's settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BrokerSettings {
    /// Where to listen; `127.0.0.1:3000` unless told otherwise.
    pub(crate) listen: Option<String>,
    /// `<short id>:sha256:<hex>` of an admin key made elsewhere.
    pub(crate) admin_key_hash: Option<String>,
    /// Size of the connection pool; the store's default if absent.
    pub(crate) database_connections: Option<u32>,
    /// Whether a proxy that pools transactions stands before the database.
    pub(crate) database_pooled: Option<bool>,
    /// Days for which agent events are kept; for ever unless told otherwise.
    pub(crate) event_days: Option<u32>,
    /// The same for audit records.
    pub(crate) audit_days: Option<u32>,
    /// The same for changes, as `GET /changes` has them.
    pub(crate) change_days: Option<u32>,
    /// Whether a database role is accepted that could change history.
    pub(crate) allow_privileged_database_role: Option<bool>,
}

/// Reads file and environment. A setting that nobody knows is an error, not a hint that is lost.
pub(crate) fn load(file: Option<&PathBuf>) -> Result<BrokerSettings, config::ConfigError> {
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        builder = builder.add_source(config::File::from(file.as_path()));
    }
    // Only the broker's own variables: an agent's may stand beside them in one environment.
    let own = config::Environment::with_prefix("BROKKR__BROKER").prefix_separator("__").separator("__");
    let environment: BrokerSettings = config::Config::builder().add_source(own).build()?.try_deserialize()?;
    let file: Root = builder.build()?.try_deserialize()?;
    Ok(BrokerSettings {
        listen: environment.listen.or(file.broker.listen),
        admin_key_hash: environment.admin_key_hash.or(file.broker.admin_key_hash),
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
