//! `brokkr-broker create …`: a client of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{GeneratorId, GrantId, KeyScope, Preset, Timestamp};
use brokkr_http::api::{
    CreateAdminKey, CreateAgent, CreateGenerator, CreateJoinToken, CreateStack, FirstKey, Generator, Grant, List,
    WantedRegistration,
};
use brokkr_http::client::{Client, ClientError};
use clap::{Args, Subcommand};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// Address of the broker.
    #[arg(long, env = "BROKKR__URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// API key of an admin; for stacks also of a generator.
    #[arg(long, env = "BROKKR__PAK", hide_env_values = true)]
    pak: String,
    /// Send the key over plain HTTP to another machine, where everyone on the way can read it.
    #[arg(long, env = "BROKKR__ALLOW_PLAIN_HTTP", value_parser = clap::builder::BoolishValueParser::new())]
    allow_plain_http: bool,
    /// PEM file with the authorities of the broker's certificate. Default: those of the system.
    #[arg(long, env = "BROKKR__CA_FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file with a client certificate, for brokers that ask for one.
    #[arg(long, env = "BROKKR__CLIENT_CERT_FILE", requires = "client_key_file")]
    client_cert_file: Option<PathBuf>,
    /// PEM file with the private key of the client certificate.
    #[arg(long, env = "BROKKR__CLIENT_KEY_FILE", requires = "client_cert_file")]
    client_key_file: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Creates an agent and prints its key, which is shown only once.
    Agent {
        #[command(flatten)]
        name: Named,
        /// Name of the agent's cluster, for display only.
        #[arg(long, default_value = "")]
        cluster_name: String,
        /// Name of the environment that the agent is in [default: none].
        #[arg(long)]
        environment: Option<String>,
        /// Label as key=value; may be repeated.
        #[arg(long = "label", value_parser = pair)]
        labels: Vec<(String, String)>,
        /// Name of a generator whose stacks the agent serves; may be repeated [default: system].
        #[arg(long = "generator", value_name = "NAME")]
        generators: Vec<String>,
    },
    /// Creates a join token and prints it; it is shown only once. New agents exchange it for keys of their own.
    JoinToken {
        #[command(flatten)]
        name: Named,
        /// Description for readers.
        #[arg(long, default_value = "")]
        description: String,
        /// Number of agents that the token may create.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// Time until the token expires, such as 24h or 7d.
        #[arg(long, default_value = "24h", value_parser = duration)]
        expires_in: Duration,
        /// Name of the environment of the new agents.
        #[arg(long)]
        environment: Option<String>,
        /// Label of the new agents as key=value; may be repeated.
        #[arg(long = "label", value_parser = pair)]
        labels: Vec<(String, String)>,
        /// Annotation of the new agents as key=value; may be repeated.
        #[arg(long = "annotation", value_parser = pair)]
        annotations: Vec<(String, String)>,
        /// Generator that the new agents serve, as its name, or name=grant with the name of the grant of the registration; may be
        /// repeated [default: system].
        #[arg(long = "register", value_name = "GENERATOR[=GRANT]", value_parser = registration)]
        registrations: Vec<(String, Option<String>)>,
    },
    /// Creates a stack.
    Stack {
        #[command(flatten)]
        name: Named,
        /// Description for readers.
        #[arg(long, default_value = "")]
        description: String,
        /// Label as key=value; may be repeated.
        #[arg(long = "label", value_parser = pair)]
        labels: Vec<(String, String)>,
    },
    /// Creates a generator and prints its key, which is shown only once.
    Generator {
        #[command(flatten)]
        name: Named,
        /// Description for readers.
        #[arg(long, default_value = "")]
        description: String,
        /// Name of an environment to which the generator is limited; may be repeated [default: all].
        #[arg(long = "environment", value_name = "NAME")]
        environments: Vec<String>,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Creates a key of an admin and prints it; it is shown only once. Default: the preset auditor.
    AdminKey {
        #[command(flatten)]
        name: Named,
        #[command(flatten)]
        key: KeyArgs,
    },
}

/// What a new key permits.
#[derive(Args, Default)]
struct KeyArgs {
    /// Scope, such as stacks:read; may be repeated.
    #[arg(long = "scope")]
    scopes: Vec<KeyScope>,
    /// Named set of scopes: admin, operator, auditor or publisher.
    #[arg(long, value_parser = preset)]
    preset: Option<Preset>,
    /// Person or system that holds the key, for the audit.
    #[arg(long)]
    subject: Option<String>,
    /// Network in CIDR notation from which the key may be used; may be repeated. Default: from everywhere.
    #[arg(long = "source-network")]
    source_networks: Vec<String>,
    /// Name of an environment to which the key is limited; may be repeated. Default: not limited.
    #[arg(long = "key-environment", value_name = "NAME")]
    key_environments: Vec<String>,
    /// Time until the key expires, such as 90d or 12h. Default: as late as possible.
    #[arg(long, value_parser = duration)]
    expires_in: Option<Duration>,
}

impl KeyArgs {
    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_in.map(|after| SystemClock.now().plus(after))
    }

    /// The environments of the key; `None` without any.
    fn environments(&self) -> Option<Vec<String>> {
        (!self.key_environments.is_empty()).then(|| self.key_environments.clone())
    }

    /// The scopes of both options; `None` without any.
    fn scopes(&self) -> Option<Vec<String>> {
        let preset = self.preset.map(Preset::scopes).unwrap_or_default();
        let all: BTreeSet<String> = preset.iter().chain(&self.scopes).map(ToString::to_string).collect();
        (!all.is_empty()).then(|| all.into_iter().collect())
    }
}

fn preset(text: &str) -> Result<Preset, String> {
    serde_json::from_value(text.into()).map_err(|_| "use admin, operator, auditor or publisher".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "use a positive duration such as 90d or 12h";
    let span: jiff::Span = text.parse().map_err(|_| FORM.to_owned())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| FORM.to_owned())?;
    Duration::try_from(length).ok().filter(|length| !length.is_zero()).ok_or_else(|| FORM.to_owned())
}

/// A name, given as `NAME` or as `--name NAME`.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Named {
    /// Name; alternatively set --name.
    #[arg(value_name = "NAME")]
    positional: Option<String>,
    /// Name; alternatively the positional argument.
    #[arg(long = "name", value_name = "NAME")]
    option: Option<String>,
}

impl Named {
    fn text(self) -> String {
        // The argument group requires exactly one of them.
        self.positional.or(self.option).unwrap_or_default()
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("expected key=value".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}

fn registration(text: &str) -> Result<(String, Option<String>), String> {
    let (generator, grant) = match text.split_once('=') {
        Some((generator, grant)) => (generator, Some(grant)),
        None => (text, None),
    };
    let is_empty = generator.is_empty() || grant.is_some_and(str::is_empty);
    if is_empty {
        return Err("expected the name of a generator, or generator=grant".to_owned());
    }
    Ok((generator.to_owned(), grant.map(str::to_owned)))
}

pub(crate) async fn run(args: CreateArgs) -> Result<(), Box<dyn Error>> {
    let mut client = Client::builder([args.url], args.pak).allow_plain_http(args.allow_plain_http);
    if let Some(file) = args.ca_file {
        client = client.authority(file);
    }
    if let (Some(certificate), Some(key)) = (args.client_cert_file, args.client_key_file) {
        client = client.certificate(certificate, key);
    }
    let client = client.build().map_err(|error| match error {
        ClientError::PlainHttp { .. } => format!("{error} with --allow-plain-http"),
        error => error.to_string(),
    })?;
    let labels = |labels: Vec<(String, String)>| labels.into_iter().collect::<BTreeMap<_, _>>();
    let created: Value = match args.what {
        What::Agent { name, cluster_name, environment, labels: given, generators } => {
            let generator_ids = if generators.is_empty() { None } else { Some(ids(&client, &generators).await?) };
            let body = CreateAgent {
                name: name.text(),
                cluster_name,
                environment,
                labels: labels(given),
                generator_ids,
                ..CreateAgent::default()
            };
            client.send(Method::POST, "/agents", Some(&body)).await?
        }
        What::JoinToken {
            name,
            description,
            uses,
            expires_in,
            environment,
            labels: given,
            annotations,
            registrations,
        } => {
            let body = CreateJoinToken {
                name: name.text(),
                description,
                max_uses: uses,
                expires_at: SystemClock.now().plus(expires_in),
                environment,
                labels: labels(given),
                annotations: labels(annotations),
                registrations: wanted(&client, &registrations).await?,
            };
            client.send(Method::POST, "/join-tokens", Some(&body)).await?
        }
        What::Stack { name, description, labels: given } => {
            let body = CreateStack { name: name.text(), description, labels: labels(given), ..CreateStack::default() };
            client.send(Method::POST, "/stacks", Some(&body)).await?
        }
        What::Generator { name, description, environments, key } => {
            let (expires_at, scopes, limit) = (key.expires_at(), key.scopes(), key.environments());
            let KeyArgs { subject, source_networks, .. } = key;
            let key = FirstKey { subject, scopes, source_networks, environments: limit, expires_at };
            let environments = (!environments.is_empty()).then_some(environments);
            let body = CreateGenerator { name: name.text(), description, environments, key };
            client.send(Method::POST, "/generators", Some(&body)).await?
        }
        What::AdminKey { name, key } => {
            let (expires_at, scopes, environments) = (key.expires_at(), key.scopes(), key.environments());
            let KeyArgs { subject, source_networks, .. } = key;
            let name = name.text();
            let body = CreateAdminKey {
                name,
                subject,
                scopes,
                source_networks,
                environments,
                expires_at,
                ..CreateAdminKey::default()
            };
            client.send(Method::POST, "/keys", Some(&body)).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&created)?);
    if created.get("pak").is_some() {
        let use_it = if created.get("agent").is_some() { " Pass it to an agent as BROKKR__AGENT__PAK." } else { "" };
        eprintln!("This key is shown only once.{use_it}");
    }
    if let Some(token) = created.get("token").and_then(Value::as_str) {
        eprintln!(
            "This token is shown only once. Start the agent of each new cluster with:\nBROKKR__AGENT__JOIN_TOKEN={token}"
        );
    }
    Ok(())
}

/// The registrations of a join token, with ids; `None` without any.
async fn wanted(
    client: &Client,
    registrations: &[(String, Option<String>)],
) -> Result<Option<Vec<WantedRegistration>>, Box<dyn Error>> {
    if registrations.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = registrations.iter().map(|(generator, _)| generator.clone()).collect();
    let generators = ids(client, &names).await?;
    let grants: BTreeMap<String, GrantId> =
        all::<Grant>(client, "/grants").await?.into_iter().map(|it| (it.name, it.id)).collect();
    let mut wanted = Vec::new();
    for (generator_id, (_, grant)) in generators.into_iter().zip(registrations) {
        let found = grant.as_ref().map(|name| {
            grants.get(name).copied().ok_or_else(|| format!("no grant has the name {name}; create it first"))
        });
        wanted.push(WantedRegistration { generator_id, grant_id: found.transpose()? });
    }
    Ok(Some(wanted))
}

/// Every element of a list.
async fn all<T: DeserializeOwned>(client: &Client, list: &str) -> Result<Vec<T>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut path = format!("{list}?limit=500");
    loop {
        let page: List<T> = client.send(Method::GET, &path, None::<&()>).await?;
        found.extend(page.items);
        let Some(next) = page.next else { return Ok(found) };
        path = format!("{list}?limit=500&cursor={next}");
    }
}

/// Finds the ids of generators by their names.
async fn ids(client: &Client, names: &[String]) -> Result<Vec<GeneratorId>, Box<dyn Error>> {
    let found: BTreeMap<String, GeneratorId> =
        all::<Generator>(client, "/generators").await?.into_iter().map(|it| (it.name, it.id)).collect();
    let id = |name: &String| {
        let id = found.get(name).copied();
        id.ok_or_else(|| format!("no generator has the name {name}; create it with: create generator {name}").into())
    };
    names.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        create: CreateArgs,
    }

    fn parse(line: &str) -> Result<What, ErrorKind> {
        let words = ["create", "--pak", "key"].into_iter().chain(line.split(' '));
        Cli::try_parse_from(words).map(|it| it.create.what).map_err(|error| error.kind())
    }

    #[test]
    fn name_is_an_option_or_a_positional_argument() {
        for line in [
            "agent production-agent --cluster-name production",
            "agent --name production-agent --cluster-name production",
            "agent --cluster-name production --name=production-agent",
        ] {
            let Ok(What::Agent { name, cluster_name, .. }) = parse(line) else { panic!("{line} is not an agent") };
            assert_eq!((name.text().as_str(), cluster_name.as_str()), ("production-agent", "production"), "{line}");
        }
        for line in ["stack my-stack --description all", "stack --name my-stack --description all"] {
            let Ok(What::Stack { name, description, .. }) = parse(line) else { panic!("{line} is not a stack") };
            assert_eq!((name.text().as_str(), description.as_str()), ("my-stack", "all"), "{line}");
        }
        for line in ["generator ci", "generator --name ci"] {
            let Ok(What::Generator { name, .. }) = parse(line) else { panic!("{line} is not a generator") };
            assert_eq!(name.text(), "ci", "{line}");
        }
    }

    #[test]
    fn options_of_keys_are_expanded() {
        let line = "admin-key jane --preset publisher --scope gate:tests --subject jane@example.com --expires-in 90d";
        let Ok(What::AdminKey { name, key }) = parse(line) else { panic!("{line} is not a key") };
        let scopes = ["gate:tests", "stacks:read", "stacks:write"].map(str::to_owned).to_vec();
        assert_eq!((name.text().as_str(), key.scopes()), ("jane", Some(scopes)));
        assert_eq!(
            (key.subject.as_deref(), key.expires_in),
            (Some("jane@example.com"), Some(Duration::from_secs(90 * 24 * 3600)))
        );
        let Ok(What::AdminKey { key, .. }) = parse("admin-key jane") else { panic!("not a key") };
        assert_eq!((key.scopes(), key.expires_at()), (None, None));
        for wrong in ["--scope all", "--preset root", "--expires-in 0s", "--expires-in -1d", "--expires-in soon"] {
            assert!(parse(&format!("admin-key jane {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn join_token_has_safe_defaults_and_names_registrations() {
        let line =
            "join-token edge --uses 50 --expires-in 7d --label site=edge --register ci=databases --register shop";
        let Ok(What::JoinToken { uses, expires_in, labels, registrations, .. }) = parse(line) else {
            panic!("{line} is not a join token")
        };
        assert_eq!((uses, expires_in), (50, Duration::from_secs(7 * 24 * 3600)));
        assert_eq!(labels, [("site".to_owned(), "edge".to_owned())]);
        assert_eq!(registrations, [("ci".to_owned(), Some("databases".to_owned())), ("shop".to_owned(), None)]);
        let Ok(What::JoinToken { uses, expires_in, environment, registrations, .. }) = parse("join-token edge") else {
            panic!("not a join token")
        };
        assert_eq!((uses, expires_in, environment), (1, Duration::from_secs(24 * 3600), None));
        assert!(registrations.is_empty());
        for wrong in ["--register =a", "--register a=", "--uses many", "--expires-in 0s"] {
            assert!(parse(&format!("join-token edge {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn agent_has_any_number_of_generators() {
        for (line, expected) in
            [("agent a", vec![]), ("agent a --generator ci --generator system", vec!["ci", "system"])]
        {
            let Ok(What::Agent { generators, .. }) = parse(line) else { panic!("{line} is not an agent") };
            assert_eq!(generators, expected, "{line}");
        }
    }

    #[test]
    fn missing_or_second_name_is_an_error() {
        for what in ["agent", "stack", "generator", "admin-key", "join-token"] {
            assert_eq!(parse(what).err(), Some(ErrorKind::MissingRequiredArgument), "{what}");
            let both = format!("{what} one --name two");
            assert_eq!(parse(&both).err(), Some(ErrorKind::ArgumentConflict), "{both}");
        }
    }
}
