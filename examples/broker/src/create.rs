//! `brokkr-broker create …`: a client of the API.

use std::collections::BTreeMap;
use std::error::Error;

use brokkr_core::model::GeneratorId;
use brokkr_http::api::{CreateAgent, CreateGenerator, CreateStack, Generator, List};
use brokkr_http::client::Client;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// Address of the broker.
    #[arg(long, env = "BROKKR__URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// API key of an admin; for stacks also of a generator.
    #[arg(long, env = "BROKKR__PAK", hide_env_values = true)]
    pak: String,
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
        /// Label as key=value; may be repeated.
        #[arg(long = "label", value_parser = pair)]
        labels: Vec<(String, String)>,
        /// Name of a generator whose stacks the agent serves; may be repeated [default: system].
        #[arg(long = "generator", value_name = "NAME")]
        generators: Vec<String>,
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
    },
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

pub(crate) async fn run(args: CreateArgs) -> Result<(), Box<dyn Error>> {
    let client = Client::builder([args.url], args.pak).build()?;
    let labels = |labels: Vec<(String, String)>| labels.into_iter().collect::<BTreeMap<_, _>>();
    let created: Value = match args.what {
        What::Agent { name, cluster_name, labels: given, generators } => {
            let generator_ids = if generators.is_empty() { None } else { Some(ids(&client, &generators).await?) };
            let body = CreateAgent {
                name: name.text(),
                cluster_name,
                labels: labels(given),
                generator_ids,
                ..CreateAgent::default()
            };
            client.send(Method::POST, "/agents", Some(&body)).await?
        }
        What::Stack { name, description, labels: given } => {
            let body = CreateStack { name: name.text(), description, labels: labels(given), ..CreateStack::default() };
            client.send(Method::POST, "/stacks", Some(&body)).await?
        }
        What::Generator { name, description } => {
            client.send(Method::POST, "/generators", Some(&CreateGenerator { name: name.text(), description })).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&created)?);
    if created.get("pak").is_some() {
        eprintln!("This key is shown only once. Pass it to an agent as BROKKR__AGENT__PAK.");
    }
    Ok(())
}

/// Finds the ids of generators by their names.
async fn ids(client: &Client, names: &[String]) -> Result<Vec<GeneratorId>, Box<dyn Error>> {
    let mut found = BTreeMap::new();
    let mut path = "/generators?limit=500".to_owned();
    loop {
        let page: List<Generator> = client.send(Method::GET, &path, None::<&()>).await?;
        found.extend(page.items.into_iter().map(|it| (it.name, it.id)));
        let Some(next) = page.next else { break };
        path = format!("/generators?limit=500&cursor={next}");
    }
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
        for what in ["agent", "stack", "generator"] {
            assert_eq!(parse(what).err(), Some(ErrorKind::MissingRequiredArgument), "{what}");
            let both = format!("{what} one --name two");
            assert_eq!(parse(&both).err(), Some(ErrorKind::ArgumentConflict), "{both}");
        }
    }
}
