//! `brokkr-broker serve`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use brokkr_control::{Broker, KeyHash};
use brokkr_core::store::Retention;
use brokkr_http::server::shutdown_signal;
use clap::Args;

use crate::database::{self, DatabaseArgs};
use crate::key_sink::first_key;
use crate::{listen, metrics, settings};

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:3000].
    #[arg(long)]
    listen: Option<String>,
    /// Address for /metrics; empty for none [default: 127.0.0.1:9090].
    #[arg(long)]
    metrics_listen: Option<String>,
    /// Path of a TOML file with settings.
    #[arg(long)]
    config: Option<PathBuf>,
    /// New file, with mode 0600, for the admin key that the first broker on a new store creates. Default: the terminal; without a
    /// terminal no key is created.
    #[arg(long)]
    admin_key_file: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(args: ServeArgs) -> Result<(), Box<dyn Error>> {
    let mut settings = settings::load(args.config.as_ref())?;
    settings.metrics_listen = args.metrics_listen.or(settings.metrics_listen);
    let recorded = metrics::install()?;
    let store = database::store(&args.database, &settings).await?;
    let days = |days: Option<u32>| days.map(|days| Duration::from_secs(u64::from(days) * 24 * 3600));
    let keep = Retention {
        events: days(settings.event_days),
        audit: days(settings.audit_days),
        changes: days(settings.change_days),
    };
    let given = settings.admin_key_hash.as_deref().map(parse_hash).transpose()?;
    let mut builder = Broker::builder(store).retention(keep).quotas(settings.quotas.into());
    if let Some(longest) = days(settings.key_max_days) {
        builder = builder.key_lifetime(longest);
    }
    let broker = builder.start().await?;
    let address = args.listen.or(settings.listen.clone()).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let server = listen::bind(broker.clone(), &address, &settings, recorded).await?;
    first_key(&broker, given, args.admin_key_file.or(settings.admin_key_file).as_deref()).await?;
    let scheme = if settings.tls.cert_file.is_some() { "https" } else { "http" };
    println!("listening on {scheme}://{}", server.local_addr()?);
    let signal = async {
        shutdown_signal().await;
        println!("stopping");
    };
    Ok(server.run(signal).await?)
}

fn parse_hash(text: &str) -> Result<KeyHash, String> {
    text.parse().map_err(|_| {
        "invalid admin_key_hash; expected <short id>:sha256:<64 hexadecimal digits>, with the 12 characters of the key's short id"
            .to_owned()
    })
}
