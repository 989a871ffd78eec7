//! `brokkr-agent plan`: the dry run.

use std::error::Error;

use brokkr_agent_runtime::plan;
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::clients::{Clients, ConnectArgs, JoinArgs, build_clients};

#[derive(Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// Readable text: the changes, and a count of the unchanged objects.
    Text,
    /// A JSON document with all objects.
    Json,
}

pub(crate) async fn run(args: PlanArgs) -> Result<(), Box<dyn Error>> {
    // Without a join token nothing waits, so nothing stops it.
    let clients = build_clients(args.connect, JoinArgs::default(), &CancellationToken::new()).await?;
    let Some(Clients { control_plane, cluster, config }) = clients else { return Ok(()) };
    let plan = plan(&*control_plane, cluster, &config).await?;
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&plan)?),
        Output::Text => {
            print!("{plan}");
            match plan.changes() {
                0 => println!("No changes."),
                1 => println!("1 object differs from the target state. A running agent corrects it automatically."),
                changes => {
                    println!(
                        "{changes} objects differ from the target state. A running agent corrects them automatically."
                    )
                }
            }
        }
    }
    Ok(())
}
