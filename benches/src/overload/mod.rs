//! One tenant overloads the broker; what the others notice.
//!
//! The broker and its database are processes of their own, with the settings of production and the default limits. First one
//! hostile tenant alone publishes as fast as it can: that is the capacity. Then four other tenants and their 40 agents work at a
//! constant rate, first alone, then while the hostile tenant
//!
//! - publishes at five times the capacity, over 128 connections, from a process of its own,
//! - keeps 200 connections with most of a request head open,
//! - sends an alias bomb over each of 64 connections, every 5 s.
//!
//! The others' response times count from when a request was due, so a request that waits for an earlier one counts in full. An
//! answer is useful if it succeeds within 1 s. "Refused" are the hostile tenant's answers with 429 and 503; their times count
//! from when the request was sent.
//!
//! An attacker's processor is not the broker's: on a machine with few cores, the hostile process runs with the lowest priority, so
//! that it takes processor time from neither the broker nor the other tenants. What it makes the broker and the database
//! do counts in full. `sent_per_second` shows what it achieved.

mod attack;
mod others;
mod paced;

use std::path::Path;
use std::time::Duration;

use brokkr_testbed::{Process, wait_for};

use self::others::{Others, tenant};
use crate::fixture::{Broker, Database, binary, peak_mib, text};
use crate::{Result, percentile};

pub(crate) use self::attack::{Attack, run as attack};

const CAPACITY: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(15);
const ATTACK: Duration = Duration::from_secs(20);
/// What the hostile tenant sends before the measurement begins.
const AHEAD: Duration = Duration::from_secs(3);
/// More than any broker publishes.
const UNLIMITED: f64 = 1_000_000.0;
const OVERLOAD: f64 = 5.0;

pub(crate) async fn run() -> Result<()> {
    let database = Database::start().await?;
    let broker = database.broker(10)?;
    let others = Others::new(&broker).await?;
    let (_, key, stacks) = tenant(&broker, "hostile", 32).await?;
    let hostile = Hostile { broker: &broker, folder: database.folder.path(), key, stacks };
    let alone = hostile.start(UNLIMITED, CAPACITY, &["--only-publish"])?.finish(CAPACITY)?;
    let capacity = alone.get("published_per_second")?;
    println!("capacity_per_second {capacity:.0}");
    let mut quiet = others.work(QUIET).await?;
    let attack = hostile.start(OVERLOAD * capacity, AHEAD + ATTACK, &[])?;
    tokio::time::sleep(AHEAD).await;
    let mut during = others.work(ATTACK).await?;
    let said = attack.finish(AHEAD + ATTACK)?;
    let (before, after) = (percentile(&mut quiet.polls, 0.99), percentile(&mut during.polls, 0.99));
    println!(
        "overload_sent_per_second {:.0} ({OVERLOAD} x capacity: {:.0})",
        said.get("sent_per_second")?,
        OVERLOAD * capacity
    );
    println!("overload_published_per_second {:.0}", said.get("published_per_second")?);
    println!("overload_without_answer {:.0} (goal 0)", said.get("without_answer")?);
    println!("overload_poll_p99_ms {after:.2} (quiet {before:.2})");
    println!("overload_poll_p99_ratio {:.2} (goal at most 2)", after / before);
    println!("overload_refused_p99_ms {:.1} (goal at most 1000)", said.get("refused_p99_ms")?);
    println!("overload_goodput_ratio {:.3} (goal at least 0.9)", during.per_second / quiet.per_second);
    println!("overload_goodput_share {:.3} (quiet {:.3})", during.share, quiet.share);
    println!("overload_peak_mib {:.0} (goal at most 256)", peak_mib(broker.process.process.pid())?);
    Ok(())
}

/// The hostile tenant's process.
struct Hostile<'a> {
    broker: &'a Broker,
    folder: &'a Path,
    key: String,
    stacks: Vec<String>,
}

struct Running {
    process: Process,
    log: std::path::PathBuf,
}

impl Hostile<'_> {
    fn start(&self, rate: f64, during: Duration, options: &[&str]) -> Result<Running> {
        let log = self.folder.join("attack.log");
        let program = binary("brokkr-benches")?.display().to_string();
        let (rate, seconds) = (rate.to_string(), during.as_secs().to_string());
        let words = ["-n", "19", &program, "attack", &self.broker.address, &self.key, &rate, &seconds].into_iter();
        let words = words.chain(options.iter().copied()).chain(self.stacks.iter().map(String::as_str));
        let words: Vec<String> = words.map(str::to_owned).collect();
        let process = Process::start(Path::new("nice"), &words, &[], &log).map_err(text)?;
        Ok(Running { process, log })
    }
}

impl Running {
    /// Waits until the attack has ended.
    fn finish(self, during: Duration) -> Result<Said> {
        let ended = || !self.process.is_running();
        wait_for("the end of the attack", during + Duration::from_secs(20), ended).map_err(text)?;
        Ok(Said(std::fs::read_to_string(&self.log)?))
    }
}

/// The figures that the hostile process prints.
struct Said(String);

impl Said {
    fn get(&self, name: &str) -> Result<f64> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(value.ok_or_else(|| format!("the attack did not print {name}: {}", self.0))?)
    }
}
