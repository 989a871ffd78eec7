//! How the agent reaches its broker.

use std::path::PathBuf;

use brokkr_http::client::{Client, ClientError};
use clap::Args;
use secrecy::SecretString;

use crate::values::listed;

#[derive(Args)]
pub(crate) struct BrokerArgs {
    /// Address of the broker, or several, separated by commas, which are tried in order.
    #[arg(long, env = "BROKKR__AGENT__BROKER_URL", value_delimiter = ',', required = true)]
    broker_url: Vec<String>,
    /// Send the key over plain HTTP to another machine, where everyone on the way can read it.
    #[arg(long, env = "BROKKR__AGENT__ALLOW_PLAIN_HTTP", value_parser = clap::builder::BoolishValueParser::new())]
    allow_plain_http: bool,
    /// PEM file with the authorities of the broker's certificate. Default: those of the system.
    #[arg(long, env = "BROKKR__AGENT__CA_FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file with a client certificate, for brokers that ask for one.
    #[arg(long, env = "BROKKR__AGENT__CLIENT_CERT_FILE", requires = "client_key_file")]
    client_cert_file: Option<PathBuf>,
    /// PEM file with the private key of the client certificate.
    #[arg(long, env = "BROKKR__AGENT__CLIENT_KEY_FILE", requires = "client_cert_file")]
    client_key_file: Option<PathBuf>,
}

impl BrokerArgs {
    /// Creates a client that sends this key or join token.
    pub(crate) fn client(&self, key: impl Into<SecretString>) -> Result<Client, String> {
        let mut client = Client::builder(listed(&self.broker_url), key).allow_plain_http(self.allow_plain_http);
        if let Some(file) = &self.ca_file {
            client = client.authority(file);
        }
        if let (Some(certificate), Some(key)) = (&self.client_cert_file, &self.client_key_file) {
            client = client.certificate(certificate, key);
        }
        client.build().map_err(|error| match error {
            ClientError::PlainHttp { .. } => {
                format!("{error} with --allow-plain-http or BROKKR__AGENT__ALLOW_PLAIN_HTTP=true")
            }
            error => error.to_string(),
        })
    }
}
