//! `brokkr-agent plan`: the dry run.

use std::error::Error;

use brokkr_agent_runtime::plan;
use clap::{Args, ValueEnum};

use crate::connect::{ConnectArgs, Connected, connect};

#[derive(Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people: what would change, and a count of the rest.
    Text,
    /// Everything, as one JSON document.
    Json,
}

pub(crate) async fn run(args: PlanArgs) -> Result<(), Box<dyn Error>> {
    let Connected { control_plane, cluster, config } = connect(args.connect).await?;
    let plan = plan(&*control_plane, cluster, &config).await?;
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&plan)?),
        Output::Text => {
            print!("{plan}");
            match plan.changes() {
                0 => println!("Nothing would change."),
                1 => println!("1 object is not as it should be. The running agent puts it right by itself."),
                changes => {
                    println!(
                        "{changes} objects are not as they should be. The running agent puts them right by itself."
                    )
                }
            }
        }
    }
    Ok(())
}
