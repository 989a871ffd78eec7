//! `brokkr-agent rbac`: the rights for a set of manifests.

use std::error::Error;
use std::io::Read as _;

use brokkr_agent_runtime::AgentConfig;
use brokkr_agent_runtime::rbac::{RbacOptions, rbac};
use brokkr_core::manifest::ManifestSet;
use clap::Args;

#[derive(Args)]
pub(crate) struct RbacArgs {
    /// Manifests as they are published; several times for several files, - for standard input.
    #[arg(long = "for", required = true, value_name = "FILE")]
    files: Vec<String>,
    /// What the roles, their bindings and the service account are called; two agents in one cluster need two names.
    #[arg(long, default_value = RbacOptions::NAME)]
    name: String,
    /// Namespace of the agent and its records.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACE", default_value = AgentConfig::NAMESPACE)]
    namespace: String,
    /// Where namespaced objects without a namespace go: the stack's policy.
    #[arg(long, default_value = RbacOptions::DEFAULT_NAMESPACE)]
    default_namespace: String,
    /// The only namespaces that the agent works in, separated by commas: then no rights in the whole cluster are needed.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// A user that gets the rights, instead of a service account.
    #[arg(long)]
    user: Option<String>,
}

pub(crate) fn run(args: RbacArgs) -> Result<(), Box<dyn Error>> {
    let mut text = Vec::new();
    for file in &args.files {
        text.extend_from_slice(b"\n---\n");
        if file == "-" {
            std::io::stdin().read_to_end(&mut text)?;
        } else {
            text.extend(std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?);
        }
    }
    let set = ManifestSet::parse_yaml(&text)?;
    let mut options =
        RbacOptions::default().name(args.name).namespace(args.namespace).default_namespace(args.default_namespace);
    if let Some(user) = args.user {
        options = options.user(user);
    }
    if !args.namespaces.is_empty() {
        options = options.only_namespaces(args.namespaces);
    }
    println!("# The rights for {} objects. Apply with: kubectl apply -f -", set.objects().len());
    for document in rbac(&set, &options) {
        println!("---\n{}", serde_saphyr::to_string(&document)?.trim_end());
    }
    Ok(())
}
