//! The project's commands: `cargo xtask test | verify | check | bench | faults | up`.
#![expect(clippy::print_stdout, reason = "commands print what they do")]

mod bench;
mod check;
mod faults;
mod run;
mod test;
mod up;
mod verify;

use clap::{Parser, Subcommand};

/// The project's commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold, with real API servers and PostgreSQL. Installs or builds what is missing.
    Test,
    /// What needs no servers: formatting, lints, documentation, dependencies. Changes nothing.
    Verify,
    /// What it survives. Each fault ends with a line `name survived/tried`.
    Faults(faults::FaultsArgs),
    /// What Brokkr does with inputs and tools that others made. Each check ends with a line `name right/all`.
    Check(check::CheckArgs),
    /// What it costs, beside bare equivalents in the same run.
    Bench(bench::BenchArgs),
    /// A broker, real clusters and their agents, running until interrupted.
    Up(up::UpArgs),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Test => test::run(),
        Command::Verify => verify::run(),
        Command::Faults(args) => faults::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Up(args) => up::run(&args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
