//! The project's commands: `cargo xtask test | verify | check | fuzz | bench | faults | up`.
#![expect(clippy::print_stdout, reason = "commands print what they do")]

mod bench;
mod check;
mod faults;
mod fuzz;
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
    /// Runs every check and test, with real API servers and PostgreSQL. Installs or builds missing tools.
    Test,
    /// Runs the checks that need no servers: formatting, lints, documentation, dependencies. Changes no files.
    Verify,
    /// Injects faults. Prints a line `name survived/tried` for each.
    Faults(faults::FaultsArgs),
    /// Checks the code base, and Brokkr against other tools and their files. Prints a line `name right/all` for each check.
    Check(check::CheckArgs),
    /// Runs the fuzz targets: keys, manifests, JSON, cursors, selectors, request heads. Needs cargo-fuzz.
    Fuzz(fuzz::FuzzArgs),
    /// Measures performance beside a baseline in the same run.
    Bench(bench::BenchArgs),
    /// Starts a broker, real clusters and their agents. Runs until interrupted.
    Up(up::UpArgs),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Test => test::run(),
        Command::Verify => verify::run(),
        Command::Faults(args) => faults::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
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
