//! `brokkr-broker create …`: a client of the API.

use std::collections::BTreeMap;
use std::error::Error;

use brokkr_http::api::{CreateAgent, CreateGenerator, CreateStack};
use brokkr_http::client::Client;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// The broker's address.
    #[arg(long, env = "BROKKR__URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// A key: an admin's, or for stacks a generator's.
    #[arg(long, env = "BROKKR__PAK", hide_env_values = true)]
    pak: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// An agent; prints its key once.
    Agent {
        /// Its name.
        name: String,
        /// The cluster that it serves, for people.
        #[arg(long, default_value = "")]
        cluster_name: String,
        /// A label, key=value; may be repeated.
        #[arg(long = "label", value_parser = pair)]
        labels: Vec<(String, String)>,
    },
    /// A stack.
    Stack {
        /// Its name.
        name: String,
        /// For people.
        #[arg(long, default_value = "")]
        description: String,
        /// A label, key=value; may be repeated.
        #[arg(long = "label", value_parser = pair)]
        labels: Vec<(String, String)>,
    },
    /// A generator; prints its key once.
    Generator {
        /// Its name.
        name: String,
        /// For people.
        #[arg(long, default_value = "")]
        description: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("expected key=value".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}

pub(crate) async fn run(args: CreateArgs) -> Result<(), Box<dyn Error>> {
    let client = Client::builder([args.url], args.pak.into()).build()?;
    let labels = |labels: Vec<(String, String)>| labels.into_iter().collect::<BTreeMap<_, _>>();
    let created: Value = match args.what {
        What::Agent { name, cluster_name, labels: given } => {
            let body = CreateAgent { name, cluster_name, labels: labels(given), ..CreateAgent::default() };
            client.send(Method::POST, "/agents", Some(&body)).await?
        }
        What::Stack { name, description, labels: given } => {
            let body = CreateStack { name, description, labels: labels(given), ..CreateStack::default() };
            client.send(Method::POST, "/stacks", Some(&body)).await?
        }
        What::Generator { name, description } => {
            client.send(Method::POST, "/generators", Some(&CreateGenerator { name, description })).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&created)?);
    if created.get("pak").is_some() {
        eprintln!("The key is shown this once. An agent takes it as BROKKR__AGENT__PAK.");
    }
    Ok(())
}
