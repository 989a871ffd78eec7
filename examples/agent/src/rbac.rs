//! `brokkr-agent rbac`: the minimal RBAC rules for a set of manifests.

use std::error::Error;
use std::io::Read as _;

use brokkr_agent_runtime::AgentConfig;
use brokkr_agent_runtime::rbac::{RbacOptions, rbac};
use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::Name;
use clap::Args;

#[derive(Args)]
pub(crate) struct RbacArgs {
    /// Manifest file as published; may be repeated, - reads standard input.
    #[arg(long = "for", required_unless_present = "generators", value_name = "FILE")]
    files: Vec<String>,
    /// Generator whose objects the agent writes by impersonation; may be repeated. The output lets the agent impersonate it, and
    /// has a role for the generator to start from.
    #[arg(long = "generator", value_name = "NAME")]
    generators: Vec<Name>,
    /// Name of the roles, bindings and service account. Two agents in one cluster need different names.
    #[arg(long, default_value = RbacOptions::NAME)]
    name: String,
    /// Namespace of the agent's service account and records.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACE", default_value = AgentConfig::NAMESPACE)]
    namespace: String,
    /// Namespace for namespaced objects that name none, as in the stack's policy default_namespace.
    #[arg(long, default_value = RbacOptions::DEFAULT_NAMESPACE)]
    default_namespace: String,
    /// Namespaces that the agent is limited to, separated by commas; the output then has no cluster-wide rules.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// User that gets the permissions instead of a service account.
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
    let set = if args.files.is_empty() { None } else { Some(ManifestSet::parse_yaml(&text)?) };
    let objects = set.as_ref().map(ManifestSet::objects).unwrap_or_default();
    let mut options =
        RbacOptions::default().name(args.name).namespace(args.namespace).default_namespace(args.default_namespace);
    if let Some(user) = args.user {
        options = options.user(user);
    }
    options = options.generators(args.generators);
    if !args.namespaces.is_empty() {
        options = options.only_namespaces(args.namespaces);
    }
    println!("# RBAC rules for {} objects. Apply with: kubectl apply -f -", objects.len());
    for document in rbac(objects, &options) {
        println!("---\n{}", serde_saphyr::to_string(&document)?.trim_end());
    }
    Ok(())
}
